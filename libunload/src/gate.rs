//! A published value that threads may be *inside*, and that can be taken back once nobody is.
//!
//! The host asks its LPMs through a list that is replaced when LPMs come and go. A thread that
//! reads the list holds a [`Pass`] for as long as it uses it, LPM calls included; [`Gate::replace`]
//! publishes another list, and [`Retired::drain`] hands the old one back when the last pass into it
//! has ended. Only then may the code behind it be unmapped.
//!
//! Entering and leaving cost a few loads and two stores to a cache line that only this thread
//! writes: no clock, no lock, no shared counter, and no allocation after a thread's first entry.
//! All waiting and all memory barriers are on the side that takes values away, which happens
//! rarely.
//!
//! To let one slow LPM not hold up the others, give each its own `Gate<Option<Lpm>>`: a slot names
//! the very value its thread is inside, so draining one value never waits for a pass into another,
//! be it of another gate or the successor in the same gate.
//!
//! # Why it is sound
//!
//! Every thread owns a record of slots (`records.rs`), written by that thread alone. A slot holds
//! the address of the value a pass is inside, or null: this is a [hazard pointer], whose usual
//! store-load fence is moved to the reclaiming side ([asymmetric fences]).
//!
//! | entering thread | draining thread |
//! |---|---|
//! | E1 `seen = current` | D1 `old = swap(current, new)` |
//! | E2 `slot = seen` | **heavy** barrier |
//! | **light** barrier | D2 for every slot: wait until `slot != old` |
//! | E3 `current == seen`? else again from E1 | D3 free `old` |
//! | … use `*seen` … | |
//! | E4 `slot = null` | |
//!
//! 1. *The drainer cannot miss an entrant.* The two barriers together guarantee (`barrier.rs`) that
//!    E2 is seen by D2, or E3 sees D1. A thread that got past E3 into `old` has not seen D1, so D2
//!    sees its slot, and the slot keeps that value until E4.
//! 2. *Nobody enters `old` once D2 has passed over a slot.* Whoever stores `old` there later,
//!    because the load in E1 was stale or the thread slept after it, sees D1 in E3 and starts
//!    again. Such a slot only makes a drainer look once more; the address is compared, never
//!    followed.
//! 3. *An address that comes back is harmless.* Should `old` be freed and its address be published
//!    again between E1 and E3, then E3 has loaded the new value's pointer, the pass uses that one,
//!    and the slot names it. Values that are not drained are leaked, so their address never comes
//!    back.
//! 4. *What was done inside happens before D3.* E2 and E4 are release stores and D2 acquires. A
//!    slot that D2 finds changed was changed by E4, or by an E2 of the same thread after it.
//! 5. *What was done before D1 happens before what is done inside*: D1 releases and E3 acquires.
//! 6. *Draining ends* as soon as those inside leave: new entrants store another address, so a
//!    thread that calls without pause is not waited for.
//! 7. *Registration*: the list of records is behind a lock. A record that is added before the
//!    drainer takes the lock is looked at. One that is added later belongs to a thread whose E3
//!    comes after that lock was released, hence after D1.
//!
//! Passes may nest, into the same gate or others, and may end in any order: each has a slot of its
//! own. A thread that passes one gate and then many others, one after the other, says so with
//! [`Gate::enter_first`]: its two slots are found once. A pass that is forgotten (`mem::forget`)
//! leaves its slot taken, and its value is never given back.
//!
//! [hazard pointer]: https://doi.org/10.1109/TPDS.2004.8
//! [asymmetric fences]: https://www.open-std.org/jtc1/sc22/wg21/docs/papers/2020/p1202r3.pdf

pub(crate) mod barrier;
mod records;
mod sync;

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::time::{Duration, Instant};

use self::barrier::Barrier;
use self::records::{Record, Slot};
use self::sync::atomic::{AtomicPtr, Ordering};

pub use self::records::{LANE, PassSeen, ThreadInside, inside_any_pass};

