//! Through what a record of a library is emitted: a callsite of the host.

use std::sync::Arc;

use lpm_abi::AbiInterest;

use super::sites::Site;

/// What a callsite told of itself for which there is no callsite in the host.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Generic {
    pub(super) level: u32,
    pub(super) is_span: bool,
    pub(super) target: String,
    pub(super) name: String,
    pub(super) file: String,
    pub(super) line: u32,
    pub(super) fields: Vec<String>,
}

/// The callsite of the host through which a record of a library is emitted.
#[derive(Clone)]
pub(super) struct Emitter {
    pub(super) site: &'static Site,
    /// Where the callsite is not the record's own.
    pub(super) generic: Option<Arc<Generic>>,
}

impl Emitter {
    /// Whether the host's subscribers want what is emitted.
    pub(super) fn interest(&self) -> AbiInterest {
        let interest = self.site.interest();
        if interest.is_always() {
            AbiInterest::Always
        } else if interest.is_sometimes() {
            AbiInterest::Sometimes
        } else {
            AbiInterest::Never
        }
    }
}
