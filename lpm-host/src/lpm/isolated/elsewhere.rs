//! Where LPMs do not run in processes of their own: the same names, of which there is nothing.

use std::sync::Arc;
use std::time::Duration;

use lpm_api::LpmStatus;

use super::super::lpmapi::conduct::Conduct;
use super::answered::Answered;
use crate::message::ReceivedMessage;

/// There is none.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Process {}

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
        _: impl Iterator<Item = (ReceivedMessage<'a>, usize, u64)> + Clone,
        _: &mut Vec<Answered>,
    ) -> Result<(), LpmStatus> {
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
