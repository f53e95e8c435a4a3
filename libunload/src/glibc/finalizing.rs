//! The finalizers of what leaves, called by the host.

use std::slice;
use std::sync::Arc;

use super::ledger::{HeldBack, Ledger};
use super::{exits, keys, routines, tls};

/// Runs what is left of the finalizers.
///
/// # Safety
///
/// These are mapped, and nobody calls them.
pub(super) unsafe fn run(libraries: &[Arc<Ledger>]) {
    for library in libraries {
        let finalizers = library.with(|entries| std::mem::take(&mut entries.finalizers));
        // SAFETY: the caller's promise.
        unsafe { finalizers.run() };
    }
    exits::run(libraries);
    // Finalizers are code like any other, and may have left something behind again.
    run_destructors(libraries);
}

/// The same for a library and what goes with it, whose finalizers the loader would run. It finds
/// none any more.
///
/// # Safety
///
/// As for [`run`].
pub(super) unsafe fn run_all(leaving: &[Arc<Ledger>]) {
    let mut left = leaving.to_vec();
    // As the loader does, each before those that it needs; where they need each other, in any
    // order.
    while !left.is_empty() {
        let is_needed = |library: &Arc<Ledger>| {
            let others = left.iter().filter(|other| !Arc::ptr_eq(other, library));
            let mut needed = others.flat_map(|other| other.object.needed());
            needed.any(|name| library.object.answers_to(name))
        };
        let next = left.iter().position(|library| !is_needed(library));
        let library = left.remove(next.unwrap_or(0));
        let is_own = leaving
            .first()
            .is_some_and(|own| Arc::ptr_eq(own, &library));
        if !is_own {
            match routines::take_from_loader(&library.object) {
                Ok(finalizers) => library.with(|entries| entries.finalizers = finalizers),
                Err(error) => tracing::debug!("the loader runs finalizers itself: {error}"),
            }
        }
        // SAFETY: the caller's promise.
        unsafe { run(slice::from_ref(&library)) };
    }
}

/// For what stays although its finalizers have run.
pub(super) fn hold_back(libraries: &[Arc<Ledger>]) {
    libraries
        .iter()
        .for_each(|ledger| HeldBack::new(ledger).for_good());
}

/// Does for the current thread what its end would do.
pub(super) fn run_destructors(leaving: &[Arc<Ledger>]) {
    tls::run_on_current_thread(leaving);
    keys::run_on_current_thread(leaving);
    // Such destructors may use thread-locals.
    tls::run_on_current_thread(leaving);
}