/// Publishes one value of type `T`.
///
/// Aligned so that nothing that is written often shares its cache line (nor the one that x86
/// fetches along with it).
#[repr(align(128))]
pub struct Gate<T: Send + Sync> {
    current: AtomicPtr<T>,
    barrier: Barrier,
    owns: PhantomData<T>,
}

impl<T: Send + Sync> Gate<T> {
    /// Publishes `value`, with the cheapest barrier that this process may use.
    #[must_use]
    pub fn new(value: Box<T>) -> Self {
        Self::with_barrier(value, Barrier::of_process())
    }

    /// As [`new`](Self::new), with a barrier of choice.
    pub(crate) fn with_barrier(value: Box<T>, barrier: Barrier) -> Self {
        const {
            assert!(
                size_of::<T>() != 0,
                "values are told apart by their address"
            );
        };
        Self {
            current: AtomicPtr::new(Box::into_raw(value)),
            barrier,
            owns: PhantomData,
        }
    }

    /// Enters the value that is published now. It stays valid until the pass is dropped.
    #[inline]
    pub fn enter(&self) -> Pass<'_, T> {
        let slot = records::vacant_slot();
        slot.count_entry();
        let seen = self.current.load(Ordering::Relaxed);
        let mut current = self.barrier.announce(slot, seen.cast(), &self.current);
        if current != seen {
            current = self.announce_again(slot, current);
        }
        self.pass(slot, current)
    }

    /// Enters the value that is published now, on a thread that is in no other pass, and with it
    /// the way into further gates. `None`: it is in one, or has not entered anything before, or the
    /// value was replaced at this very moment, or this process may not use the barrier that is
    /// usual on its system; then [`enter`](Self::enter) does it.
    #[inline]
    pub fn enter_first(&self) -> Option<First<'_, T>> {
        let (slot, record) = records::first_slots()?;
        let outer = self.enter_by(slot)?;
        Some(First { outer, record })
    }

    /// The barrier of this gate where it is that of all gates of the process, as it is but in unit
    /// tests, and [`records::first_slots`] gave slots: a constant.
    #[cfg(not(all(test, loom)))]
    #[inline]
    const fn usual_barrier(&self) -> Barrier {
        Barrier::USUAL
    }

    #[cfg(all(test, loom))]
    fn usual_barrier(&self) -> Barrier {
        self.barrier
    }

    /// Enters with a slot that is vacant; `None` where the value was replaced at that very moment,
    /// and the slot has been cleared.
    #[inline]
    fn enter_by(&self, slot: &'static Slot) -> Option<Pass<'_, T>> {
        slot.count_entry();
        let seen = self.current.load(Ordering::Relaxed);
        let barrier = self.usual_barrier();
        let current = barrier.announce(slot, seen.cast(), &self.current);
        // Else it is dropped unused, which clears the slot.
        let pass = self.pass(slot, current);
        (current == seen).then_some(pass)
    }

    /// The pass in `slot`, where `current` was loaded last: that is valid also if an address came
    /// back.
    #[inline]
    fn pass(&self, slot: &'static Slot, current: *mut T) -> Pass<'_, T> {
        Pass {
            // SAFETY: `current` always holds what `Box::into_raw` returned.
            value: unsafe { NonNull::new_unchecked(current) },
            slot,
            gate: PhantomData,
        }
    }

    /// What follows when the value was replaced at that very moment.
    #[cold]
    #[inline(never)]
    fn announce_again(&self, slot: &Slot, mut seen: *mut T) -> *mut T {
        loop {
            let current = self.barrier.announce(slot, seen.cast(), &self.current);
            if current == seen {
                return current;
            }
            seen = current;
        }
    }

    /// The passes that are inside the published value. For watching: no barrier orders it with
    /// those who enter and leave at that moment.
    #[cfg_attr(all(test, loom), expect(dead_code, reason = "not part of the model"))]
    pub fn passes(&self) -> Vec<PassSeen> {
        records::passes(self.current.load(Ordering::Acquire).cast())
    }

    /// Publishes `new`. Who enters from now on is inside `new`; the old value is returned, and
    /// threads may still be inside it.
    pub fn replace(&self, new: Box<T>) -> Retired<T> {
        let old = self.current.swap(Box::into_raw(new), Ordering::SeqCst);
        Retired {
            // SAFETY: `current` always holds what `Box::into_raw` returned.
            value: unsafe { NonNull::new_unchecked(old) },
            barrier: self.barrier,
            fenced: false,
        }
    }
}

impl<T: Send + Sync> Drop for Gate<T> {
    fn drop(&mut self) {
        let current = self.current.load(Ordering::Relaxed);
        // SAFETY: the box made in `with_barrier` or `replace`. A pass borrows the gate, so none is
        // left, and what a forgotten pass lent has expired with it.
        drop(unsafe { Box::from_raw(current) });
    }
}

/// The right to use the value that was published when it was made. Dropping it leaves the value.
///
/// It belongs to its thread: neither `Send` nor `Sync`.
pub struct Pass<'gate, T: Send + Sync> {
    /// Not a reference: one that is a function's argument must stay valid until that function
    /// returns, but this value may be freed by another thread as soon as `drop` has cleared the
    /// slot.
    value: NonNull<T>,
    slot: &'static Slot,
    gate: PhantomData<&'gate Gate<T>>,
}

