//! Who has a section of their own.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use super::settings::Section;
use crate::name::Name;

/// Users or applications that are listed, found by name.
#[derive(Debug, Default)]
pub struct Listed {
    pub(super) by_dn: HashMap<Arc<[u8]>, u32>,
    pub(super) by_id: HashMap<Arc<[u8]>, u32>,
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
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether none is listed.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Who has this DN.
    pub fn with_dn(&self, dn: &Name) -> Option<usize> {
        place(&self.by_dn, dn.as_bytes())
    }

    /// Who has this DN, or else the longest part of it, from its beginning on.
    pub fn covering_dn(&self, dn: &Name) -> Option<usize> {
        dn.leading_rdns().find_map(|dn| place(&self.by_dn, dn))
    }

    /// Who has this ID.
    pub fn with_id(&self, id: &Name) -> Option<usize> {
        place(&self.by_id, id.as_bytes())
    }

    pub(crate) fn member(&self, place: usize) -> &Member {
        &self.members[place]
    }
}

fn place(names: &HashMap<Arc<[u8]>, u32>, name: &[u8]) -> Option<usize> {
    names.get(name).map(|place| *place as usize)
}
