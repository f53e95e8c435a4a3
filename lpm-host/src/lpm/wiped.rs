//! Addresses in a library, on the heap of the host.
//!
//! `malloc` gives memory that was freed to whoever asks next, and not everybody writes to all of
//! it: GLib's tables do not. What stands there then looks like an address that somebody keeps, and
//! the library, or the next that is loaded in its place, would not be unmapped.

use std::mem::{ManuallyDrop, size_of};
use std::ops::{Deref, DerefMut};
use std::ptr;

/// A value that leaves nothing behind in memory where it is dropped.
pub(super) struct Wiped<T>(ManuallyDrop<T>);

impl<T> Wiped<T> {
    pub(super) const fn new(value: T) -> Self {
        Self(ManuallyDrop::new(value))
    }
}

impl<T> Deref for Wiped<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Wiped<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> Drop for Wiped<T> {
    fn drop(&mut self) {
        // SAFETY: this is the only place that drops it, and nobody uses it afterwards.
        unsafe { ManuallyDrop::drop(&mut self.0) };
        let start = (&raw mut self.0).cast::<u8>();
        for byte in 0..size_of::<T>() {
            // SAFETY: these are the bytes of a value that is no more; a compiler that leaves out
            // what nobody reads has to do this.
            unsafe { ptr::write_volatile(start.add(byte), 0) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn what_was_dropped_left_nothing() {
        let value = Rc::new(());
        let mut wiped = ManuallyDrop::new(Wiped::new([Rc::clone(&value), Rc::clone(&value)]));
        // SAFETY: it is not used as what it was any more.
        unsafe { ManuallyDrop::drop(&mut wiped) };
        // SAFETY: it is still there, and all of it was written to.
        let left = unsafe { (&raw const wiped).cast::<[usize; 2]>().read() };
        assert_eq!((left, Rc::strong_count(&value)), ([0, 0], 1));
    }
}
