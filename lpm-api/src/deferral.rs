//! Answers that come later.

use lpm_abi::{LpmStatus, RequestHandle};

use crate::callbacks::{PcmCallbacks, ResultError};
use crate::decision::Decision;

/// The right to answer one deferred request for decisions, once, from any thread.
///
/// Dropping it without an answer, also by a panic, rejects the request: nobody waits for an answer
/// that cannot come. After the result time limit, or once the LPM is deinitialized, the request is
/// rejected anyway, and completing it is an error that may be ignored.
#[derive(Debug)]
#[must_use = "dropping it rejects the request; `complete` answers it"]
pub struct Deferral {
    token: Token,
    flow_count: usize,
}

impl Deferral {
    pub(crate) const fn new(
        callbacks: PcmCallbacks,
        request: RequestHandle,
        flow_count: usize,
    ) -> Self {
        Self {
            token: Token {
                callbacks,
                request,
                fail: PcmCallbacks::admit_failed,
            },
            flow_count,
        }
    }

    /// Names the request among all that this LPM deferred.
    #[must_use]
    pub const fn handle(&self) -> RequestHandle {
        self.token.request
    }

    /// How many decisions the answer takes: one per flow descriptor of the message.
    #[must_use]
    pub const fn flow_count(&self) -> usize {
        self.flow_count
    }

    /// Answers with one decision per flow descriptor, in the message's order.
    ///
    /// # Errors
    ///
    /// Why the PCM did not take the answer; with another number of decisions than
    /// [`flow_count`](Self::flow_count) the request is rejected.
    pub fn complete(self, decisions: &[Decision]) -> Result<(), ResultError> {
        self.finish(false, decisions)
    }

    /// Answers with the same decision for every flow descriptor.
    ///
    /// # Errors
    ///
    /// Why the PCM did not take the answer.
    pub fn complete_all(self, decision: Decision) -> Result<(), ResultError> {
        match self.flow_count {
            1 => self.finish(false, &[decision]),
            count => self.finish(false, &vec![decision; count]),
        }
    }

    /// Answers as [`complete`](Self::complete) does, and asks for an RSVP refresh at once rather
    /// than at the next refresh time (lpmapi `FORCE_IMMEDIATE_REFRESH`).
    ///
    /// # Errors
    ///
    /// As [`complete`](Self::complete).
    pub fn complete_with_immediate_refresh(
        self,
        decisions: &[Decision],
    ) -> Result<(), ResultError> {
        self.finish(true, decisions)
    }

    fn finish(self, immediate_refresh: bool, decisions: &[Decision]) -> Result<(), ResultError> {
        let (callbacks, request) = self.token.defuse();
        callbacks.admit_result(request, immediate_refresh, decisions)
    }
}

/// The right to answer one deferred request for objects, once, from any thread. Dropping it
/// without an answer supplies none.
#[derive(Debug)]
#[must_use = "dropping it supplies no objects; `supply` answers"]
pub struct ObjectsDeferral(Token);

impl ObjectsDeferral {
    pub(crate) const fn new(callbacks: PcmCallbacks, request: RequestHandle) -> Self {
        Self(Token {
            callbacks,
            request,
            fail: PcmCallbacks::objects_failed,
        })
    }

    /// Names the request among all that this LPM deferred.
    #[must_use]
    pub const fn handle(&self) -> RequestHandle {
        self.0.request
    }

    /// Supplies POLICY_DATA objects, as
    /// [`ObjectsRequest::supply`](crate::ObjectsRequest::supply) does.
    ///
    /// # Errors
    ///
    /// Why the PCM did not take them.
    pub fn supply(self, policy_data: &[u8]) -> Result<(), ResultError> {
        let (callbacks, request) = self.0.defuse();
        callbacks.objects_result(request, policy_data)
    }

    /// Stops the outgoing message (lpmapi `LPV_DROP_MSG`).
    ///
    /// # Errors
    ///
    /// Why the PCM did not take the answer.
    pub fn drop_message(self) -> Result<(), ResultError> {
        let (callbacks, request) = self.0.defuse();
        callbacks.drop_message(request)
    }
}

/// A request that fails when it is dropped.
#[derive(Debug)]
struct Token {
    callbacks: PcmCallbacks,
    request: RequestHandle,
    fail: fn(&PcmCallbacks, RequestHandle, LpmStatus) -> Result<(), ResultError>,
}

impl Token {
    fn defuse(self) -> (PcmCallbacks, RequestHandle) {
        let parts = (self.callbacks, self.request);
        std::mem::forget(self);
        parts
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        // Where the request is over already there is nothing left to fail.
        let _ = (self.fail)(&self.callbacks, self.request, LpmStatus::FORGOTTEN);
    }
}
