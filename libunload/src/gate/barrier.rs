//! The store-load ordering between entering a value and draining it.
//!
//! A hazard pointer needs a full barrier between the store of the slot and the load that validates
//! it: E2 and E3 in the [module above](super). On the hot path such a barrier costs more than the
//! rest together. Linux (4.14, 2017) can issue it for the other threads: `membarrier(2)` returns
//! after every running thread of the process has executed a full barrier, somewhere in its program;
//! threads that are not running have passed one when they were switched out. Wherever that is in an
//! entering thread, it is either after E2, which the drainer then sees, or before E3, which then
//! sees what the drainer published. So the light side only has to keep the compiler from exchanging
//! E2 and E3.
//!
//! Where `membarrier` is missing (older kernels, a seccomp filter, other systems), E2 is a
//! sequentially consistent swap, E3 such a load, and the heavy side a fence: in the single order of
//! these operations, if E3 precedes D1, then E2 precedes D2. Windows has `FlushProcessWriteBuffers`
//! for the same purpose; it would save a fraction of a nanosecond a call, and the swap is what
//! every system understands.

use std::io;
#[cfg(not(all(test, loom)))]
use std::sync::{OnceLock, atomic::compiler_fence};

use super::sync::atomic::{AtomicPtr, Ordering, fence};

/// How entering and draining threads are ordered. A property of each gate, chosen when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Barrier {
    /// Light: the compiler only. Heavy: `membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)`.
    #[cfg(not(all(test, loom)))]
    Membarrier,
    /// Light: a sequentially consistent swap. Heavy: a fence.
    #[cfg(not(all(test, loom)))]
    Swap,
    /// Stands for both in the model, which knows neither `membarrier` nor a total order of
    /// sequentially consistent accesses, but fences: one on each side.
    #[cfg(all(test, loom))]
    Fence,
    /// The mistake that the model must find: the light side orders nothing.
    #[cfg(all(test, loom))]
    Missing,
}

#[cfg(not(all(test, loom)))]
impl Barrier {
    /// What [`of_process`](Self::of_process) nearly always chooses on this system.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) const USUAL: Self = Self::Membarrier;
    /// What [`of_process`](Self::of_process) chooses on this system.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) const USUAL: Self = Self::Swap;

    /// The cheapest one that works in this process; found out once.
    pub(super) fn of_process() -> Self {
        static CHOICE: OnceLock<Barrier> = OnceLock::new();
        *CHOICE.get_or_init(|| {
            // Tried for real: a filter may allow to register, and refuse the barrier.
            if membarrier::register().is_ok() && membarrier::expedited().is_ok() {
                Self::Membarrier
            } else {
                Self::Swap
            }
        })
    }

    /// E2 and E3: stores `value` in `slot`, then loads `current`.
    #[inline]
    pub(super) fn announce<T>(
        self,
        slot: &AtomicPtr<()>,
        value: *mut (),
        current: &AtomicPtr<T>,
    ) -> *mut T {
        match self {
            Self::Membarrier => {
                slot.store(value, Ordering::Release);
                compiler_fence(Ordering::SeqCst);
                let current = current.load(Ordering::Relaxed);
                // Not an acquire load: AArch64 orders that after the release store, by waiting for
                // it.
                fence(Ordering::Acquire);
                current
            }
            Self::Swap => {
                slot.swap(value, Ordering::SeqCst);
                current.load(Ordering::SeqCst)
            }
        }
    }

    /// Between D1 and D2.
    ///
    /// # Errors
    /// What `membarrier` says, if it is refused although it worked before.
    pub(super) fn heavy(self) -> io::Result<()> {
        match self {
            Self::Membarrier => membarrier::expedited(),
            Self::Swap => {
                fence(Ordering::SeqCst);
                Ok(())
            }
        }
    }
}

#[cfg(all(test, loom))]
impl Barrier {
    pub(super) const USUAL: Self = Self::Fence;

    pub(super) fn of_process() -> Self {
        Self::Fence
    }

    pub(super) fn announce<T>(
        self,
        slot: &AtomicPtr<()>,
        value: *mut (),
        current: &AtomicPtr<T>,
    ) -> *mut T {
        slot.store(value, Ordering::Release);
        if self == Self::Fence {
            fence(Ordering::SeqCst);
        }
        current.load(Ordering::Acquire)
    }

    pub(super) fn heavy(self) -> io::Result<()> {
        fence(Ordering::SeqCst);
        Ok(())
    }
}

#[cfg(all(
    any(target_os = "linux", target_os = "android"),
    not(miri),
    not(all(test, loom))
))]
mod membarrier {
    use std::io;

    pub(super) fn register() -> io::Result<()> {
        call(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)
    }

    pub(super) fn expedited() -> io::Result<()> {
        call(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED)
    }

    fn call(command: libc::c_int) -> io::Result<()> {
        // SAFETY: the kernel promises that membarrier takes three integers, touches no memory of
        // ours, and returns an error for a command it does not know.
        let result = unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}

#[cfg(all(
    not(all(any(target_os = "linux", target_os = "android"), not(miri))),
    not(all(test, loom))
))]
mod membarrier {
    use std::io;

    pub(super) fn register() -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn expedited() -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
