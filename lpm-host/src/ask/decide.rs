//! Deciding on a message.

use std::sync::Arc;

use lpm_api::DeleteReason;
use lpm_rsvp::MessageType;

use super::admission::Admission;
use super::asking::{Asking, Progress};
use super::tell::{StateGone, forget, forget_refused};
use crate::answers::decisions::Decisions;
use crate::answers::pending::Pending;
use crate::error::PcmError;
use crate::message::{OwnedReceived, ReceivedMessage};
use crate::roster::Roster;
use crate::serving::Serving;
use crate::verdict::Verdict;

/// [`Pcm::admit`](crate::Pcm::admit).
#[inline]
pub(crate) fn now(serving: &Serving, received: &ReceivedMessage<'_>) -> Result<Verdict, PcmError> {
    let wait = |pending: Arc<Pending<Decisions>>| {
        let verdict = pending.wait().verdict();
        forget_refused(serving, received, &verdict);
        verdict
    };
    ask(serving, received, |verdict| verdict, wait)
}

/// [`Pcm::admit_later`](crate::Pcm::admit_later).
pub(crate) fn later(
    serving: &Arc<Serving>,
    received: &ReceivedMessage<'_>,
) -> Result<Admission, PcmError> {
    ask(serving, received, Admission::decided, |pending| {
        Admission::open(pending, OwnedReceived::from(received), Arc::clone(serving))
    })
}

/// Asks the LPMs. The verdict goes to `answered` if all of them answer at once, after they were told to
/// forget what is refused; else what there is to wait for goes to `open`.
#[inline]
fn ask<R>(
    serving: &Serving,
    received: &ReceivedMessage<'_>,
    answered: impl FnOnce(Verdict) -> R,
    open: impl FnOnce(Arc<Pending<Decisions>>) -> R,
) -> Result<R, PcmError> {
    let roster = serving.in_charge()?;
    let asking = Asking::new(received, &roster, serving);
    let Some(flow) = asking.ask_about_one_flow() else {
        let progress = go_on(&asking, &roster, received, serving);
        drop(roster);
        return match progress {
            Some(Progress::Answered(verdict)) => Ok(answered(verdict)),
            Some(Progress::Open(pending)) => Ok(open(pending)),
            // An LPM is closed only after its list was replaced: the next list is another one.
            None => ask(serving, received, answered, open),
        };
    };
    if !flow.is_accepted() {
        forget(&roster, received, &[flow], serving);
    }
    Ok(answered(asking.verdict_of_one(flow)))
}

/// Whatever is not a message about one flow that all LPMs decide on at once. `None`: an LPM was stopped
/// meanwhile, so that not all of them could be asked.
#[inline(never)]
fn go_on(
    asking: &Asking<'_>,
    roster: &Roster,
    received: &ReceivedMessage<'_>,
    serving: &Serving,
) -> Option<Progress> {
    let reason = match received.message.message_type() {
        MessageType::Path | MessageType::Resv | MessageType::PathErr | MessageType::ResvErr => {
            let progress = asking.go_on()?;
            if let Progress::Answered(verdict) = &progress {
                forget(roster, received, verdict.flows(), serving);
            }
            return Some(progress);
        }
        MessageType::PathTear => DeleteReason::ReceivedPathTear,
        MessageType::ResvTear => DeleteReason::ReceivedResvTear,
        // Confirmations and the rest never reach an LPM.
        _ => return Some(Progress::Answered(Verdict::undecided())),
    };
    let gone = StateGone {
        reason,
        message: received.message,
        flow: None,
        interface: Some(received.interface),
    };
    gone.tell(roster, serving);
    Some(Progress::Answered(Verdict::undecided()))
}
