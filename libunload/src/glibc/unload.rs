//! The last steps in the life of a library.
//!
//! Up to the finalizers every step can still end in [`Pinned`](UnloadOutcome::Pinned) with the
//! library in working order. Afterwards nothing of it runs any more, and the loader only unmaps it.
//! Threads that finalizers may stop are no reason not to run these, as `dlclose` does.
//!
//! Others who load and unload are kept waiting only while the loader works and the threads are
//! looked at, never while code of the library runs that may take its time.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::entries::Running;
use super::finalizing::run_destructors;
use super::ledger::{self, HeldBack, Ledger};
use super::loader;
use super::maps::{FileId, Maps};
use super::object::Object;
use super::scan::Outside;
use super::signals::{Actions, PutBack};
use super::tasks::Progress;
use super::{
    calls, dispatch, files, finalizing, keys, leaving, lent, places, requests, scan, search,
    sequences, signals, tasks, threads, timers, tls,
};
use crate::lock::lock;
use crate::os::Handle;
use crate::outcome::{LeftBehind, PinReason, UnloadOutcome};

/// How long threads and destructors that are about to end are waited for.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long, where they get no processor.
const PATIENCE_WITH_STARVED: Duration = Duration::from_secs(5);

/// A library that is to be unmapped.
pub(super) struct Parting {
    pub(super) handle: Handle,
    /// The library's own ledger first, then those of the libraries it needs.
    pub(super) ledgers: Vec<Arc<Ledger>>,
    /// What signals did before the library was loaded.
    pub(super) actions: Actions,
    /// What already stands in the way.
    pub(super) obstacles: Vec<PinReason>,
}

/// Unmaps the library if that is safe.
///
/// # Safety
///
/// Nobody calls the library or uses anything of it any more.
pub(super) unsafe fn unload(library: Parting, left: &mut LeftBehind) -> UnloadOutcome {
    let Parting {
        handle,
        ledgers,
        actions,
        obstacles,
    } = library;

    // The library itself, without what it needs.
    let own = ledgers.get(..1).unwrap_or_default();
    let pinned = |reasons| UnloadOutcome::Pinned { reasons };
    if !obstacles.is_empty() {
        return pinned(obstacles);
    }
    if leaving::is_opened_twice(own) {
        // As it is with `dlclose`, nothing is taken back.
        return still_loaded();
    }
    let expected = leaving::of(&ledgers);
    if leaving::is_used_by_others(own) {
        return still_loaded();
    }
    run_destructors(own);
    own.iter().for_each(|ledger| requests::cancel(ledger));
    let text = text(&expected);
    let mut is_finalized = false;
    let stays = |reasons, is_finalized| {
        if is_finalized {
            // What the finalizers have taken down must not run.
            finalizing::hold_back(&expected);
        }
        pinned(reasons)
    };
    let outside = loop {
        let mut reasons = wait_until_quiet(&expected);
        if reasons.is_empty() {
            match scan::threads_outside(&text) {
                Ok(outside) => break outside,
                Err(inside) => reasons = inside,
            }
        }
        if is_finalized || !threads::may_be_stopped(&expected, &reasons) {
            return stays(reasons, is_finalized);
        }
        is_finalized = true;
        // SAFETY: these are mapped, and the caller promises that nobody calls them. What their own
        // threads do meanwhile is their affair, as with `dlclose`.
        unsafe { finalizing::run_all(&expected) };
    };
    match Suspended::all(own, &text, &actions) {
        Ok(suspended) => suspended.into_iter().for_each(|one| one.take_back(left)),
        Err(reasons) => return stays(reasons, is_finalized),
    }
    // SAFETY: the library is mapped, no thread is inside, and the caller promises that none enters.
    unsafe { finalizing::run(own) };

    let _loader = lock(&loader::LOADER);
    let leaving = leaving::of(&ledgers);
    run_destructors(&leaving);
    let suspended = match clear(&leaving, &expected, outside, &text, &actions) {
        Ok(suspended) => suspended,
        Err(reasons) => {
            finalizing::hold_back(own);
            return pinned(reasons);
        }
    };
    let objects: Vec<_> = leaving.iter().map(|ledger| &ledger.object).collect();
    let ranges: Vec<_> = objects.iter().map(|object| object.range()).collect();
    left.variables.extend(lent::take_back_variables(&ranges));
    sequences::take_back(&ranges);
    let baselines: Vec<_> = leaving
        .iter()
        .filter_map(|ledger| ledger.baseline())
        .collect();
    let mut holders = search::search(&objects, &loader::loaded(), &baselines);
    holders.extend(lent::take_back_signal_stacks(&objects));
    holders.extend(ranges.iter().flat_map(remembered_handlers));
    holders.extend(ranges.iter().flat_map(waiting_signals));
    if !holders.is_empty() {
        for one in suspended {
            if own.iter().any(|ledger| Arc::ptr_eq(ledger, one.ledger)) {
                one.take_back(left);
            } else {
                one.resume();
            }
        }
        return pinned(holders);
    }
    let mapped = leaving
        .first()
        .and_then(|library| Mapped::of(&library.object));
    // SAFETY: the finalizers have run and left nothing behind, no thread is inside, and the caller
    // promises that none enters.
    if let Err(message) = unsafe { handle.close() } {
        tracing::warn!("the loader could not close a library: {message}");
    }
    for one in suspended {
        let is_own = own.iter().any(|ledger| Arc::ptr_eq(ledger, one.ledger));
        if is_own || !one.ledger.object.is_loaded() {
            one.take_back(left);
        } else {
            // Somebody else uses it.
            one.resume();
        }
    }
    verify(&ledgers, mapped, left)
}

