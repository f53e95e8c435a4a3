//! Values that stay where they are, many to an allocation: nothing is moved when there are more.

use std::ops::{Index, IndexMut};

/// How many are allocated together.
const TOGETHER: usize = 64;

/// Values by place, a small number. The place of one that is gone is given out again.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    chunks: Vec<Vec<Option<T>>>,
    free: Vec<u32>,
}

impl<T> Slots<T> {
    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.iter().count()
    }

    pub(crate) fn get(&self, place: u32) -> Option<&T> {
        let (chunk, at) = split(place);
        self.chunks.get(chunk)?.get(at)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, place: u32) -> Option<&mut T> {
        self.slot(place)?.as_mut()
    }

    pub(crate) fn insert(&mut self, value: T) -> u32 {
        if let Some(place) = self.free.pop() {
            if let Some(slot) = self.slot(place) {
                *slot = Some(value);
            }
            return place;
        }
        if self.chunks.last().is_none_or(|last| last.len() == TOGETHER) {
            self.chunks.push(Vec::with_capacity(TOGETHER));
        }
        let chunk = self.chunks.len() - 1;
        let place = chunk * TOGETHER + self.chunks[chunk].len();
        self.chunks[chunk].push(Some(value));
        u32::try_from(place).expect("memory ends before 2³² of them")
    }

    pub(crate) fn remove(&mut self, place: u32) -> Option<T> {
        let removed = self.slot(place)?.take()?;
        self.free.push(place);
        Some(removed)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten().flatten()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.chunks.iter_mut().flatten().flatten()
    }

    fn slot(&mut self, place: u32) -> Option<&mut Option<T>> {
        let (chunk, at) = split(place);
        self.chunks.get_mut(chunk)?.get_mut(at)
    }
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            free: Vec::new(),
        }
    }
}

/// Whoever has the place of a value that is there needs no other case.
impl<T> Index<u32> for Slots<T> {
    type Output = T;

    fn index(&self, place: u32) -> &T {
        self.get(place).expect("it is there")
    }
}

impl<T> IndexMut<u32> for Slots<T> {
    fn index_mut(&mut self, place: u32) -> &mut T {
        self.get_mut(place).expect("it is there")
    }
}

fn split(place: u32) -> (usize, usize) {
    (place as usize / TOGETHER, place as usize % TOGETHER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn values_stay_in_their_places_and_places_are_used_again() {
        let mut slots = Slots::default();
        let mut model = BTreeMap::new();
        for value in 0..10 * TOGETHER {
            assert_eq!(model.insert(slots.insert(value), value), None);
            if value % 3 == 0 {
                let place = *model.keys().nth(value / 7 % model.len()).unwrap();
                assert_eq!(slots.remove(place), model.remove(&place));
                assert_eq!((slots.remove(place), slots.get(place)), (None, None));
            }
        }
        assert_eq!(slots.len(), model.len());
        assert!(model.iter().all(|(place, value)| slots[*place] == *value));
        assert!(slots.chunks.len() < 8, "{}", slots.chunks.len());
        for value in slots.iter_mut() {
            *value += 1;
        }
        assert!(
            slots.iter().eq(model
                .values()
                .map(|value| value + 1)
                .collect::<Vec<_>>()
                .iter())
        );
    }
}
