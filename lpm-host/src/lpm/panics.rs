//! Panics that libraries report.
//!
//! A library reports from its panic hook, where a second panic would abort the process. The event
//! log is the embedder's code and may call the PCM, and with it the very LPM that panicked. So a
//! panic inside a call from this host is put on record only when that call has returned, and one on
//! a thread of the library's own is put on record by another thread.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use lpm_abi::{AbiHost, AbiPanic};
use lpm_api::LpmStatus;

use super::trace::{self, TraceLimit};
use super::under_way::{self, Callee, DEMANDED, IN_CALL, REPORTED};
use crate::event::{Event, EventId, EventLog};
use crate::lock::lock;

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

thread_local! {
    static REPORTS: RefCell<Vec<(Arc<dyn EventLog>, Event)>> = const { RefCell::new(Vec::new()) };
}

/// Makes a call into a library, for this LPM if for any, and records the panics that it reported
/// meanwhile.
#[inline]
pub(super) fn during<R>(lpm: Option<&Arc<str>>, call: impl FnOnce() -> R) -> R {
    under_way::with(|calls| {
        let spans = calls.spans.get();
        let callee = Callee::of(lpm);
        let outer = calls.inside.replace(&raw const callee);
        let attention = calls.attention.get();
        calls.attention.set(attention | IN_CALL);
        let result = call();
        calls.inside.set(outer);
        calls.mark(IN_CALL, attention & IN_CALL != 0);
        if calls.attention.get() & !IN_CALL != 0 {
            attend(spans);
            // It is for the call around this one.
            calls.mark(DEMANDED, attention & DEMANDED != 0);
        }
        result
    })
}

/// Sees to what a call has left: leaves all spans of libraries but so many, and records the panics
/// that were reported.
#[cold]
pub(crate) fn attend(spans: usize) {
    if under_way::with(|calls| calls.spans.get()) > spans {
        trace::leave(spans);
    }
    let attention = under_way::with(|calls| {
        let attention = calls.attention.get();
        calls.attention.set(attention & !(REPORTED | DEMANDED));
        attention
    });
    if attention & REPORTED != 0 {
        for (events, event) in REPORTS.take() {
            events.record(&event);
        }
    }
}

/// [`AbiHost::report_panic`]: called by a library's panic hook.
extern "C" fn report_panic(library: u64, panic: AbiPanic<'_>) {
    // The event log is the embedder's code; its panics must not unwind into the library.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let attached = lock(&ATTACHED).get(&library).cloned();
        let Some(attached) = attached else { return };
        let event = event(&attached.library, &panic);
        let lpm = under_way::lpm_on_this_thread().or_else(|| trace::lpms(library));
        let event = match lpm {
            Some(lpm) => event.lpm(lpm),
            None => event,
        };
        if under_way::with(|calls| !calls.inside.get().is_null()) {
            REPORTS.with_borrow_mut(|reports| reports.push((Arc::clone(&attached.events), event)));
            under_way::with(|calls| calls.mark(REPORTED, true));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lpm::under_way::{Series, demand_attention, needs_attention};

    #[test]
    fn calls_inside_a_call_leave_what_that_demands() {
        let callee = Callee::none();
        let series = Series::start(&callee).expect("in no call");
        during(None, demand_attention);
        assert!(!needs_attention());
        demand_attention();
        during(None, demand_attention);
        assert!(needs_attention());
        attend(0);
        assert!(!needs_attention());
        drop(series);
    }
}
