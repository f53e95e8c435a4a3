//! A map of which most have one entry: senders and next hops of a session. The standard library's
//! map takes room for eleven at once, which with what is kept here are kilobytes.

use smallvec::SmallVec;

/// A map in the order of its keys.
#[derive(Clone, Debug)]
pub(crate) struct Few<K, V>(SmallVec<[(K, Box<V>); 1]>);

impl<K, V> Default for Few<K, V> {
    fn default() -> Self {
        Self(SmallVec::new())
    }
}

impl<K: Ord, V> Few<K, V> {
    fn place(&self, key: &K) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| other.cmp(key))
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.place(key).is_ok()
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let place = self.place(key).ok()?;
        self.0.get(place).map(|(_, value)| &**value)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let place = self.place(key).ok()?;
        self.0.get_mut(place).map(|(_, value)| &mut **value)
    }

    /// Puts a value in; the one that was there before.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.place(&key) {
            Ok(place) => {
                let (_, old) = self.0.get_mut(place)?;
                Some(std::mem::replace(old, value))
            }
            Err(place) => {
                self.0.insert(place, (key, Box::new(value)));
                None
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let place = self.place(key).ok()?;
        let (_, value) = self.0.remove(place);
        Some(*value)
    }
}

impl<K, V> Few<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, &**value))
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.iter().map(|(key, _)| key)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| &**value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((any::<bool>(), 0..6_u8, any::<u8>()), 0..60)) {
            let (mut few, mut map) = (Few::default(), BTreeMap::new());
            for (is_put, key, value) in steps {
                match is_put {
                    true => prop_assert_eq!(few.insert(key, value), map.insert(key, value)),
                    false => prop_assert_eq!(few.remove(&key), map.remove(&key)),
                }
                prop_assert_eq!(few.get(&key), map.get(&key));
                prop_assert_eq!(few.get_mut(&key), map.get_mut(&key));
                prop_assert_eq!(few.contains_key(&key), map.contains_key(&key));
                prop_assert!(few.iter().eq(map.iter()));
                prop_assert!(few.keys().eq(map.keys()) && few.values().eq(map.values()));
                prop_assert_eq!((few.len(), few.is_empty()), (map.len(), map.is_empty()));
            }
        }
    }
}
