//! The last steps in the life of a library.
//!
//! Up to the finalizers every step can still end in [`Pinned`](UnloadOutcome::Pinned) with the library
//! in working order. Afterwards nothing of it runs any more, and the loader only unmaps it.
//!
//! Others who load and unload are kept waiting only while the loader works and the threads are looked
//! at, never while code of the library runs that may take its time.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::ledger::{self, HeldBack, Ledger, Running};
use super::maps::{FileId, Maps};
use super::object::Object;
use super::scan::Outside;
use super::signals::Actions;
use super::threads::Progress;
use super::{Loaded, exits, keys, scan, threads, timers, tls};
use crate::lock::lock;
use crate::os::Handle;
use crate::outcome::{LeftBehind, PinReason, UnloadOutcome};

/// How long threads and destructors that are about to end are waited for.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long, where they get no processor.
const PATIENCE_WITH_STARVED: Duration = Duration::from_secs(5);

/// Unmaps the library if that is safe.
///
/// # Safety
///
/// Nobody calls the library or uses anything of it any more.
pub(super) unsafe fn unload(library: Loaded, left: &mut LeftBehind) -> UnloadOutcome {
    let Loaded {
        handle,
        ledgers,
        object: _,
        actions,
        obstacles,
        place: _,
    } = library;

    // The library itself, without what it needs.
    let own = ledgers.get(..1).unwrap_or_default();
    let (expected, _) = split(&ledgers);
    let pinned = |reasons| UnloadOutcome::Pinned { reasons };

    run_destructors(own);
    let reasons = [obstacles, wait_until_quiet(&expected)].concat();
    if !reasons.is_empty() {
        return pinned(reasons);
    }
    let text = text(&expected);
    let outside = match scan::threads_outside(&text) {
        Ok(outside) => outside,
        Err(reasons) => return pinned(reasons),
    };
    if let Err(reasons) = cut_off(own, &text, &actions, left) {
        return pinned(reasons);
    }

    for library in own {
        let finalizers = library.with(|entries| std::mem::take(&mut entries.finalizers));
        // SAFETY: the library is mapped, no thread is inside, and the caller promises that none enters.
        unsafe { finalizers.run() };
    }
    exits::run(own);
    // Finalizers are code like any other, and may have left something behind again.
    run_destructors(own);

    let _loader = lock(&super::LOADER);
    let (leaving, staying) = split(&ledgers);
    run_destructors(&leaving);
    if let Err(reasons) = clear(&leaving, &expected, outside, &text, &actions, left) {
        // It stays, but what its finalizers have taken down must not run.
        HeldBack::new(own).for_good();
        return pinned(reasons);
    }
    let mapped = leaving
        .first()
        .and_then(|library| Mapped::of(&library.object));
    // SAFETY: the finalizers have run and left nothing behind, no thread is inside, and the caller
    // promises that none enters.
    if let Err(message) = unsafe { handle.close() } {
        tracing::warn!("the loader could not close a library: {message}");
    }
    // The loader has called the finalizers of private dependencies.
    tls::forget(&leaving);
    keys::delete(&leaving);
    verify(&leaving, &staying, mapped)
}

/// Once more, after the finalizers: makes sure that no thread is inside what leaves, and that none gets
/// there by itself. `outside` is about the objects that were expected to leave.
fn clear(
    leaving: &[Arc<Ledger>],
    expected: &[Arc<Ledger>],
    outside: Outside,
    expected_text: &[Range<usize>],
    actions: &Actions,
    left: &mut LeftBehind,
) -> Result<(), Vec<PinReason>> {
    let is_expected = |ledger| expected.iter().any(|other| Arc::ptr_eq(other, ledger));
    if leaving.iter().all(is_expected) {
        outside.still(expected_text)?;
        cut_off(leaving, expected_text, actions, left)
    } else {
        // Another library that needed the same is gone meanwhile.
        let text = text(leaving);
        scan::threads_outside(&text)?;
        cut_off(leaving, &text, actions, left)
    }
}

/// Sees to it that nothing a thread does by itself leads into these objects, outside of which all threads
/// are; returns what stands against that. Then everything is as before, but for thread-locals of threads
/// that ended meanwhile.
fn cut_off(
    objects: &[Arc<Ledger>],
    text: &[Range<usize>],
    actions: &Actions,
    left: &mut LeftBehind,
) -> Result<(), Vec<PinReason>> {
    let ranges: Vec<_> = objects
        .iter()
        .map(|ledger| ledger.object.range.clone())
        .collect();
    let held_back = HeldBack::new(objects);
    // What began before is in the ledgers.
    let reasons = wait_until_quiet(objects);
    if !reasons.is_empty() {
        return Err(reasons);
    }
    let stopped = timers::stop(objects);
    let put_back = actions.put_back(&ranges);
    if !put_back.is_empty() {
        // A thread may be in a handler, or on its way into one.
        if let Err(reasons) = scan::threads_outside(text) {
            put_back.undo();
            stopped.resume();
            return Err(reasons);
        }
    }
    held_back.for_good();
    let timers = timers::delete(objects);
    let signals = put_back.settle();
    let destructors = tls::forget(objects);
    let keys = keys::delete(objects);
    tracing::debug!(
        ?signals,
        timers,
        destructors,
        keys,
        "took back what a library left"
    );
    left.signals.extend(signals);
    left.timers += timers;
    Ok(())
}

