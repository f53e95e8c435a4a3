//! A number that threads of two processes sleep on (a futex), and the primitives under it.

use sync::{AtomicU32, Ordering};

/// The primitives of the standard library, or those that the model checker watches.
pub(super) mod sync {
    #[cfg(all(test, loom))]
    pub(in super::super) use loom::sync::atomic::*;
    #[cfg(not(all(test, loom)))]
    pub(in super::super) use std::sync::atomic::*;
}

impl Word {
    /// Sets it, and gives back what it was. What several may set at once is exchanged, never only
    /// stored, so that each sees what it has replaced.
    pub(super) fn set(&self, number: u32) -> u32 {
        self.0.swap(number, Ordering::AcqRel)
    }

    /// Sets it if it is as it was seen; whether it was.
    pub(super) fn set_if(&self, seen: u32, number: u32) -> bool {
        let exchange = self
            .0
            .compare_exchange(seen, number, Ordering::AcqRel, Ordering::Acquire);
        exchange.is_ok()
    }

    pub(super) fn get(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }

    pub(super) fn count(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// A number that one process sleeps on and the other one changes.
#[cfg(not(all(test, loom)))]
#[repr(transparent)]
pub(super) struct Word(AtomicU32);

#[cfg(not(all(test, loom)))]
impl Word {
    /// Sleeps until it is woken, unless the number is another one than was seen.
    pub(super) fn sleep(&self, seen: u32) {
        use rustix::thread::futex::{Flags, wait};

        // Woken or not, whoever sleeps looks again.
        let _ = wait(&self.0, Flags::empty(), seen, None);
    }

    /// The same, as the first or as one of the others.
    pub(super) fn sleep_as(&self, is_first: bool, seen: u32) {
        use rustix::thread::futex::{Flags, wait_bitset};

        // Woken or not, it looks again.
        let _ = wait_bitset(&self.0, Flags::empty(), seen, None, who(is_first));
    }

    pub(super) fn wake_first_or_other(&self) {
        use rustix::thread::futex::{Flags, wake_bitset};

        // Fails for addresses that are none.
        if wake_bitset(&self.0, Flags::empty(), 1, who(true)) == Ok(0) {
            let _ = wake_bitset(&self.0, Flags::empty(), 1, who(false));
        }
    }

    pub(super) fn wake_one(&self) {
        use rustix::thread::futex::{Flags, wake};

        // Fails for addresses that are none.
        let _ = wake(&self.0, Flags::empty(), 1);
    }
}

#[cfg(not(all(test, loom)))]
const fn who(is_first: bool) -> std::num::NonZeroU32 {
    match std::num::NonZeroU32::new(2) {
        Some(others) if !is_first => others,
        _ => std::num::NonZeroU32::MIN,
    }
}

/// What the kernel does, as a model, in which it wakes whom it likes.
#[cfg(all(test, loom))]
pub(super) struct Word(AtomicU32, loom::sync::Mutex<()>, loom::sync::Condvar);

#[cfg(all(test, loom))]
impl Word {
    pub(super) fn new() -> Self {
        Self(AtomicU32::new(0), Default::default(), Default::default())
    }

    pub(super) fn sleep(&self, seen: u32) {
        let queue = self.1.lock().unwrap();
        // The kernel compares while nobody can wake.
        if self.get() == seen {
            drop(self.2.wait(queue).unwrap());
        }
    }

    pub(super) fn sleep_as(&self, _: bool, seen: u32) {
        self.sleep(seen);
    }

    pub(super) fn wake_first_or_other(&self) {
        self.wake_one();
    }

    pub(super) fn wake_one(&self) {
        let _queue = self.1.lock().unwrap();
        self.2.notify_one();
    }
}
