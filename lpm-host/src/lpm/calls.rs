//! The calls in which LPMs may put off their answers: the PCM's side of deferring. The answers come in
//! through [`requests::results`](crate::requests::results).

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use abi_stable::std_types::RSlice;
use lpm_abi::{AbiAdmit, AbiInterface, AbiTime, AdmitCallFunctions, Defer};
use lpm_api::abi::abi_message;

use crate::message::ReceivedMessage;

/// A call in which the LPM may put off its answer.
pub(crate) struct Call<F: Fn() -> u64> {
    issue: F,
    issued: Cell<Option<u64>>,
}

impl<F: Fn() -> u64> Call<F> {
    /// A call whose request gets its handle from `issue`, which is called once at most.
    #[inline]
    pub(crate) const fn new(issue: F) -> Self {
        Self {
            issue,
            issued: Cell::new(None),
        }
    }

    /// Lets the LPM put off the answer.
    #[inline]
    pub(crate) fn defer(&self) -> Defer<'_> {
        // SAFETY: the reference is valid as long as the result's lifetime, and `issue::<F>` is for
        // references to this type.
        unsafe { Defer::new(ptr::from_ref(self).cast(), issue::<F>) }
    }

    /// The handle under which the LPM puts off its answer, if it does.
    #[inline]
    pub(crate) fn issued(&self) -> Option<u64> {
        self.issued.get()
    }

    /// Unwinding into the library would end the process; 0 is never a valid handle.
    fn issue_without_unwinding(&self) -> u64 {
        let issue = || {
            self.issued.get().unwrap_or_else(|| {
                let number = (self.issue)();
                self.issued.set(Some(number));
                number
            })
        };
        catch_unwind(AssertUnwindSafe(issue)).unwrap_or(0)
    }
}

/// A call in which an LPM decides on a message; or several calls, one after the other.
pub(crate) struct AdmitCall<'a, F: Fn() -> u64> {
    received: &'a ReceivedMessage<'a>,
    deferral: Call<F>,
}

impl<'a, F: Fn() -> u64> AdmitCall<'a, F> {
    const FUNCTIONS: AdmitCallFunctions = AdmitCallFunctions {
        issue: issue_decision::<F>,
        received: received::<F>,
        interface: interface::<F>,
    };

    /// A call whose request gets its handle from `issue`, which is called once at most for each LPM.
    #[inline]
    pub(crate) const fn new(received: &'a ReceivedMessage<'a>, issue: F) -> Self {
        Self {
            received,
            deferral: Call::new(issue),
        }
    }

    /// What the LPM gets.
    #[inline]
    pub(crate) fn request(&self) -> AbiAdmit<'_> {
        AbiAdmit {
            integrity_verified: self.received.integrity_verified,
            message: abi_message(self.received.message),
            // SAFETY: the reference is valid as long as the result's lifetime, and the functions are for
            // references to this type.
            call: unsafe { lpm_abi::AdmitCall::new(ptr::from_ref(self).cast(), &Self::FUNCTIONS) },
            places: RSlice::EMPTY,
        }
    }

    /// The handle under which the LPM puts off its answer, if it does.
    #[inline]
    pub(crate) fn issued(&self) -> Option<u64> {
        self.deferral.issued()
    }

    /// Makes it another LPM's call.
    pub(crate) fn renew(&self) {
        self.deferral.issued.set(None);
    }
}

/// # Safety
///
/// `context` comes from a reference to an `AdmitCall<F>` that is still valid.
unsafe extern "C" fn issue_decision<F: Fn() -> u64>(context: *const ()) -> u64 {
    // SAFETY: the caller's promise.
    let call = unsafe { &*context.cast::<AdmitCall<'_, F>>() };
    call.deferral.issue_without_unwinding()
}

/// # Safety
///
/// As for `issue_decision`.
unsafe extern "C" fn received<F: Fn() -> u64>(context: *const ()) -> AbiTime {
    // SAFETY: the caller's promise.
    let call = unsafe { &*context.cast::<AdmitCall<'_, F>>() };
    call.received.received.into()
}

/// # Safety
///
/// As for `issue_decision`.
unsafe extern "C" fn interface<F: Fn() -> u64>(context: *const ()) -> AbiInterface {
    // SAFETY: the caller's promise.
    let call = unsafe { &*context.cast::<AdmitCall<'_, F>>() };
    call.received.interface.into()
}

/// # Safety
///
/// `context` comes from a reference to a `Call<F>` that is still valid.
unsafe extern "C" fn issue<F: Fn() -> u64>(context: *const ()) -> u64 {
    // SAFETY: the caller's promise.
    let call = unsafe { &*context.cast::<Call<F>>() };
    call.issue_without_unwinding()
}
