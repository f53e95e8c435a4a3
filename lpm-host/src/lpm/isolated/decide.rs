//! What an LPM is asked to decide on, and what it says, in words.

use lpm_abi::{AbiAdmit, AbiAnswer, AbiDecision, AbiInterface, AbiMessage, AbiTime};
use lpm_api::abi::{abi_message, message};

use super::super::calls::Facts;
use super::calls::{answer, interface, put_message, take_message, words_of_interface};
use super::words::{Malformed, Put, Take, flag, narrow};
use crate::message::ReceivedMessage;

/// A request for decisions, or for a reason.
pub(crate) struct Admit<'a> {
    /// Its handle, where it was given one before.
    pub(crate) handle: u64,
    pub(crate) flows: usize,
    pub(crate) received: Received<'a>,
}

/// A message as it was received.
pub(crate) struct Received<'a> {
    integrity_verified: bool,
    received: AbiTime,
    interface: AbiInterface,
    message: AbiMessage<'a>,
}

impl<'a> Admit<'a> {
    /// What a request is about that comes over the ABI.
    pub(crate) fn of(request: &AbiAdmit<'a>, handle: u64) -> Self {
        Self {
            handle,
            flows: request.places.len(),
            received: Received {
                integrity_verified: request.integrity_verified,
                received: request.call.received().into(),
                interface: request.call.interface(),
                message: request.message,
            },
        }
    }

    pub(crate) fn put(&self, put: &mut Put<'_>) {
        put.words(&Self::head(self.handle, self.flows));
        self.received.put(put);
    }

    /// What comes before the message.
    pub(super) const fn head(handle: u64, flows: usize) -> [u64; 2] {
        [handle, flows as u64]
    }

    pub(crate) fn take(take: &mut Take<'a>) -> Result<Self, Malformed> {
        Ok(Self {
            handle: take.number()?,
            flows: take.narrow()?,
            received: Received::take(take)?,
        })
    }
}

impl<'a> Received<'a> {
    pub(crate) fn put(&self, put: &mut Put<'_>) {
        let [index, family, first, second] = words_of_interface(&self.interface);
        put.words(&[
            self.integrity_verified.into(),
            u64::from_ne_bytes(self.received.seconds.to_ne_bytes()),
            self.received.nanoseconds.into(),
            index,
            family,
            first,
            second,
        ]);
        put_message(put, &self.message);
    }

    pub(crate) fn take(take: &mut Take<'a>) -> Result<Self, Malformed> {
        let [
            integrity_verified,
            seconds,
            nanoseconds,
            index,
            family,
            first,
            second,
        ] = *take.numbers()?;
        Ok(Self {
            integrity_verified: flag(integrity_verified)?,
            received: AbiTime {
                seconds: i64::from_ne_bytes(seconds.to_ne_bytes()),
                nanoseconds: narrow(nanoseconds)?,
            },
            interface: interface([index, family, first, second])?,
            message: take_message(take)?,
        })
    }
}

impl Facts for Received<'_> {
    fn message(&self) -> AbiMessage<'_> {
        self.message
    }

    fn time(&self) -> AbiTime {
        self.received
    }

    fn interface(&self) -> AbiInterface {
        self.interface
    }

    fn integrity_verified(&self) -> bool {
        self.integrity_verified
    }
}

impl<'a> From<&ReceivedMessage<'a>> for Received<'a> {
    fn from(received: &ReceivedMessage<'a>) -> Self {
        Self {
            integrity_verified: received.integrity_verified,
            received: received.received.into(),
            interface: received.interface.into(),
            message: abi_message(received.message),
        }
    }
}

impl<'a> From<&Received<'a>> for ReceivedMessage<'a> {
    fn from(received: &Received<'a>) -> Self {
        Self {
            message: message(&received.message),
            interface: received.interface.into(),
            received: received.received.into(),
            integrity_verified: received.integrity_verified,
        }
    }
}

/// What an LPM said when it was asked to decide.
pub(crate) struct Decided<'a> {
    pub(crate) answer: AbiAnswer,
    /// It took the request's handle for an answer that may come later.
    pub(crate) is_deferred: bool,
    /// One for each flow, where it answered.
    pub(crate) decisions: &'a [AbiDecision],
}

impl<'a> Decided<'a> {
    pub(crate) fn put(&self, put: &mut Put<'_>) {
        let (status, flags) = (self.answer.status().0, self.answer.flags());
        put.words(&[status.into(), flags.into(), self.is_deferred.into()]);
        put.plain(self.decisions);
    }

    #[inline]
    pub(crate) fn take(take: &mut Take<'a>) -> Result<Self, Malformed> {
        let [status, flags, is_deferred] = *take.numbers()?;
        Ok(Self {
            answer: answer(status, flags)?,
            is_deferred: flag(is_deferred)?,
            decisions: take.plain()?,
        })
    }
}
