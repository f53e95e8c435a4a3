//! The request for a decision: what an LPM is given, where its decisions go, and what it may ask of
//! the PCM meanwhile.

use std::cell::Cell;
use std::marker::PhantomData;
use std::time::SystemTime;

use abi_stable::StableAbi;
use abi_stable::std_types::RSlice;

use crate::decision::{AbiAnswer, AbiDecision};
use crate::handle::RequestHandle;
use crate::interface::AbiInterface;
use crate::message::AbiMessage;
use crate::time::AbiTime;

/// Decides on messages; apart from [`AbiLpm`](crate::AbiLpm), so that the PCM calls it without a
/// detour. Does not unwind.
pub trait Admit {
    /// Decides on a message, and writes the decisions into the request's places.
    fn admit(&self, request: &AbiAdmit<'_>) -> AbiAnswer;
}

/// A request for a decision.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiAdmit<'a> {
    /// Whether the PCM verified the message's INTEGRITY object.
    pub integrity_verified: bool,
    /// The message.
    pub message: AbiMessage<'a>,
    /// For what else the LPM asks of the PCM.
    pub call: AdmitCall<'a>,
    /// Where the decisions go, one place per flow descriptor. They are the LPM's until the call
    /// returns.
    pub places: RSlice<'a, Cell<AbiDecision>>,
}

/// The call in which an LPM decides, valid until it returns.
///
/// Most LPMs decide without what is asked for here, and converting it costs as much as the rest of
/// the way into one.
///
/// Not `Send`: the PCM keeps what it points to on the stack of the thread that calls.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AdmitCall<'a> {
    context: *const (),
    functions: &'static AdmitCallFunctions,
    call: PhantomData<&'a ()>,
}

/// The PCM's side of an [`AdmitCall`]. They take its context, and do not unwind.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AdmitCallFunctions {
    /// Takes a handle for the request, under which it is answered later; the same one when it is
    /// asked for again. 0 where the LPM is being stopped.
    pub issue: unsafe extern "C" fn(*const ()) -> u64,
    /// When the message was received.
    pub received: unsafe extern "C" fn(*const ()) -> AbiTime,
    /// Where it was received.
    pub interface: unsafe extern "C" fn(*const ()) -> AbiInterface,
}

impl AdmitCall<'_> {
    /// What `functions` make of `context`.
    ///
    /// # Safety
    ///
    /// They may be called with `context`, on this thread, as long as `'a` lasts.
    #[inline]
    #[must_use]
    pub const unsafe fn new(context: *const (), functions: &'static AdmitCallFunctions) -> Self {
        Self {
            context,
            functions,
            call: PhantomData,
        }
    }

    /// Takes a handle for the request, under which it is answered later; the same one when it is
    /// asked for again. 0 where the LPM is being stopped.
    #[must_use]
    pub fn issue(&self) -> RequestHandle {
        // SAFETY: whoever called `new` promised it, and this value is neither `Send` nor lives
        // longer than `'a`; the same below.
        RequestHandle::new(unsafe { (self.functions.issue)(self.context) })
    }

    /// When the message was received.
    #[must_use]
    pub fn received(&self) -> SystemTime {
        // SAFETY: as above.
        unsafe { (self.functions.received)(self.context) }.into()
    }

    /// Where it was received.
    #[must_use]
    pub fn interface(&self) -> AbiInterface {
        // SAFETY: as above.
        unsafe { (self.functions.interface)(self.context) }
    }
}
