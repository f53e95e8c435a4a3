//! Numbers that nothing has yet.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// Numbers that nothing has yet, the lowest first.
pub(super) struct Numbers<T> {
    next: RangeInclusive<T>,
    given_back: BTreeSet<T>,
}

impl<T: Copy + Ord> Numbers<T>
where
    RangeInclusive<T>: Iterator<Item = T>,
{
    pub(super) const fn new(all: RangeInclusive<T>) -> Self {
        Self {
            next: all,
            given_back: BTreeSet::new(),
        }
    }

    pub(super) fn take(&mut self) -> Option<T> {
        self.given_back.pop_first().or_else(|| self.next.next())
    }

    pub(super) fn give_back(&mut self, number: T) {
        self.given_back.insert(number);
    }
}
