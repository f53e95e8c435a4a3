//! `fork`, while other threads are in a stand-in.
//!
//! The child has one thread, and what another held is never let go. glibc's own locks are seen to
//! by glibc, so that what it offers works in the child; the same is promised here. Whoever forks
//! takes every lock that a stand-in takes, in the order in which they take them, and both sides let
//! go. Functions that may be called in signal handlers take none.

use std::cell::UnsafeCell;
use std::sync::Once;

use super::{calls, ledger, tls};

/// What is held from before a fork until after it.
struct Locks {
    // In the order of letting go, the opposite of that of taking.
    _calls: calls::Locked,
    _entries: ledger::LockedEntries,
    _lists: tls::Locked,
    _ledgers: ledger::Locked,
}

struct Held(UnsafeCell<Option<Locks>>);

// SAFETY: it is used by who has locked the list of ledgers alone.
unsafe impl Sync for Held {}

static HELD: Held = Held(UnsafeCell::new(None));

/// Has glibc call what is below around each fork from now on.
pub(super) fn prepare_for() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        // SAFETY: the functions are this program's, and stay.
        let failed = unsafe { libc::pthread_atfork(Some(before), Some(after), Some(after)) };
        if failed != 0 {
            tracing::warn!("children of this process may hang: no memory for a fork handler");
        }
    });
}

unsafe extern "C" fn before() {
    let ledgers = ledger::lock_all();
    let lists = tls::lock_all();
    let entries = ledgers.lock_entries();
    let locks = Locks {
        _calls: calls::lock_all(),
        _entries: entries,
        _lists: lists,
        _ledgers: ledgers,
    };
    // SAFETY: the list of ledgers is locked.
    unsafe { *HELD.0.get() = Some(locks) };
}

unsafe extern "C" fn after() {
    // SAFETY: the list of ledgers was locked by this thread, in `before`.
    let locks = unsafe { (*HELD.0.get()).take() };
    drop(locks);
}
