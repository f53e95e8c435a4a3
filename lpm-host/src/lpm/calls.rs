//! The calls in which LPMs may put off their answers: the PCM's side of deferring. The answers come
//! in through [`requests::results`](crate::requests::results).

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use lpm_abi::{
    AbiAdmit, AbiDecision, AbiInterface, AbiMessage, AbiTime, AdmitCall, AdmitCallFunctions, Defer,
};
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

/// A message as it was received, as LPMs get to see it.
pub(crate) trait Facts {
    fn message(&self) -> AbiMessage<'_>;
    fn time(&self) -> AbiTime;
    fn interface(&self) -> AbiInterface;
    fn integrity_verified(&self) -> bool;
}

impl Facts for ReceivedMessage<'_> {
    #[inline]
    fn message(&self) -> AbiMessage<'_> {
        abi_message(self.message)
    }

    fn time(&self) -> AbiTime {
        self.received.into()
    }

    fn interface(&self) -> AbiInterface {
        self.interface.into()
    }

    #[inline]
    fn integrity_verified(&self) -> bool {
        self.integrity_verified
    }
}

/// Who asks LPMs to decide on a message, one after the other.
pub(crate) trait Asker {
    type Received: Facts;

    fn received(&self) -> &Self::Received;

    /// Takes a handle under which the LPM that is asked now puts off its answer; the same one when
    /// it is asked for again. 0 where the LPM is being stopped.
    fn issue(&self) -> u64;
}

/// What the LPMs get, with a place for each of their decisions.
#[inline]
pub(crate) fn request<'a, A: Asker>(asker: &'a A, places: &'a [Cell<AbiDecision>]) -> AbiAdmit<'a> {
    let received = asker.received();
    AbiAdmit {
        integrity_verified: received.integrity_verified(),
        message: received.message(),
        // SAFETY: the reference is valid as long as the result's lifetime, and the functions are
        // for references to this type.
        call: unsafe { AdmitCall::new(ptr::from_ref(asker).cast(), functions::<A>()) },
        places: places.into(),
    }
}

const fn functions<A: Asker>() -> &'static AdmitCallFunctions {
    const {
        &AdmitCallFunctions {
            issue: issue_decision::<A>,
            received: received::<A>,
            interface: interface::<A>,
        }
    }
}

/// # Safety
///
/// `context` comes from a reference to an `A` that is still valid.
unsafe extern "C" fn issue_decision<A: Asker>(context: *const ()) -> u64 {
    // SAFETY: the caller's promise.
    let asker = unsafe { &*context.cast::<A>() };
    // Unwinding into the library would end the process.
    catch_unwind(AssertUnwindSafe(|| asker.issue())).unwrap_or(0)
}

/// # Safety
///
/// As for `issue_decision`.
unsafe extern "C" fn received<A: Asker>(context: *const ()) -> AbiTime {
    // SAFETY: the caller's promise.
    let asker = unsafe { &*context.cast::<A>() };
    asker.received().time()
}

/// # Safety
///
/// As for `issue_decision`.
unsafe extern "C" fn interface<A: Asker>(context: *const ()) -> AbiInterface {
    // SAFETY: the caller's promise.
    let asker = unsafe { &*context.cast::<A>() };
    asker.received().interface()
}

/// # Safety
///
/// `context` comes from a reference to a `Call<F>` that is still valid.
unsafe extern "C" fn issue<F: Fn() -> u64>(context: *const ()) -> u64 {
    // SAFETY: the caller's promise.
    let call = unsafe { &*context.cast::<Call<F>>() };
    call.issue_without_unwinding()
}
