//! Which objects the loader will unmap together with a library.
//!
//! This is decided before anything of anybody is taken back: what stays keeps its keys, timers, signal
//! handlers and thread-local destructors, and counts among what may lead into the library. An object
//! stays
//!
//! - when another opened library belongs to it ([`Ledger::has_one_user`]);
//! - when it is never unmapped: it bears `DF_1_NODELETE`, or one of its `STB_GNU_UNIQUE` symbols is in use;
//! - when something that stays needs it.
//!
//! What is not seen here is an object that somebody else opened by its own name, and one that somebody
//! uses a symbol of without needing it. So nothing is taken back for good from what a library needs
//! before the loader has closed it (`unload`).

use std::sync::Arc;

use super::ledger::Ledger;
use super::object::Object;

/// The ledgers of the objects that go when the library goes, its own first; `loaded` is what is loaded.
pub(super) fn of(ledgers: &[Arc<Ledger>], loaded: &[Object]) -> Vec<Arc<Ledger>> {
    let goes = |ledger: &&Arc<Ledger>| ledger.has_one_user() && !ledger.is_permanent;
    let mut leaving: Vec<_> = ledgers.iter().filter(goes).cloned().collect();
    // Each that stays may keep more.
    while let Some(index) = needed_by_others(&leaving, loaded) {
        leaving.remove(index);
    }
    leaving
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