/// Who may call handlers of signals in this range, because he found them in force when he set his
/// own.
fn remembered_handlers(range: &Range<usize>) -> impl Iterator<Item = PinReason> {
    let remembered = signals::remembered(range).into_iter();
    remembered.map(|(signal, handler)| PinReason::AddressKept {
        holder: match handler {
            libc::SIG_DFL | libc::SIG_IGN => {
                format!("whoever replaced its handler of signal {signal}")
            }
            handler => format!(
                "the handler of signal {signal}, {}",
                search::holder(handler)
            ),
        },
    })
}

/// Signals that wait, and carry an address in this range.
fn waiting_signals(range: &Range<usize>) -> impl Iterator<Item = PinReason> {
    let waiting = signals::values::leading_into(range).into_iter();
    waiting.map(|signal| PinReason::AddressKept {
        holder: format!("a signal {signal} that waits, by the value it carries,"),
    })
}

/// Once more, after the finalizers: makes sure that no thread is inside what leaves, and that none
/// gets there by itself. `outside` is about the objects that were expected to leave.
fn clear<'a>(
    leaving: &'a [Arc<Ledger>],
    expected: &[Arc<Ledger>],
    outside: Outside,
    expected_text: &[Range<usize>],
    actions: &Actions,
) -> Result<Vec<Suspended<'a>>, Vec<PinReason>> {
    let is_expected = |ledger| expected.iter().any(|other| Arc::ptr_eq(other, ledger));
    if leaving.iter().all(is_expected) {
        outside.still(expected_text)?;
        Suspended::all(leaving, expected_text, actions)
    } else {
        // Another library that needed the same is gone meanwhile.
        let text = text(leaving);
        scan::threads_outside(&text)?;
        Suspended::all(leaving, &text, actions)
    }
}

/// An object into which nothing leads that a thread does by itself, until this is resumed.
#[must_use]
struct Suspended<'a> {
    ledger: &'a Arc<Ledger>,
    held_back: HeldBack<'a>,
    timers: timers::Stopped,
    signals: PutBack,
}

