//! Who is listed: users or applications, found by their names.
//!
//! A place is the number of a section in the policy file, from 0. What is set there is kept by
//! whoever reads the file.

use std::sync::Arc;

use foldhash::HashMap;
use lpm_api::Name;

/// Names of users or of applications, and whose they are.
#[derive(Debug, Default)]
pub struct Listed {
    by_dn: HashMap<Arc<[u8]>, u32>,
    /// DNs as the policy has them, where they are not canonical: most messages have them so, too.
    by_written_dn: HashMap<Box<[u8]>, u32>,
    by_id: HashMap<Arc<[u8]>, u32>,
}

impl Listed {
    /// Enters a DN, which is written so; `None` if it is somebody's already.
    pub fn enter_dn(&mut self, dn: &Name, written: &str, place: u32) -> Option<Arc<[u8]>> {
        let written = written.as_bytes();
        if written != dn.as_bytes() {
            self.by_written_dn.insert(written.into(), place);
        }
        enter(&mut self.by_dn, dn, place)
    }

    /// Enters an ID; `None` if it is somebody's already.
    pub fn enter_id(&mut self, id: &Name, place: u32) -> Option<Arc<[u8]>> {
        enter(&mut self.by_id, id, place)
    }

    /// Gives back the memory that only entering takes.
    pub fn shrink_to_fit(&mut self) {
        self.by_dn.shrink_to_fit();
        self.by_written_dn.shrink_to_fit();
        self.by_id.shrink_to_fit();
    }

    /// Who has the DN that is written so, if it is found without its canonical form.
    #[must_use]
    #[inline]
    pub fn with_written_dn(&self, written: &[u8]) -> Option<usize> {
        let place = self.by_written_dn.get(written);
        let place = place.or_else(|| self.by_dn.get(written));
        place.map(|place| *place as usize)
    }

    /// Who has this DN.
    #[must_use]
    pub fn with_dn(&self, dn: &Name) -> Option<usize> {
        place(&self.by_dn, dn.as_bytes())
    }

    /// Who has this DN, or else the longest part of it, from its beginning on.
    #[must_use]
    pub fn covering_dn(&self, dn: &Name) -> Option<usize> {
        dn.leading_rdns().find_map(|dn| place(&self.by_dn, dn))
    }

    /// Who has this ID.
    #[must_use]
    pub fn with_id(&self, id: &Name) -> Option<usize> {
        place(&self.by_id, id.as_bytes())
    }
}

fn enter(names: &mut HashMap<Arc<[u8]>, u32>, name: &Name, place: u32) -> Option<Arc<[u8]>> {
    let name: Arc<[u8]> = name.as_bytes().into();
    let before = names.insert(Arc::clone(&name), place);
    before.is_none().then_some(name)
}

fn place(names: &HashMap<Arc<[u8]>, u32>, name: &[u8]) -> Option<usize> {
    names.get(name).map(|place| *place as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dn_is_found_as_the_policy_has_it_and_canonical() {
        let mut listed = Listed::default();
        for (dn, place) in [("CN=Ada, O=Office", 0), ("cn=grace,o=office", 1)] {
            let name = Name::dn(dn).unwrap();
            assert!(listed.enter_dn(&name, dn, place).is_some());
            assert!(listed.enter_dn(&name, dn, place).is_none());
        }
        for (written, place) in [
            ("CN=Ada, O=Office", Some(0)),
            ("cn=ada,o=office", Some(0)),
            ("cn=grace,o=office", Some(1)),
            ("CN=Ada,O=Office", None),
            ("CN=Ada", None),
            ("", None),
        ] {
            let found = listed.with_written_dn(written.as_bytes());
            assert_eq!(found, place, "{written}");
        }
    }
}
