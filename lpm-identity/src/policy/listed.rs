//! Who has a section of their own.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use lpm_sample::listed;

use super::section::Section;

/// Users or applications that are listed, found by name.
#[derive(Debug, Default)]
pub struct Listed {
    pub(super) names: listed::Listed,
    pub(super) members: Vec<Member>,
}

/// One that is listed.
#[derive(Debug)]
pub(crate) struct Member {
    /// What is set for this one alone, where anything is.
    pub(super) section: Option<Box<Section>>,
    /// Where among the policy's lists of groups its own is.
    pub(super) groups: usize,
    /// The DN, or else the ID: under this name flows are counted, also when the policy is reread.
    pub(crate) name: Arc<[u8]>,
    /// The ledger's account of that name, from the first flow on.
    pub(crate) account: AtomicU32,
}

impl Listed {
    /// How many are listed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether none is listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Their names.
    #[must_use]
    pub fn names(&self) -> &listed::Listed {
        &self.names
    }

    pub(crate) fn member(&self, place: usize) -> &Member {
        &self.members[place]
    }
}
