//! The LPMs that there were, by name and by handle: what is counted of them, and who a verdict is
//! by, are asked for when they may be gone.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lpm_api::LpmHandle;

use crate::seat::restarts::Restarts;
use crate::tally::Tally;

/// So many handles are remembered: an LPM that is initialized anew has another one each time.
const MOST_HANDLES: usize = 4096;

/// The LPMs of a PCM.
#[derive(Default)]
pub(crate) struct KnownLpms(Mutex<Lists>);

#[derive(Default)]
struct Lists {
    /// In the order in which they were first initialized.
    tallies: Vec<(Arc<str>, Arc<Tally>)>,
    /// By name, of LPMs in processes of their own.
    restarts: Vec<(Arc<str>, Arc<Restarts>)>,
    /// The newest last.
    names: VecDeque<(LpmHandle, Arc<str>)>,
}

impl KnownLpms {
    /// Remembers an LPM. What is counted of it goes on from where an earlier one of this name was.
    pub(crate) fn add(&self, handle: LpmHandle, name: &Arc<str>) -> Arc<Tally> {
        let mut lists = self.lock();
        if lists.names.len() == MOST_HANDLES {
            lists.names.pop_front();
        }
        lists.names.push_back((handle, Arc::clone(name)));
        if let Some((_, tally)) = lists.tallies.iter().find(|(other, _)| other == name) {
            return Arc::clone(tally);
        }
        let tally = Arc::<Tally>::default();
        let of_name = (Arc::clone(name), Arc::clone(&tally));
        lists.tallies.push(of_name);
        tally
    }

    /// The restarts of the LPM of this name, of earlier ones, too.
    pub(crate) fn restarts(&self, name: &Arc<str>) -> Arc<Restarts> {
        let mut lists = self.lock();
        if let Some((_, restarts)) = lists.restarts.iter().find(|(other, _)| other == name) {
            return Arc::clone(restarts);
        }
        let restarts = Arc::<Restarts>::default();
        lists
            .restarts
            .push((Arc::clone(name), Arc::clone(&restarts)));
        restarts
    }

    /// The name of an LPM.
    pub(crate) fn name(&self, handle: LpmHandle) -> Option<Arc<str>> {
        let lists = self.lock();
        let mut names = lists.names.iter().rev();
        let (_, name) = names.find(|(other, _)| *other == handle)?;
        Some(Arc::clone(name))
    }

    /// What is counted, by name.
    pub(crate) fn tallies(&self) -> Vec<(Arc<str>, Arc<Tally>)> {
        self.lock().tallies.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Lists> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_tally_and_handles_are_remembered_for_long() {
        let known = KnownLpms::default();
        let (one, other) = (Arc::from("one"), Arc::from("other"));
        let first = known.add(LpmHandle::new(1), &one);
        first.count_request();
        for number in 2..=4096 {
            let tally = known.add(LpmHandle::new(number), &other);
            assert!(!Arc::ptr_eq(&tally, &first));
        }
        assert_eq!(known.name(LpmHandle::new(1)), Some(Arc::clone(&one)));
        let again = known.add(LpmHandle::new(4097), &one);
        assert_eq!(again.metrics(Arc::clone(&one)).requests, 1);
        assert_eq!(known.name(LpmHandle::new(1)), None);
        assert_eq!(known.name(LpmHandle::new(2)), Some(other));
        assert_eq!(known.tallies().len(), 2);
    }
}
