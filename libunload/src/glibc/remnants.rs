//! What is left of addresses in libraries where they were, and leads nobody there.
//!
//! What is freed keeps its content. Who gets that memory next, and does not write to all of it, has
//! what looks like an address that he keeps, and a [`search`](super::search) finds it: GLib's
//! tables are never filled. So what is noted here of a library, in memory of `malloc`, is noted so
//! that it leads nowhere. A value takes along what was on the stack in its gaps, so that is wiped
//! where the loader, or code of the library, was called.

use std::hint::black_box;
use std::marker::PhantomData;
use std::mem::{MaybeUninit, needs_drop, transmute_copy};
use std::ops::{Deref, DerefMut};

/// An address, a function or a number, all bits turned over: nothing is ever mapped there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Concealed<T = usize>(usize, PhantomData<T>);

impl<T: Copy> Concealed<T> {
    const IS_A_WORD: () = assert!(size_of::<T>() == size_of::<usize>());

    pub(super) fn new(value: T) -> Self {
        const { Self::IS_A_WORD };
        // SAFETY: as large, and no bits are no number.
        Self(!unsafe { transmute_copy::<T, usize>(&value) }, PhantomData)
    }

    pub(super) fn get(self) -> T {
        // SAFETY: these are the bits of a value, as `new` got it, which may be copied.
        unsafe { transmute_copy::<usize, T>(&!self.0) }
    }
}

/// A list of what may be an address. Nothing is left of it where it was.
pub(super) struct Wiped<T>(Vec<T>);

impl<T> Wiped<T> {
    const NEEDS_NO_DROP: () = assert!(!needs_drop::<T>());

    pub(super) fn with_capacity(capacity: usize) -> Self {
        const { Self::NEEDS_NO_DROP };
        Self(Vec::with_capacity(capacity))
    }

    pub(super) fn push(&mut self, value: T) {
        if self.0.len() == self.0.capacity() {
            let mut larger = Self::with_capacity(2 * self.0.len().max(4));
            larger.0.append(&mut self.0);
            *self = larger;
        }
        self.0.push(value);
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        self.0.retain(keep);
    }
}

impl Wiped<usize> {
    pub(super) fn zeros(count: usize) -> Self {
        Self(vec![0; count])
    }
}

impl<T> Default for Wiped<T> {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl<T> Extend<T> for Wiped<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, values: I) {
        values.into_iter().for_each(|value| self.push(value));
    }
}

impl<T> FromIterator<T> for Wiped<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let values = values.into_iter();
        let mut list = Self::with_capacity(values.size_hint().0);
        list.extend(values);
        list
    }
}

impl<T> Deref for Wiped<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for Wiped<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T> Drop for Wiped<T> {
    fn drop(&mut self) {
        self.0.clear();
        let room = self.0.spare_capacity_mut();
        room.fill_with(MaybeUninit::zeroed);
        // Else a compiler leaves out what nobody reads.
        black_box(room);
    }
}

/// Wipes what calls that returned have left on the stack of this thread.
#[inline(never)]
pub(super) fn wipe_stack() {
    /// In bytes: `dlopen` itself needs about as much.
    const DEPTH: usize = 16 << 10;
    black_box(&mut [0_u8; DEPTH]);
}
