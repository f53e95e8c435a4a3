//! Which objects the loader will unmap together with a library.
//!
//! This is decided before anything of anybody is taken back: what stays keeps its keys, timers,
//! signal handlers and thread-local destructors, and counts among what may lead into the library.
//! An object stays
//!
//! - when another opened library belongs to it ([`Ledger::has_one_user`]);
//! - when somebody else opened it by its own name ([`opened`]);
//! - when it is never unmapped: it bears `DF_1_NODELETE`, or one of its `STB_GNU_UNIQUE` symbols is
//!   in use;
//! - when something that stays needs it.
//!
//! Whoever uses a symbol of the library without needing it keeps it, too ([`is_used_by_others`]).
//! What is not seen here is who uses a symbol of something that the library needs, and what is
//! opened from here on. So nothing is taken back for good from what a library needs before the
//! loader has closed it (`unload`).

use std::sync::Arc;

use super::ledger::Ledger;
use super::loader;
use super::object::Object;
use super::opened;

/// The ledgers of the objects that go when the library goes, its own first.
pub(super) fn of(ledgers: &[Arc<Ledger>]) -> Vec<Arc<Ledger>> {
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
    if leaving.len() > 1 {
        loader::with_loaded(|loaded| {
            // Each that stays may keep more.
            while let Some(index) = needed_by_others(&leaving, loaded) {
                leaving.remove(index);
            }
        });
    }
    leaving
}

/// Whether somebody else has opened the library itself, too, so that the loader keeps it.
pub(super) fn is_opened_twice(ledgers: &[Arc<Ledger>]) -> bool {
    let own = ledgers.first().map(|ledger| &ledger.object);
    let count = own.and_then(|own| opened::counts(&[own]).pop()?);
    count.is_some_and(|count| count > 1)
}

/// Whether something that stays has addresses of these objects which the loader wrote into it: it
/// found a function or a variable there, and so keeps the object.
pub(super) fn is_used_by_others(leaving: &[Arc<Ledger>]) -> bool {
    loader::with_loaded(|loaded| is_used_by_others_of(loaded, leaving))
}

fn is_used_by_others_of(loaded: &[Object], leaving: &[Arc<Ledger>]) -> bool {
    let goes = |object: &&Object| {
        let mut leaving = leaving.iter();
        leaving.any(|ledger| ledger.object.dynamic() == object.dynamic())
    };
    let first = loaded.iter().position(|object| goes(&object));
    // What was there before found what it needs elsewhere.
    let later = loaded.get(first.unwrap_or(0)..).unwrap_or_default();
    let mut others = later.iter().filter(|object| !goes(object));
    others.any(|other| {
        let mut ledgers = leaving.iter();
        ledgers.any(|ledger| other.has_found(&ledger.object))
    })
}

/// One of these, other than the first, that an object which is not among them needs.
fn needed_by_others(leaving: &[Arc<Ledger>], loaded: &[Object]) -> Option<usize> {
    let goes = |object: &Object| {
        let mut leaving = leaving.iter();
        leaving.any(|ledger| ledger.object.dynamic() == object.dynamic())
    };
    let staying = loaded.iter().filter(|object| !goes(object));
    let names = staying.flat_map(|object| object.needed());
    let mut kept = names.filter_map(|name| {
        let mut leaving = leaving.iter();
        leaving.position(|ledger| ledger.object.answers_to(name))
    });
    kept.find(|&index| index > 0)
}
