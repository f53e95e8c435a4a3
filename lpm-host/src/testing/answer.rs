//! What the LPM answers, now or later.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lpm_api::{Decision, LpmStatus};

use crate::answers::objects::OutgoingVerdict;
use crate::ask::admission::Admission;
use crate::ask::outgoing::PendingObjects;
use crate::verdict::{FlowVerdict, Verdict};

/// How long a test waits for another thread of the LPM, in real time: longer than any machine
/// takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What an LPM answers to a request for decisions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answered {
    /// One decision per flow descriptor of the message.
    Decided {
        /// The decisions, in the message's order.
        decisions: Vec<Decision>,
        /// Whether the LPM asks for a refresh at once.
        immediate_refresh: bool,
    },
    /// None, so that the PCM rejects the flows; why is what [`Verdict::failure`] says.
    Failed(LpmStatus),
}

/// What an LPM supplies for an outgoing message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Supplied {
    /// POLICY_DATA objects in network byte order, one after the other; empty: none.
    Objects(Vec<u8>),
    /// The message is not to go out.
    Drop,
    /// Nothing, with the statuses of [`Verdict::failure`]; the message goes out without.
    Failed(LpmStatus),
}

/// An answer that may still be to come. Dropping one that is not there yet withdraws the message,
/// as dropping an [`Admission`] does.
#[must_use = "dropping it withdraws the message"]
pub struct Pending<A: Answer>(Mutex<Progress<A>>);

enum Progress<A: Answer> {
    Here(A),
    Open(A::Question),
    /// Only while it is looked at.
    Looked,
}

impl<A: Answer> Pending<A> {
    pub(super) const fn new(question: A::Question) -> Self {
        Self(Mutex::new(Progress::Open(question)))
    }

    /// The answer, if it is there.
    #[must_use]
    pub fn answer(&self) -> Option<A> {
        self.within(Duration::ZERO)
    }

    /// Waits for the answer, which comes from another thread.
    ///
    /// # Panics
    ///
    /// When none comes for a minute. The clock of the [`TestPcm`](super::TestPcm) stands still
    /// meanwhile, so the result time limit never passes by itself.
    #[must_use]
    pub fn wait(self) -> A {
        let answer = self.within(PATIENCE);
        answer.unwrap_or_else(|| panic!("no answer for {PATIENCE:?}: the LPM kept the token"))
    }

    fn within(&self, limit: Duration) -> Option<A> {
        let mut progress = self.lock();
        *progress = match std::mem::replace(&mut *progress, Progress::Looked) {
            Progress::Open(question) => match A::within(question, limit) {
                Ok(answer) => Progress::Here(answer),
                Err(open) => Progress::Open(open),
            },
            there => there,
        };
        match &*progress {
            Progress::Here(answer) => Some(answer.clone()),
            _ => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress<A>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A: Answer> fmt::Debug for Pending<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pending").field(&self.answer()).finish()
    }
}

/// What can be waited for: [`Answered`] and [`Supplied`].
#[expect(private_bounds, reason = "only this module implements it")]
pub trait Answer: Waited + Clone + fmt::Debug {}

impl Answer for Answered {}
impl Answer for Supplied {}

pub(super) trait Waited: Sized {
    /// What the PCM has open.
    type Question;

    /// The answer, if it is there after this time.
    fn within(question: Self::Question, limit: Duration) -> Result<Self, Self::Question>;
}

impl Waited for Answered {
    type Question = Admission;

    fn within(admission: Admission, limit: Duration) -> Result<Self, Admission> {
        if admission.wait_for(limit) {
            Ok(Self::from(&admission.wait()))
        } else {
            Err(admission)
        }
    }
}

impl From<&Verdict> for Answered {
    fn from(verdict: &Verdict) -> Self {
        match verdict.failure() {
            Some(status) => Self::Failed(status),
            None => Self::Decided {
                decisions: verdict.flows().iter().map(decision).collect(),
                immediate_refresh: verdict.immediate_refresh(),
            },
        }
    }
}

/// What the only LPM there is said: where it was not its word, it had no opinion.
fn decision(flow: &FlowVerdict) -> Decision {
    match flow.by {
        Some(_) => flow.decision,
        None => Decision::DontCare,
    }
}

impl Waited for Supplied {
    type Question = PendingObjects;

    fn within(pending: PendingObjects, limit: Duration) -> Result<Self, PendingObjects> {
        let objects = pending.within(limit)?;
        Ok(match (objects.failure(), objects.verdict()) {
            (Some(status), _) => Self::Failed(status),
            (None, OutgoingVerdict::Drop { .. }) => Self::Drop,
            (None, OutgoingVerdict::Send(objects)) => Self::Objects(objects.policy_data),
        })
    }
}
