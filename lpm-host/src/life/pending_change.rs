//! A change of the LPMs as a future of its result, made on a thread of its own.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use crate::error::PcmError;
use crate::lock::lock;

/// A change of the LPMs that is under way: a future of its result, for any runtime or none
/// ([`wait`](Self::wait)).
///
/// Dropping it lets the change go on.
#[must_use = "it tells what came of the change"]
pub struct PendingChange<R>(Arc<Shared<R>>);

struct Shared<R> {
    progress: Mutex<Progress<R>>,
    over: Condvar,
}

enum Progress<R> {
    /// With whoever waits.
    UnderWay(Option<Waker>),
    Over(thread::Result<R>),
    Taken,
}

impl<R> PendingChange<R> {
    /// Waits for the end of the change. From inside a call into one of the LPMs that are being
    /// stopped, that end comes only when the drain limit is over: leave the call instead.
    ///
    /// # Panics
    ///
    /// When it was polled and is over.
    pub fn wait(self) -> R {
        let under_way = |progress: &mut Progress<R>| matches!(progress, Progress::UnderWay(_));
        let waited = self.0.over.wait_while(lock(&self.0.progress), under_way);
        let mut progress = waited.unwrap_or_else(PoisonError::into_inner);
        let over = std::mem::replace(&mut *progress, Progress::Taken);
        drop(progress);
        over.taken()
    }

    /// Whether the change is over, so that [`wait`](Self::wait) returns at once.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        !matches!(*lock(&self.0.progress), Progress::UnderWay(_))
    }

    /// One that is over.
    pub(super) fn over(result: R) -> Self {
        Self::at(Progress::Over(Ok(result)))
    }

    /// One that is under way, and what makes the change, on any thread.
    pub(super) fn begun(change: impl FnOnce() -> R) -> (Self, impl FnOnce()) {
        let pending = Self::at(Progress::UnderWay(None));
        let shared = Arc::clone(&pending.0);
        let change = move || {
            // A panic is the host's own, and goes on where the result is waited for.
            let over = catch_unwind(AssertUnwindSafe(change));
            let before = std::mem::replace(&mut *lock(&shared.progress), Progress::Over(over));
            shared.over.notify_all();
            if let Progress::UnderWay(Some(waker)) = before {
                waker.wake();
            }
        };
        (pending, change)
    }

    fn at(progress: Progress<R>) -> Self {
        Self(Arc::new(Shared {
            progress: Mutex::new(progress),
            over: Condvar::new(),
        }))
    }
}

impl<R: Send + 'static> PendingChange<R> {
    /// Begins the change on a thread of its own; without one it fails as `no_thread` says.
    pub(super) fn begin(
        no_thread: impl FnOnce(PcmError) -> R,
        change: impl FnOnce() -> R + Send + 'static,
    ) -> Self {
        let (pending, change) = Self::begun(change);
        let thread = thread::Builder::new().name("lpm-change".to_owned());
        match thread.spawn(change) {
            Ok(_) => pending,
            Err(error) => Self::over(no_thread(PcmError::NoThread(error.kind()))),
        }
    }
}

impl<R> Progress<R> {
    fn taken(self) -> R {
        match self {
            Self::Over(result) => result.unwrap_or_else(|panic| resume_unwind(panic)),
            _ => panic!("a change was asked for its result after that was given"),
        }
    }
}

impl<R> Future for PendingChange<R> {
    type Output = R;

    /// # Panics
    ///
    /// When it is polled after it was ready.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        // Wakers are the caller's code, which does not run under a lock.
        let waker = context.waker().clone();
        let before = {
            let mut progress = lock(&self.0.progress);
            let now = match &*progress {
                Progress::UnderWay(_) => Progress::UnderWay(Some(waker)),
                _ => Progress::Taken,
            };
            std::mem::replace(&mut *progress, now)
        };
        match before {
            Progress::UnderWay(_) => Poll::Pending,
            over => Poll::Ready(over.taken()),
        }
    }
}

impl<R> fmt::Debug for PendingChange<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingChange").finish_non_exhaustive()
    }
}
