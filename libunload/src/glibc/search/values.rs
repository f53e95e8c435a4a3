//! What threads keep under keys of a library: its destructor will follow it when they end.

use super::super::ledger;
use super::super::memory;
use super::super::object::Object;
use super::super::tasks;
use super::objects::KEYS;
use super::threads::{GROUP, Layout};

const WORD: usize = size_of::<usize>();

/// The values under keys of this object that will be destroyed, each with its destructor.
pub(super) fn under_keys_of(object: &Object) -> Vec<(usize, usize)> {
    let (Some(layout), Some(table)) = (Layout::of_process(), KEYS.address()) else {
        return Vec::new();
    };
    let keys = keys_of(object, table);
    if keys.is_empty() {
        return Vec::new();
    }
    let threads = tasks::numbers().unwrap_or_default().into_iter();
    let pointers: Vec<_> = threads
        .filter_map(|thread| layout.pointer_of(thread))
        .collect();
    let mut found = Vec::new();
    for (key, destructor) in keys {
        let number = memory::word(table + 2 * WORD * key);
        for pointer in &pointers {
            let group = layout.place_of_group(*pointer, key / GROUP);
            let place = memory::word(group)
                .filter(|&group| group != 0)
                .map(|group| group + 2 * WORD * (key % GROUP));
            match place.and_then(memory::words) {
                Some([of, value]) if Some(of) == number => found.push((value, destructor)),
                _ => {}
            }
        }
    }
    found
}

/// Keys with destructors in this object: those that its ledger has, and those that glibc knows of.
fn keys_of(object: &Object, table: usize) -> Vec<(usize, usize)> {
    /// `PTHREAD_KEYS_MAX`
    const COUNT: usize = 1024;
    let mut words = vec![0; 2 * COUNT];
    let read = memory::read(table, &mut words).unwrap_or(0);
    let all = words[..read].chunks_exact(2).enumerate();
    let known = all.filter(|(_, key)| key[0] % 2 == 1 && object.range().contains(&key[1]));
    let mut keys: Vec<_> = known.map(|(number, key)| (number, key[1])).collect();
    if let Some(ledger) = ledger::of_address(object.dynamic()) {
        ledger.with(|entries| {
            let own = entries.keys.iter();
            keys.extend(own.filter_map(|key| {
                let destructor = key.destructor.get()? as *const () as usize;
                Some((usize::try_from(key.number).ok()?, destructor))
            }));
        });
    }
    keys
}
