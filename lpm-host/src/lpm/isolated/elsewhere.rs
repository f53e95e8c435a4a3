//! Where LPMs do not run in processes of their own: the same names, of which there is nothing.

use std::sync::Arc;
use std::time::Duration;

use lpm_abi::{AbiAnswer, AbiDecision};
use lpm_api::LpmStatus;

use super::super::lpmapi::conduct::Conduct;
use crate::message::ReceivedMessage;
use crate::verdict::PerFlow;

/// There is none.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Process {}

/// What it would say.
#[allow(dead_code, reason = "nobody says it")]
pub(crate) struct Answered {
    pub(crate) answer: AbiAnswer,
    pub(crate) is_deferred: bool,
    pub(crate) decisions: PerFlow<AbiDecision>,
}

impl Process {
    pub(crate) fn id(&self) -> Option<u32> {
        match *self {}
    }

    pub(crate) fn conduct(&self) -> Option<&Arc<Conduct>> {
        match *self {}
    }

    pub(crate) fn version(&self) -> Option<&str> {
        match *self {}
    }

    pub(crate) fn has_ended(&self) -> bool {
        match *self {}
    }

    pub(crate) fn admit_many<'a>(
        &self,
        _: impl ExactSizeIterator<Item = (ReceivedMessage<'a>, usize, u64)> + Clone,
    ) -> Result<Vec<Answered>, LpmStatus> {
        match *self {}
    }

    pub(crate) fn is_calling(&self) -> bool {
        match *self {}
    }

    pub(crate) fn kill(&self, _: String) {
        match *self {}
    }

    pub(crate) fn end(&self, _: Duration) {
        match *self {}
    }

    pub(crate) fn refresh_level(&self) {
        match *self {}
    }
}
