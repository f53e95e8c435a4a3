//! Which objects the loader will unmap together with a library.
//!
//! This is decided before anything of anybody is taken back: what stays keeps its keys, timers, signal
//! handlers and thread-local destructors, and counts among what may lead into the library. An object
//! stays
//!
//! - when another opened library belongs to it ([`Ledger::has_one_user`]);
//! - when somebody else opened it by its own name ([`opened`]);
//! - when it is never unmapped: it bears `DF_1_NODELETE`, or one of its `STB_GNU_UNIQUE` symbols is in use;
//! - when something that stays needs it.
//!
//! What is not seen here is an object that somebody uses a symbol of without needing it, and one that is opened
//! from here on. So nothing is taken back for good from what a library needs before the loader has closed
//! it (`unload`).

use std::sync::Arc;

use super::ledger::Ledger;
use super::object::Object;
use super::opened;

/// The ledgers of the objects that go when the library goes, its own first; `loaded` is what is loaded.
pub(super) fn of(ledgers: &[Arc<Ledger>], loaded: &[Object]) -> Vec<Arc<Ledger>> {
    let objects: Vec<_> = ledgers.iter().map(|ledger| &ledger.object).collect();
    // The library itself was opened once, by this host.
    let counts = match &objects[..] {
        [_, needed @ ..] if !needed.is_empty() => opened::counts(needed),
        _ => Vec::new(),
    };
    let goes = |&(index, ledger): &(usize, &Arc<Ledger>)| {
        let count = index.checked_sub(1).and_then(|index| counts[index]);
        let is_opened = count.is_some_and(|count| count > 0);
        ledger.has_one_user() && !ledger.is_permanent && !is_opened
    };
    let going = ledgers.iter().enumerate().filter(goes);
    let mut leaving: Vec<_> = going.map(|(_, ledger)| Arc::clone(ledger)).collect();
    // Each that stays may keep more.
    while let Some(index) = needed_by_others(&leaving, loaded) {
        leaving.remove(index);
    }
    leaving
}

/// Whether somebody else has opened the library itself, too, so that the loader keeps it.
pub(super) fn is_opened_twice(ledgers: &[Arc<Ledger>]) -> bool {
    let own = ledgers.first().map(|ledger| &ledger.object);
    let count = own.and_then(|own| opened::counts(&[own]).pop()?);
    count.is_some_and(|count| count > 1)
}

/// One of these, other than the first, that an object which is not among them needs.
fn needed_by_others(leaving: &[Arc<Ledger>], loaded: &[Object]) -> Option<usize> {
    let goes = |object: &Object| {
        let mut leaving = leaving.iter();
        leaving.any(|ledger| ledger.object.dynamic == object.dynamic)
    };
    if leaving.len() < 2 {
        return None;
    }
    let staying = loaded.iter().filter(|object| !goes(object));
    let names = staying.flat_map(|object| object.needed());
    let mut kept = names.filter_map(|name| {
        let mut leaving = leaving.iter();
        leaving.position(|ledger| ledger.object.answers_to(name))
    });
    kept.find(|&index| index > 0)
}
