//! A verdict that may take its time.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use lpm_api::DeleteReason;

use super::tell::{StateGone, forget_refused};
use crate::answers::admitting::Admitting;
use crate::serving::Serving;
use crate::verdict::Verdict;

/// A message that LPMs were asked about, and that not all of them may have decided on: a future of
/// the [`Verdict`], for any runtime or none ([`wait`](Self::wait)).
///
/// It ends at the latest when the LPMs' result time limits do, or the PCM is stopped. Dropping it
/// withdraws the message: every LPM is told to forget the flows.
#[must_use = "dropping it withdraws the message"]
pub struct Admission(Option<Progress>);

enum Progress {
    Decided(Verdict),
    Open(Open),
}

struct Open {
    admitting: Arc<Admitting>,
    serving: Arc<Serving>,
}

impl Admission {
    pub(crate) fn decided(verdict: Verdict) -> Self {
        Self(Some(Progress::Decided(verdict)))
    }

    pub(crate) fn open(admitting: Arc<Admitting>, serving: Arc<Serving>) -> Self {
        Self(Some(Progress::Open(Open { admitting, serving })))
    }

    /// Whether every LPM has answered, so that [`wait`](Self::wait) returns at once.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        match &self.0 {
            Some(Progress::Open(open)) => open.admitting.is_complete(),
            _ => true,
        }
    }

    /// Waits until every LPM has answered, no longer than `limit` in real time; whether they have.
    #[cfg(feature = "testing")]
    pub(crate) fn wait_for(&self, limit: std::time::Duration) -> bool {
        match &self.0 {
            Some(Progress::Open(open)) => open.admitting.said().wait_for(limit),
            _ => true,
        }
    }

    /// Blocks until every LPM has answered, or its time is over.
    #[must_use]
    pub fn wait(mut self) -> Verdict {
        match self.0.take() {
            Some(Progress::Decided(verdict)) => verdict,
            Some(Progress::Open(open)) => {
                let verdict = open.admitting.wait();
                open.conclude(verdict)
            }
            None => Verdict::undecided(),
        }
    }

    /// Has `callback` called with the verdict: on this thread, before this returns, where every LPM
    /// has answered; else later, on a thread of the PCM's.
    pub(crate) fn then(mut self, callback: impl FnOnce(Verdict) + Send + 'static) {
        match self.0.take() {
            Some(Progress::Decided(verdict)) => callback(verdict),
            Some(Progress::Open(open)) => {
                let admitting = Arc::clone(&open.admitting);
                let dispatcher = Arc::clone(&open.serving.dispatcher);
                admitting.then(&dispatcher, move |verdict| callback(open.conclude(verdict)));
            }
            None => {}
        }
    }
}

impl Open {
    /// The verdict, with the LPMs told of flows that are refused.
    fn conclude(self, verdict: Verdict) -> Verdict {
        forget_refused(&self.serving, || self.admitting.received(), &verdict);
        self.admitting.keep();
        verdict
    }
}

impl Future for Admission {
    type Output = Verdict;

    /// # Panics
    ///
    /// When it is polled after it was ready.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Verdict> {
        match self.0.take() {
            Some(Progress::Decided(verdict)) => Poll::Ready(verdict),
            Some(Progress::Open(open)) => match open.admitting.poll(context) {
                Poll::Ready(verdict) => Poll::Ready(open.conclude(verdict)),
                Poll::Pending => {
                    self.0 = Some(Progress::Open(open));
                    Poll::Pending
                }
            },
            None => panic!("an admission was polled after it was ready"),
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let Some(Progress::Open(open)) = self.0.take() else {
            return;
        };
        let admitting = Arc::clone(&open.admitting);
        let dispatcher = Arc::clone(&open.serving.dispatcher);
        admitting.then(&dispatcher, move |_| {
            let received = open.admitting.received();
            let gone = StateGone {
                reason: DeleteReason::AdmissionControlFailed,
                message: received.message,
                flow: None,
                interface: Some(received.interface),
            };
            // Stopped LPMs have nothing to forget.
            if let Ok(roster) = open.serving.in_charge() {
                gone.tell(&roster, &open.serving);
            }
        });
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission")
            .field("is_decided", &self.is_decided())
            .finish_non_exhaustive()
    }
}
