//! Deciding on a message.

use std::sync::Arc;

use lpm_api::DeleteReason;
use lpm_rsvp::MessageType;

use super::admission::Admission;
use super::asking::{Asking, Progress, flow_count};
use super::at_once::{self, Asked};
use super::tell::{StateGone, forget_refused};
use crate::error::PcmError;
use crate::message::ReceivedMessage;
use crate::serving::Serving;
use crate::verdict::Verdict;

/// [`Pcm::admit`](crate::Pcm::admit).
#[inline]
pub(crate) fn now(serving: &Serving, received: &ReceivedMessage<'_>) -> Result<Verdict, PcmError> {
    at_once::ask(serving, received, |asked| match asked {
        Asked::Accepted(flow) => Ok(Verdict::of_one(flow)),
        otherwise => wait(serving, received, otherwise),
    })
}

#[cold]
#[inline(never)]
fn wait(
    serving: &Serving,
    received: &ReceivedMessage<'_>,
    asked: Asked,
) -> Result<Verdict, PcmError> {
    match progress(serving, received, asked)? {
        Progress::Answered(verdict) => Ok(verdict),
        Progress::Open(admitting) => {
            let verdict = admitting.wait();
            admitting.keep();
            forget_refused(serving, || *received, &verdict);
            Ok(verdict)
        }
    }
}

/// [`Pcm::admit_later`](crate::Pcm::admit_later).
pub(crate) fn later(
    serving: &Arc<Serving>,
    received: &ReceivedMessage<'_>,
) -> Result<Admission, PcmError> {
    let asked = match at_once::ask(serving, received, |asked| asked) {
        Asked::Alone(admitting) => return Ok(Admission::open(admitting, Arc::clone(serving))),
        asked => asked,
    };
    Ok(match progress(serving, received, asked)? {
        Progress::Answered(verdict) => Admission::decided(verdict),
        Progress::Open(admitting) => {
            admitting.copy(received);
            Admission::open(admitting, Arc::clone(serving))
        }
    })
}

/// How far the LPMs got, who are asked now if they were not; those that refuse were told to forget
/// it.
fn progress(
    serving: &Serving,
    received: &ReceivedMessage<'_>,
    asked: Asked,
) -> Result<Progress, PcmError> {
    let mut progress = match asked {
        Asked::Accepted(flow) => Some(Progress::Answered(Verdict::of_one(flow))),
        Asked::Alone(admitting) => Some(Progress::Open(admitting)),
        Asked::Otherwise(progress) => progress?,
        Asked::Nobody => one_by_one(serving, received)?,
    };
    loop {
        match progress {
            Some(progress) => return Ok(progress),
            // An LPM is closed only after its list was replaced: the next list is another one.
            None => progress = one_by_one(serving, received)?,
        }
    }
}

/// Any message. `None`: an LPM was stopped meanwhile, so that not all of them could be asked.
#[inline(never)]
fn one_by_one(
    serving: &Serving,
    received: &ReceivedMessage<'_>,
) -> Result<Option<Progress>, PcmError> {
    let roster = serving.in_charge()?;
    let reason = match received.message.message_type() {
        MessageType::Path | MessageType::Resv | MessageType::PathErr | MessageType::ResvErr => {
            let flow_count = flow_count(&received.message);
            return Ok(Asking::new(received, &roster, serving, flow_count).ask());
        }
        MessageType::PathTear => DeleteReason::ReceivedPathTear,
        MessageType::ResvTear => DeleteReason::ReceivedResvTear,
        // Confirmations and the rest never reach an LPM.
        _ => return Ok(Some(Progress::Answered(Verdict::undecided()))),
    };
    let gone = StateGone {
        reason,
        message: received.message,
        flow: None,
        interface: Some(received.interface),
    };
    gone.tell(&roster, serving);
    Ok(Some(Progress::Answered(Verdict::undecided())))
}
