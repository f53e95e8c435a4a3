//! Who has what of a pool, by priority: so that whoever has to give way is found without a look at
//! the others.

use std::collections::{BTreeMap, BTreeSet};

use lpm_api::Priority;

/// What a reservation takes of its pool, and the priority that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) priority: Priority,
    /// In bit/s.
    pub(crate) rate: u64,
}

/// The holders of a pool; those that take nothing of it are not counted.
#[derive(Debug)]
pub(crate) struct Ranks<K>(BTreeMap<Priority, Rank<K>>);

/// The holders with the same priority.
#[derive(Debug)]
struct Rank<K> {
    taken: u128,
    holders: BTreeSet<K>,
}

impl<K> Default for Ranks<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Copy + Ord> Ranks<K> {
    /// Puts a holder elsewhere; `None` is nowhere.
    pub(crate) fn change(&mut self, holder: K, from: Option<Standing>, to: Option<Standing>) {
        if from == to {
            return;
        }
        if let Some(Standing { priority, rate }) = takes(from) {
            if let Some(rank) = self.0.get_mut(&priority) {
                rank.taken -= u128::from(rate);
                rank.holders.remove(&holder);
                if rank.holders.is_empty() {
                    self.0.remove(&priority);
                }
            }
        }
        if let Some(Standing { priority, rate }) = takes(to) {
            let rank = self.0.entry(priority).or_insert_with(|| Rank {
                taken: 0,
                holders: BTreeSet::new(),
            });
            rank.taken += u128::from(rate);
            rank.holders.insert(holder);
        }
    }

    /// What those below a priority take together, in bit/s.
    pub(crate) fn taken_below(&self, priority: Priority) -> u128 {
        self.0.range(..priority).map(|(_, rank)| rank.taken).sum()
    }

    /// Those below a priority, the lowest first.
    pub(crate) fn below(&self, priority: Priority) -> impl Iterator<Item = K> + use<'_, K> {
        let ranks = self.0.range(..priority);
        ranks.flat_map(|(_, rank)| rank.holders.iter().copied())
    }
}

fn takes(standing: Option<Standing>) -> Option<Standing> {
    standing.filter(|standing| standing.rate > 0)
}
