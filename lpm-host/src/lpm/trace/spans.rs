//! Spans that libraries opened, and those that threads are in.

use std::cell::RefCell;
use std::collections::HashMap;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use lpm_abi::AbiCurrentSpan;
use tracing::Span;

use super::super::under_way;
use super::caught::caught;
use super::emitter::Emitter;
use crate::lock::lock;

/// How many spans one library can have open.
pub(super) const LIMIT: usize = 65_536;
/// How many spans a thread can be in.
const DEPTH_LIMIT: usize = 1_024;

/// A span that a library opened.
pub(super) struct OpenSpan {
    pub(super) span: Span,
    pub(super) emitter: Emitter,
    /// What the library calls its callsite.
    pub(super) site: u32,
}

impl Drop for OpenSpan {
    /// Closes the span. That calls a subscriber, whose panics end here.
    fn drop(&mut self) {
        let span = mem::replace(&mut self.span, Span::none());
        caught(|| drop(span));
    }
}

/// The open spans of one library. Nothing here calls a subscriber while the table is locked, which
/// is why spans are handed out and dropped outside.
#[derive(Default)]
pub(super) struct Spans(Mutex<Table>);

#[derive(Default)]
struct Table {
    open: HashMap<u64, Referenced>,
    closed: bool,
}

struct Referenced {
    span: Arc<OpenSpan>,
    references: u64,
}

impl Spans {
    /// Keeps a span, which has one reference; returns its number, or nothing where no span is kept
    /// any more.
    pub(super) fn insert(&self, span: OpenSpan) -> Option<u64> {
        // Unique in the process: a number of another library is unknown here.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let span = Arc::new(span);
        let mut table = lock(&self.0);
        if table.closed || table.open.len() >= LIMIT {
            drop(table);
            return None;
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let referenced = Referenced {
            span,
            references: 1,
        };
        table.open.insert(number, referenced);
        Some(number)
    }

    /// The span of this number.
    pub(super) fn get(&self, number: u64) -> Option<Arc<OpenSpan>> {
        let table = lock(&self.0);
        table.open.get(&number).map(|open| Arc::clone(&open.span))
    }

    /// Counts one more reference.
    pub(super) fn retain(&self, number: u64) {
        if let Some(open) = lock(&self.0).open.get_mut(&number) {
            open.references = open.references.saturating_add(1);
        }
    }

    /// Counts one less; returns whether it was the last, and the span is closed.
    pub(super) fn release(&self, number: u64) -> bool {
        let mut table = lock(&self.0);
        let Some(open) = table.open.get_mut(&number) else {
            return false;
        };
        open.references -= 1;
        if open.references > 0 {
            return false;
        }
        let closed = table.open.remove(&number);
        drop(table);
        drop(closed);
        true
    }

    /// Closes all spans, and keeps none from now on.
    pub(super) fn close(&self) {
        let open = {
            let mut table = lock(&self.0);
            table.closed = true;
            mem::take(&mut table.open)
        };
        drop(open);
    }
}

/// A span that a thread is in.
struct Entered {
    library: u64,
    number: u64,
    span: Arc<OpenSpan>,
}

thread_local! {
    /// Innermost last.
    static ENTERED: RefCell<Vec<Entered>> = const { RefCell::new(Vec::new()) };
}

/// Notes that this thread is in a span; returns whether it could be noted.
pub(super) fn enter(library: u64, number: u64, span: Arc<OpenSpan>) -> bool {
    let entered = Entered {
        library,
        number,
        span,
    };
    change(|all| {
        let room = all.len() < DEPTH_LIMIT;
        if room {
            all.push(entered);
        }
        room
    })
    .unwrap_or(false)
}

/// Notes that this thread is no longer in a span, which is returned if it was.
pub(super) fn exit(library: u64, number: u64) -> Option<Arc<OpenSpan>> {
    let this = |entered: &Entered| entered.library == library && entered.number == number;
    let entered = change(|all| Some(all.remove(all.iter().rposition(this)?)));
    entered.flatten().map(|entered| entered.span)
}

/// Notes that this thread is no longer in the innermost span, if it is in more than so many.
pub(super) fn exit_beyond(depth: usize) -> Option<Arc<OpenSpan>> {
    let entered = change(|all| if all.len() > depth { all.pop() } else { None });
    entered.flatten().map(|entered| entered.span)
}

/// The innermost span of a library that this thread is in.
pub(super) fn current(library: u64) -> Option<AbiCurrentSpan> {
    let of_library = |entered: &&Entered| entered.library == library;
    change(|all| {
        let innermost = all.iter().rev().find(of_library)?;
        Some(AbiCurrentSpan {
            span: innermost.number,
            site: innermost.span.site,
        })
    })
    .flatten()
}

/// Looks at or changes what this thread is in; nothing at the very end of a thread.
fn change<R>(change: impl FnOnce(&mut Vec<Entered>) -> R) -> Option<R> {
    let entered = ENTERED.try_with(|entered| {
        let mut all = entered.try_borrow_mut().ok()?;
        let result = change(&mut all);
        under_way::note_spans(all.len());
        Some(result)
    });
    entered.ok().flatten()
}
