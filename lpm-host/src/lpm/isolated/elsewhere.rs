//! Where LPMs do not run in processes of their own: the same names, of which there is nothing.

use std::sync::Arc;
use std::time::Duration;

use super::super::lpmapi::conduct::Conduct;

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