impl<T: Send + Sync> Deref for Pass<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: `enter` stored this address in `slot` and found it still published, so
        // `Retired::drain` frees it only after `drop` has cleared the slot (module documentation, 1
        // to 3); `Gate::drop` cannot run, since the pass borrows the gate.
        unsafe { self.value.as_ref() }
    }
}

impl<T: Send + Sync> Drop for Pass<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.slot.store(ptr::null_mut(), Ordering::Release);
    }
}

/// A [`Pass`] of a thread that is in no other, and the way from there into other gates, one at a
/// time.
pub struct First<'gate, T: Send + Sync> {
    outer: Pass<'gate, T>,
    record: &'static Record,
}

/// The way from a [`First`] into other gates.
pub struct Look<'pass> {
    record: &'static Record,
    pass: PhantomData<&'pass mut Pass<'pass, ()>>,
}

impl<T: Send + Sync> First<'_, T> {
    /// The value, and the way into other gates.
    #[inline]
    pub fn split(&mut self) -> (&T, Look<'_>) {
        let look = Look {
            record: self.record,
            pass: PhantomData,
        };
        (&self.outer, look)
    }
}

impl Look<'_> {
    /// Has `call` look at the value of another gate, which stays valid meanwhile. `None`, without a
    /// call: the value was replaced at this very moment; then [`Gate::enter`] does it.
    #[inline]
    pub fn at<T: Send + Sync, R>(
        &mut self,
        gate: &Gate<T>,
        call: impl FnOnce(&T) -> R,
    ) -> Option<R> {
        // The slot is vacant: there is one `Look` on a thread, and it is borrowed.
        let pass = gate.enter_by(self.record.look())?;
        Some(call(&pass))
    }

    /// The first of [`LANE`] numbers, counted from 0, that no other living thread has: to index an
    /// array of words, in which each thread then writes into cache lines of its own. A thread that
    /// begins later may have them again; what it does comes after all that this one did.
    #[inline]
    #[must_use]
    pub const fn lane(&self) -> u32 {
        self.record.lane()
    }
}

/// A value that is no longer published, and that threads may still be inside. Dropping it leaks the
/// value.
#[must_use = "dropping it leaks the value; `drain` gives it back"]
pub struct Retired<T> {
    value: NonNull<T>,
    barrier: Barrier,
    /// Whether the heavy barrier has been passed since the value was taken off.
    fenced: bool,
}