impl<'a> Suspended<'a> {
    /// Sees to it that nothing a thread does by itself leads into these objects, outside of whose
    /// `text` all threads are; returns what stands against that. Then everything is as before, but
    /// for thread-locals of threads that ended meanwhile.
    fn all(
        objects: &'a [Arc<Ledger>],
        text: &[Range<usize>],
        actions: &Actions,
    ) -> Result<Vec<Self>, Vec<PinReason>> {
        let held_back: Vec<_> = objects.iter().map(HeldBack::new).collect();
        // What began before is in the ledgers.
        let reasons = wait_until_quiet(objects);
        if !reasons.is_empty() {
            return Err(reasons);
        }
        let suspended = objects.iter().zip(held_back);
        let suspended = suspended.map(|(ledger, held_back)| Self {
            ledger,
            held_back,
            timers: timers::stop(ledger),
            signals: actions.put_back(&ledger.object.range()),
        });
        let suspended: Vec<_> = suspended.collect();
        if suspended.iter().any(|one| !one.signals.is_empty()) {
            // A thread may be in a handler, or on its way into one.
            if let Err(reasons) = scan::threads_outside(text) {
                suspended.into_iter().for_each(Self::resume);
                return Err(reasons);
            }
        }
        Ok(suspended)
    }

    /// Everything is as before.
    fn resume(self) {
        self.signals.undo();
        self.timers.resume();
        drop(self.held_back);
    }

    /// Takes back for good what the object left, and says what it was.
    fn take_back(self, left: &mut LeftBehind) {
        self.held_back.for_good();
        let timers = timers::delete(self.ledger);
        let signals = self.signals.settle();
        let destructors = tls::forget(self.ledger);
        let keys = keys::delete(self.ledger);
        calls::forget_all(self.ledger);
        let lent = self
            .ledger
            .with(|entries| std::mem::take(&mut entries.lent));
        tracing::debug!(
            ?signals,
            timers,
            destructors,
            keys,
            ?lent,
            "took back what a library left"
        );
        left.signals.extend(signals);
        left.timers += timers;
        left.lent.extend(lent);
        left.thread_locals += destructors;
    }
}

fn text(objects: &[Arc<Ledger>]) -> Vec<Range<usize>> {
    objects
        .iter()
        .flat_map(|ledger| ledger.object.text())
        .collect()
}

/// Waits until no thread of these objects is left and no destructor of theirs is running; returns
/// what is still there.
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
    let mut reasons = Vec::new();
    if signals::senders::filters_lead_into(&ledger.object.range()) {
        let holder = "a filter of system calls (seccomp), which sends signal SIGSYS,".to_owned();
        reasons.push(PinReason::AddressKept { holder });
    }
    reasons.extend(dispatch::holders(ledger));
    reasons.extend(threads::sharing_processes(ledger));
    let under_way = requests::under_way(ledger);
    if under_way > 0 {
        reasons.push(PinReason::RequestsUnderWay { count: under_way });
    }
    ledger.with(|entries| {
        for thread in entries.threads.alive() {
            reasons.push(PinReason::ThreadRunning(thread.label()));
        }
        if entries.threads.starting() > 0 {
            reasons.push(PinReason::ThreadsStarting {
                count: entries.threads.starting(),
            });
        }
        for &(thread, what) in &entries.running {
            let thread = tasks::label(thread);
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
        let mapping = maps.at(object.range().start).ok()??;
        Some(Self {
            maps,
            file: mapping.file()?,
            range: object.range(),
        })
    }

    /// What of this is still mapped in its place.
    fn left(&self) -> Option<PathBuf> {
        let mapping = self.maps.of_file(self.file, &self.range).ok()??;
        Some(PathBuf::from(mapping.path))
    }
}

/// Makes sure that the library is gone, whose ledger is the first, and closes the ledgers of what
/// is.
fn verify(ledgers: &[Arc<Ledger>], mapped: Option<Mapped>, left: &mut LeftBehind) -> UnloadOutcome {
    let Some((library, _)) = ledgers.split_first() else {
        // Never so: the library itself has a ledger.
        return still_loaded();
    };
    if library.object.is_loaded() {
        // Once whatever keeps it lets go, any unrelated `dlclose` could unmap it, with no check
        // at all. So it is taken again, and never given back.
        let taken = Handle::open_again(&library.object.path);
        tracing::debug!(again = taken.is_some(), "the loader kept a library");
        return still_loaded();
    }
    for ledger in ledgers {
        ledger.leave();
        // One may stay for reasons of its own, and goes on being watched.
        if !ledger.object.is_loaded() {
            ledger::close(ledger);
            left.files += files::unmap(ledger);
            places::keep_free(ledger.object.range());
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
