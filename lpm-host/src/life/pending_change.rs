//! Starting, exchanging and stopping LPMs as futures: each change is made on a thread of its own.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;

use super::lifecycle::{Lifecycle, lock};
use super::reconfigure::Reconfiguration;
use super::startup::Startup;
use super::teardown::Teardown;
use crate::config::LpmConfig;
use crate::error::{PcmError, StartError};

/// A change of the LPMs that is under way: a future of its result, for any runtime.
///
/// Dropping it lets the change go on.
#[must_use = "it tells whether the change was made"]
pub struct PendingChange<R>(Arc<Mutex<Progress<R>>>);

enum Progress<R> {
    /// With whoever waits.
    UnderWay(Option<Waker>),
    Over(thread::Result<R>),
    Taken,
}

impl<R: Send + 'static> PendingChange<R> {
    /// Begins the change; without a thread it fails as `no_thread` says.
    fn begin(
        no_thread: impl FnOnce(PcmError) -> R,
        change: impl FnOnce() -> R + Send + 'static,
    ) -> Self {
        let progress = Arc::new(Mutex::new(Progress::UnderWay(None)));
        let theirs = Arc::clone(&progress);
        let begun = thread::Builder::new()
            .name("lpm-change".to_owned())
            .spawn(move || {
                // A panic is the host's own, and goes on where the result is waited for.
                let over = catch_unwind(AssertUnwindSafe(change));
                let before = std::mem::replace(&mut *lock(&theirs), Progress::Over(over));
                if let Progress::UnderWay(Some(waker)) = before {
                    waker.wake();
                }
            });
        if let Err(error) = begun {
            let failed = no_thread(PcmError::NoThread(error.kind()));
            *lock(&progress) = Progress::Over(Ok(failed));
        }
        Self(progress)
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
            let mut progress = lock(&self.0);
            let now = match &*progress {
                Progress::UnderWay(_) => Progress::UnderWay(Some(waker)),
                _ => Progress::Taken,
            };
            std::mem::replace(&mut *progress, now)
        };
        match before {
            Progress::UnderWay(_) => Poll::Pending,
            Progress::Over(result) => {
                Poll::Ready(result.unwrap_or_else(|panic| resume_unwind(panic)))
            }
            Progress::Taken => panic!("a change was polled after it was over"),
        }
    }
}

impl<R> fmt::Debug for PendingChange<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingChange").finish_non_exhaustive()
    }
}

impl Lifecycle {
    /// [`Pcm::become_dsbm_later`](crate::Pcm::become_dsbm_later).
    pub(crate) fn start_later(self: &Arc<Self>) -> PendingChange<Result<Startup, StartError>> {
        let lifecycle = Arc::clone(self);
        PendingChange::begin(|error| Err(error.into()), move || lifecycle.start())
    }

    /// [`Pcm::reconfigure_later`](crate::Pcm::reconfigure_later).
    pub(crate) fn reconfigure_later(
        self: &Arc<Self>,
        configs: Vec<LpmConfig>,
    ) -> PendingChange<Result<Reconfiguration, StartError>> {
        let lifecycle = Arc::clone(self);
        let number = self.newest_list.fetch_add(1, Ordering::Relaxed) + 1;
        PendingChange::begin(
            |error| Err(error.into()),
            move || loop {
                if lifecycle.newest_list.load(Ordering::Relaxed) != number {
                    return Err(PcmError::Superseded.into());
                }
                match lifecycle.reconfigure(configs.clone()) {
                    Err(StartError::Pcm(PcmError::Busy)) => lifecycle.wait_while_changing(),
                    done => return done,
                }
            },
        )
    }

    /// [`Pcm::shutdown_later`](crate::Pcm::shutdown_later).
    pub(crate) fn shutdown_later(self: &Arc<Self>) -> PendingChange<Result<Teardown, PcmError>> {
        let lifecycle = Arc::clone(self);
        // Lists that wait are not wanted any more.
        self.newest_list.fetch_add(1, Ordering::Relaxed);
        PendingChange::begin(Err, move || lifecycle.shut_down())
    }
}