// SAFETY: it is a `Box<T>` to be, and threads still inside share `&T` with whoever receives that
// box.
unsafe impl<T: Send + Sync> Send for Retired<T> {}

impl<T: Send + Sync> Retired<T> {
    /// Waits until nobody is inside the value, and returns it.
    ///
    /// Looks at least once, also with a `limit` of zero; a limit too long to count is none.
    ///
    /// # Errors
    /// [`StillInside`], which keeps the value and can be drained again: when `limit` is over; at
    /// once when this thread is inside the value itself, since it would wait for itself; at once
    /// when the system refuses the barrier, so that nobody can tell who is inside.
    pub fn drain(mut self, limit: Duration) -> Result<Box<T>, StillInside<T>> {
        let deadline = Instant::now().checked_add(limit);
        if !self.fenced {
            if let Err(refused) = self.barrier.heavy() {
                return Err(self.still_inside(Reason::NoBarrier(refused)));
            }
            self.fenced = true;
        }
        let mut pause = Pause::default();
        loop {
            let inside = records::inside(self.value.as_ptr().cast());
            if inside.this_thread {
                return Err(self.still_inside(Reason::ThisThread));
            }
            if inside.threads.is_empty() {
                // SAFETY: the box whose pointer was published; it left `current` in `replace`, and
                // only once, so nobody else makes a box of it. Nobody is inside (module
                // documentation, 1 to 4), nor can get inside again.
                return Ok(unsafe { Box::from_raw(self.value.as_ptr()) });
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(self.still_inside(Reason::Threads(inside.threads)));
            }
            pause.next();
        }
    }

    fn still_inside(self, reason: Reason) -> StillInside<T> {
        StillInside {
            reason,
            retired: self,
        }
    }
}

/// Why a value could not be given back, and the value. Dropping it leaks the value, which is safe:
/// it is never freed while someone may be inside.
#[must_use = "dropping it leaks the value; `drain` tries again"]
#[derive(thiserror::Error)]
#[error("a value that was taken out of use cannot be given back: {reason}")]
pub struct StillInside<T> {
    reason: Reason,
    retired: Retired<T>,
}

impl<T: Send + Sync> StillInside<T> {
    /// What the last attempt found.
    #[must_use]
    pub fn reason(&self) -> &Reason {
        &self.reason
    }

    /// Tries again; see [`Retired::drain`].
    ///
    /// # Errors
    /// As there.
    pub fn drain(self, limit: Duration) -> Result<Box<T>, Self> {
        self.retired.drain(limit)
    }
}

impl<T> From<StillInside<T>> for Retired<T> {
    /// The value, to be drained at another time.
    fn from(still_inside: StillInside<T>) -> Self {
        still_inside.retired
    }
}

impl<T> fmt::Debug for StillInside<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StillInside")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

/// Why a value could not be given back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The caller itself is inside: drain from another thread, or after leaving.
    #[error("the thread that asks is inside it; ask from another thread, or after the call")]
    ThisThread,
    /// These threads were inside when the limit was over.
    #[error("still inside when the time was over: {}", records::list(.0))]
    Threads(Vec<ThreadInside>),
    /// The barrier that worked when the gate was made is now refused, say by a seccomp filter.
    #[error("the system refuses membarrier, so it is not known which threads are inside: {0}")]
    NoBarrier(#[source] io::Error),
}

/// Waiting that starts fast and becomes patient: a call usually ends within microseconds, or hangs.
#[derive(Default)]
struct Pause(u32);

impl Pause {
    const YIELDS: u32 = 16;
    const LONGEST: Duration = Duration::from_millis(1);

    fn next(&mut self) {
        if self.0 < Self::YIELDS {
            std::thread::yield_now();
        } else {
            let doubled = Duration::from_micros(10 << (self.0 - Self::YIELDS).min(7));
            std::thread::sleep(doubled.min(Self::LONGEST));
        }
        self.0 = self.0.saturating_add(1);
    }
}