fn text(objects: &[Arc<Ledger>]) -> Vec<Range<usize>> {
    objects
        .iter()
        .flat_map(|ledger| ledger.object.text.clone())
        .collect()
}

/// The ledgers of the objects that go when the library goes, its own first, and of those that stay
/// because other libraries need them.
fn split(ledgers: &[Arc<Ledger>]) -> (Vec<Arc<Ledger>>, Vec<Arc<Ledger>>) {
    ledgers
        .iter()
        .cloned()
        .partition(|ledger| ledger.has_one_user())
}

/// Does for the current thread what its end would do.
fn run_destructors(leaving: &[Arc<Ledger>]) {
    tls::run_on_current_thread(leaving);
    keys::run_on_current_thread(leaving);
    // Such destructors may use thread-locals.
    tls::run_on_current_thread(leaving);
}

/// Waits until no thread of these objects is left and no destructor of theirs is running; returns what
/// is still there.
fn wait_until_quiet(leaving: &[Arc<Ledger>]) -> Vec<PinReason> {
    let begun = Instant::now();
    let mut pause = Duration::from_micros(50);
    let mut progress = Progress::default();
    loop {
        let reasons: Vec<_> = leaving.iter().flat_map(|ledger| unrest(ledger)).collect();
        if reasons.is_empty() {
            return reasons;
        }
        let threads: Option<Vec<_>> = reasons.iter().map(thread_of).collect();
        let are_starved = threads.is_some_and(|threads| progress.stands_still(&threads));
        let patience = if are_starved {
            PATIENCE_WITH_STARVED
        } else {
            PATIENCE
        };
        if begun.elapsed() > patience {
            return reasons;
        }
        thread::sleep(pause);
        pause = (2 * pause).min(Duration::from_millis(5));
    }
}

/// The thread that has to go on for this reason to be gone.
fn thread_of(reason: &PinReason) -> Option<libc::pid_t> {
    match reason {
        PinReason::ThreadRunning(thread)
        | PinReason::DestructorRunning(thread)
        | PinReason::TimerFunctionRunning(thread) => thread.id.try_into().ok(),
        _ => None,
    }
}

fn unrest(ledger: &Ledger) -> Vec<PinReason> {
    ledger.with(|entries| {
        let mut reasons = Vec::new();
        for thread in entries.threads.alive() {
            reasons.push(PinReason::ThreadRunning(thread.label()));
        }
        if entries.threads.starting() > 0 {
            reasons.push(PinReason::ThreadsStarting {
                count: entries.threads.starting(),
            });
        }
        for &(thread, what) in &entries.running {
            let thread = threads::label(thread);
            reasons.push(match what {
                Running::Destructor => PinReason::DestructorRunning(thread),
                Running::TimerFunction => PinReason::TimerFunctionRunning(thread),
            });
        }
        if entries.exits.stuck() > 0 {
            reasons.push(PinReason::ExitHandlers {
                count: entries.exits.stuck(),
            });
        }
        reasons
    })
}

/// The file that an object was mapped from, and where.
struct Mapped {
    maps: Maps,
    file: FileId,
    range: Range<usize>,
}

impl Mapped {
    fn of(object: &Object) -> Option<Self> {
        let maps = Maps::open().ok()?;
        let mapping = maps.at(object.range.start).ok()??;
        Some(Self {
            maps,
            file: mapping.file?,
            range: object.range.clone(),
        })
    }

    /// What of this is still mapped in its place.
    fn left(&self) -> Option<PathBuf> {
        let mapping = self.maps.of_file(self.file, &self.range).ok()??;
        Some(PathBuf::from(mapping.path))
    }
}

/// Makes sure that the library is gone, and closes the ledgers of what is.
fn verify(
    leaving: &[Arc<Ledger>],
    staying: &[Arc<Ledger>],
    mapped: Option<Mapped>,
) -> UnloadOutcome {
    let Some((library, dependencies)) = leaving.split_first() else {
        // Never so: the library itself has no other user.
        return still_loaded();
    };
    if library.object.is_loaded() {
        // Once whatever keeps it lets go, any unrelated `dlclose` could unmap it, with no check
        // at all. So it is taken again, and never given back.
        let taken = Handle::open_again(&library.object.path);
        tracing::debug!(again = taken.is_some(), "the loader kept a library");
        return still_loaded();
    }
    for ledger in leaving.iter().chain(staying) {
        ledger.leave();
    }
    ledger::close(library);
    for dependency in dependencies {
        // One may stay for reasons of its own, and goes on being watched.
        if !dependency.object.is_loaded() {
            ledger::close(dependency);
        }
    }
    match mapped.and_then(|mapped| mapped.left()) {
        None => UnloadOutcome::Unmapped,
        Some(file) => UnloadOutcome::Pinned {
            reasons: vec![PinReason::StillMapped { file }],
        },
    }
}

fn still_loaded() -> UnloadOutcome {
    UnloadOutcome::Pinned {
        reasons: vec![PinReason::StillLoaded],
    }
}
