//! The last steps in the life of a library.
//!
//! Up to the finalizers every step can still end in [`Pinned`](UnloadOutcome::Pinned) with the library
//! in working order. Afterwards nothing of it runs any more, and the loader only unmaps it.
//!
//! Others who load and unload are kept waiting only while the loader works and the threads are looked
//! at, never while code of the library runs that may take its time.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::super::os::Handle;
use super::super::{PinReason, UnloadOutcome, lock};
use super::ledger::{self, Ledger};
use super::maps::{self, Mapping};
use super::object::Object;
use super::signals::Actions;
use super::{Loaded, exits, keys, scan, threads, tls};

/// How long threads and destructors that are about to end are waited for.
const PATIENCE: Duration = Duration::from_millis(250);

/// Unmaps the library if that is safe.
///
/// # Safety
///
/// Nobody calls the library or uses anything of it any more.
pub(super) unsafe fn unload(library: Loaded) -> UnloadOutcome {
    let Loaded {
        handle,
        ledgers,
        actions,
        finalizers,
        obstacles,
        place: _,
    } = library;

    // The library itself, without what it needs.
    let own = ledgers.get(..1).unwrap_or_default();

    run_destructors(own);
    let reasons = [obstacles, wait_until_quiet(own)].concat();
    if !reasons.is_empty() {
        return UnloadOutcome::Pinned { reasons };
    }
    let reasons = cut_off(own, &actions);
    if !reasons.is_empty() {
        return UnloadOutcome::Pinned { reasons };
    }

    // SAFETY: the library is mapped, no thread is inside, and the caller promises that none enters.
    unsafe { finalizers.run() };
    exits::run(own);
    // Finalizers are code like any other, and may have left something behind again.
    run_destructors(own);

    let _loader = lock(&super::LOADER);
    let (leaving, staying) = split(&ledgers);
    run_destructors(&leaving);
    let reasons = cut_off(&leaving, &actions);
    if !reasons.is_empty() {
        return UnloadOutcome::Pinned { reasons };
    }
    let mapped = leaving.first().map(|library| Mapped::of(&library.object));
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

/// Sees to it that nothing a thread does by itself leads into these objects, now and later; returns what
/// stands against that.
fn cut_off(objects: &[Arc<Ledger>], actions: &Actions) -> Vec<PinReason> {
    let ranges: Vec<_> = objects
        .iter()
        .map(|ledger| ledger.object.range.clone())
        .collect();
    let text: Vec<_> = objects
        .iter()
        .flat_map(|ledger| ledger.object.text.clone())
        .collect();
    let signals = actions.put_back(&ranges);
    let destructors = tls::forget(objects);
    let keys = keys::delete(objects);
    tracing::debug!(?signals, destructors, keys, "took back what a library left");
    let reasons = wait_until_quiet(objects);
    if reasons.is_empty() {
        scan::threads_inside(&text)
    } else {
        reasons
    }
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
    loop {
        let reasons: Vec<_> = leaving.iter().flat_map(|ledger| unrest(ledger)).collect();
        if reasons.is_empty() || begun.elapsed() > PATIENCE {
            return reasons;
        }
        thread::sleep(pause);
        pause = (2 * pause).min(Duration::from_millis(5));
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
        for &thread in &entries.destructors_running {
            reasons.push(PinReason::DestructorRunning(threads::label(thread)));
        }
        if entries.exits.stuck() > 0 {
            reasons.push(PinReason::ExitHandlers {
                count: entries.exits.stuck(),
            });
        }
        reasons
    })
}

/// What the kernel has mapped of an object's file.
struct Mapped(Vec<Mapping>);

impl Mapped {
    fn of(object: &Object) -> Self {
        let mut mappings = maps::mappings().unwrap_or_default();
        mappings.retain(|mapping| mapping.is_of_a_file() && mapping.overlaps(&object.range));
        Self(mappings)
    }

    /// What of this is still mapped in its place.
    fn left(&self) -> Option<PathBuf> {
        let now = maps::mappings().unwrap_or_default();
        // Elsewhere it may well be mapped: a backtrace of the host's has its debugging information read.
        let still = |before: &&Mapping| {
            let in_place = |mapping: &&Mapping| mapping.overlaps(&before.range);
            now.iter()
                .filter(in_place)
                .any(|mapping| mapping.same_file(before))
        };
        self.0
            .iter()
            .find(still)
            .map(|mapping| PathBuf::from(&mapping.file))
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
