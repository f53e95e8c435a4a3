//! Panics that libraries report.
//!
//! A library reports from its panic hook, where a second panic would abort the process. The event log
//! is the embedder's code and may call the PCM, and with it the very LPM that panicked. So a panic
//! inside a call from this host is put on record only when that call has returned, and one on a thread of
//! the library's own is put on record by another thread.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use lpm_abi::{AbiHost, AbiPanic};
use lpm_api::LpmStatus;

use super::lock;
use super::trace::{self, TraceLimit};
use crate::event::{Event, EventId, EventLog};

/// A library's place among those that may report panics.
pub(super) struct Attachment {
    number: u64,
}

/// Where a library's panics are recorded.
struct Attached {
    library: PathBuf,
    events: Arc<dyn EventLog>,
}

static ATTACHED: Mutex<BTreeMap<u64, Arc<Attached>>> = Mutex::new(BTreeMap::new());

impl Attachment {
    pub(super) fn new(library: &Path, limit: TraceLimit, events: Arc<dyn EventLog>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        trace::attach(number, library, limit);
        let library = library.to_path_buf();
        lock(&ATTACHED).insert(number, Arc::new(Attached { library, events }));
        Self { number }
    }

    /// The number by which the library is known.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// What the library is given to report with.
    pub(super) fn host(&self) -> AbiHost {
        AbiHost {
            library: self.number,
            report_panic,
            trace: trace::host(self.number),
        }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        lock(&ATTACHED).remove(&self.number);
        trace::detach(self.number);
    }
}

/// The calls into libraries that are under way on a thread. All that a call has to look at is here, so that
/// it looks for one thread-local only.
struct Calls {
    /// Whom the innermost is for: the name of an LPM, [`NO_LPM`], or null where there is no call.
    inside: Cell<*const Arc<str>>,
    has_reports: Cell<bool>,
    /// How many spans of libraries the thread is in.
    spans: Cell<usize>,
}

/// What stands for a call that is for no LPM.
const NO_LPM: *const Arc<str> = ptr::dangling();

thread_local! {
    static CALLS: Calls = const {
        Calls {
            inside: Cell::new(ptr::null()),
            has_reports: Cell::new(false),
            spans: Cell::new(0),
        }
    };
    static REPORTS: RefCell<Vec<(Arc<dyn EventLog>, Event)>> = const { RefCell::new(Vec::new()) };
}

/// Makes a call into a library, for this LPM if for any, and records the panics that it reported meanwhile.
#[inline]
pub(super) fn during<R>(lpm: Option<&Arc<str>>, call: impl FnOnce() -> R) -> R {
    CALLS.with(|calls| {
        let spans = calls.spans.get();
        let outer = calls.inside.replace(lpm.map_or(NO_LPM, ptr::from_ref));
        let result = call();
        calls.inside.set(outer);
        if calls.spans.get() > spans {
            trace::leave(spans);
        }
        if calls.has_reports.get() {
            record_all();
        }
        result
    })
}

/// Notes how many spans of libraries this thread is in.
pub(super) fn note_spans(count: usize) {
    CALLS.with(|calls| calls.spans.set(count));
}

/// How many spans of libraries this thread is in.
#[cfg(test)]
pub(super) fn spans() -> usize {
    CALLS.with(|calls| calls.spans.get())
}

/// The name of the LPM that is being called on this thread.
pub(super) fn lpm_on_this_thread() -> Option<Arc<str>> {
    let lpm = CALLS.with(|calls| calls.inside.get());
    if lpm == NO_LPM {
        return None;
    }
    // SAFETY: `during` sets the pointer from a reference that outlives the call, and takes it back after
    // the call, which is on this thread and does not unwind.
    unsafe { lpm.as_ref() }.cloned()
}

#[cold]
fn record_all() {
    CALLS.with(|calls| calls.has_reports.set(false));
    for (events, event) in REPORTS.take() {
        events.record(&event);
    }
}

/// [`AbiHost::report_panic`]: called by a library's panic hook.
extern "C" fn report_panic(library: u64, panic: AbiPanic<'_>) {
    // The event log is the embedder's code; its panics must not unwind into the library.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let attached = lock(&ATTACHED).get(&library).cloned();
        let Some(attached) = attached else { return };
        let event = event(&attached.library, &panic);
        let event = match lpm_on_this_thread() {
            Some(lpm) => event.lpm(lpm),
            None => event,
        };
        if CALLS.with(|calls| !calls.inside.get().is_null()) {
            REPORTS.with_borrow_mut(|reports| reports.push((Arc::clone(&attached.events), event)));
            CALLS.with(|calls| calls.has_reports.set(true));
        } else {
            // A thread of the library's own, on which no call will return.
            let record = move || attached.events.record(&event);
            let _ = thread::Builder::new()
                .name(String::from("lpm-event"))
                .spawn(record);
        }
    }));
}

fn event(library: &Path, panic: &AbiPanic<'_>) -> Event {
    let thread = match panic.thread.as_str() {
        "" => "unnamed",
        name => name,
    };
    let (message, file, line) = (panic.message, panic.file, panic.line);
    let detail = format!("panicked at {file}:{line} in thread {thread}: {message}");
    Event::new(EventId::LpmPanicked, detail)
        .status(LpmStatus::PANICKED)
        .library(library)
}
