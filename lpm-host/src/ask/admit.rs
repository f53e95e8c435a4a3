//! Deciding on a message.

use std::sync::Arc;

use lpm_api::abi::{AbiDeleteState, abi_message};
use lpm_api::{DeleteReason, Interface};
use lpm_rsvp::{Message, MessageType};

pub use super::admission::Admission;
use super::asking::{Asking, Question};
pub(crate) use crate::answers::decisions::Decisions;

use crate::answers::pending::Pending;
use crate::life::lifecycle::Lifecycle;
use crate::lpm::Instance;
use crate::message::{OwnedMessage, OwnedReceived};
use crate::roster::Roster;
use crate::{EventLog, FlowVerdict, PcmError, ReceivedMessage, Verdict};

/// State that is gone, and that the PCM was not told of by a teardown message.
#[derive(Clone, Copy, Debug)]
pub struct StateGone<'a> {
    /// Why.
    pub reason: DeleteReason,
    /// The message that names the session and the flows: the last Path or Resv of them.
    pub message: Message<'a>,
    /// The flow descriptor of the message that is concerned; `None`: all of them.
    pub flow: Option<u16>,
    /// The interface the message came in on.
    pub interface: Option<Interface>,
}

impl Lifecycle {
    /// [`Pcm::admit`](crate::Pcm::admit).
    #[inline]
    pub(crate) fn admit(&self, received: &ReceivedMessage<'_>) -> Result<Verdict, PcmError> {
        let wait = |pending: Arc<Pending<Decisions>>| {
            let verdict = pending.wait().verdict();
            self.conclude(received, &verdict);
            verdict
        };
        self.ask(received, |verdict| verdict, wait)
    }

    /// [`Pcm::admit_later`](crate::Pcm::admit_later).
    pub(crate) fn admit_later(
        self: &Arc<Self>,
        received: &ReceivedMessage<'_>,
    ) -> Result<Admission, PcmError> {
        self.ask(received, Admission::decided, |pending| {
            Admission::open(pending, OwnedReceived::from(received), Arc::clone(self))
        })
    }

    /// Asks the LPMs. The verdict goes to `answered` if all of them answer at once, after they were told to
    /// forget what is refused; else what there is to wait for goes to `open`.
    #[inline]
    fn ask<R>(
        &self,
        received: &ReceivedMessage<'_>,
        answered: impl FnOnce(Verdict) -> R,
        open: impl FnOnce(Arc<Pending<Decisions>>) -> R,
    ) -> Result<R, PcmError> {
        let roster = self.in_charge()?;
        let asking = Asking::new(received, &roster, self);
        let Some(flow) = asking.ask_about_one_flow() else {
            let question = self.go_on(&asking, &roster, received);
            drop(roster);
            return match question {
                Some(Question::Answered(verdict)) => Ok(answered(verdict)),
                Some(Question::Open(pending)) => Ok(open(pending)),
                // An LPM is closed only after its list was replaced: the next list is another one.
                None => self.ask(received, answered, open),
            };
        };
        if !flow.is_accepted() {
            forget_refused(&roster, received, &[flow], &**self.events());
        }
        let immediate_refresh = asking.immediate_refresh();
        Ok(answered(Verdict::of_one(flow, immediate_refresh)))
    }

    /// Whatever is not a message about one flow that all LPMs decide on at once. `None`: an LPM was stopped
    /// meanwhile, so that not all of them could be asked.
    #[inline(never)]
    fn go_on(
        &self,
        asking: &Asking<'_>,
        roster: &Roster,
        received: &ReceivedMessage<'_>,
    ) -> Option<Question> {
        match Treatment::of(received.message.message_type()) {
            Treatment::Decide | Treatment::DecideOnly => {
                let question = asking.go_on()?;
                if let Question::Answered(verdict) = &question {
                    forget_refused(roster, received, verdict.flows(), &**self.events());
                }
                return Some(question);
            }
            Treatment::Delete(reason) => {
                let gone = StateGone {
                    reason,
                    message: received.message,
                    flow: None,
                    interface: Some(received.interface),
                };
                delete_state(roster, &gone, &**self.events());
            }
            Treatment::Pass => {}
        }
        Some(Question::Answered(Verdict::undecided()))
    }

    /// Has the LPMs forget what is refused, once the last of them answered.
    pub(crate) fn conclude(&self, received: &ReceivedMessage<'_>, verdict: &Verdict) {
        if let Ok(roster) = self.in_charge() {
            forget_refused(&roster, received, verdict.flows(), &**self.events());
        }
    }
}

/// What becomes of a message of this type.
enum Treatment {
    /// LPMs decide, and forget flows that are refused.
    Decide,
    /// LPMs decide; there is no state to forget.
    DecideOnly,
    /// LPMs delete their state.
    Delete(DeleteReason),
    /// Confirmations and the rest never reach an LPM.
    Pass,
}

impl Treatment {
    #[inline]
    fn of(message_type: MessageType) -> Self {
        match message_type {
            MessageType::Path | MessageType::Resv => Self::Decide,
            MessageType::PathErr | MessageType::ResvErr => Self::DecideOnly,
            MessageType::PathTear => Self::Delete(DeleteReason::ReceivedPathTear),
            MessageType::ResvTear => Self::Delete(DeleteReason::ReceivedResvTear),
            _ => Self::Pass,
        }
    }
}

/// Lets every LPM drop what it kept for flows that are not admitted after all, where there is state to
/// forget.
#[cold]
fn forget_refused(
    roster: &Roster,
    received: &ReceivedMessage<'_>,
    flows: &[FlowVerdict],
    events: &dyn EventLog,
) {
    if !matches!(
        Treatment::of(received.message.message_type()),
        Treatment::Decide
    ) {
        return;
    }
    for (index, flow) in (0..).zip(flows) {
        if !flow.is_accepted() {
            let gone = StateGone {
                reason: DeleteReason::AdmissionControlFailed,
                message: received.message,
                flow: Some(index),
                interface: Some(received.interface),
            };
            delete_state(roster, &gone, events);
        }
    }
}

/// Tells every LPM that state is gone.
pub(crate) fn delete_state(roster: &Roster, gone: &StateGone<'_>, events: &dyn EventLog) {
    let call = |lpm: &Instance, message: Message<'_>, gone: &Gone| {
        lpm.delete_state(&AbiDeleteState {
            reason: gone.reason as u32,
            flow: gone.flow.into(),
            interface: gone.interface.map(Into::into).into(),
            message: abi_message(message),
        })
    };
    let about = Gone {
        reason: gone.reason,
        flow: gone.flow,
        interface: gone.interface,
    };
    roster.tell(
        "delete_state",
        events,
        |lpm| call(lpm, gone.message, &about),
        || {
            let message = OwnedMessage::from(gone.message);
            Box::new(move |lpm| call(lpm, message.view(), &about))
        },
    );
}

/// [`StateGone`] without its message.
#[derive(Clone, Copy)]
struct Gone {
    reason: DeleteReason,
    flow: Option<u16>,
    interface: Option<Interface>,
}
