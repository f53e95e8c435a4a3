//! The request for objects of an outgoing message.

use std::marker::PhantomData;

use abi_stable::StableAbi;

use crate::handle::RequestHandle;
use crate::interface::AbiInterface;
use crate::message::AbiMessage;

/// A request for objects of an outgoing message.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiObjectsRequest<'a> {
    /// Where the message goes out.
    pub interface: AbiInterface,
    /// Bytes that objects may take.
    pub max_policy_data_size: u32,
    /// The message.
    pub message: AbiMessage<'a>,
    /// How to put the answer off.
    pub defer: Defer<'a>,
}

/// The right to defer the request that is under way, valid until the call returns.
///
/// Not `Send`: the PCM keeps what it points to on the stack of the thread that calls.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct Defer<'a> {
    context: *const (),
    issue: unsafe extern "C" fn(*const ()) -> u64,
    call: PhantomData<&'a ()>,
}

impl Defer<'_> {
    /// What `issue` makes of `context`.
    ///
    /// # Safety
    ///
    /// `issue` may be called with `context`, on this thread, as long as `'a` lasts. It does not
    /// unwind.
    #[must_use]
    pub const unsafe fn new(
        context: *const (),
        issue: unsafe extern "C" fn(*const ()) -> u64,
    ) -> Self {
        Self {
            context,
            issue,
            call: PhantomData,
        }
    }

    /// Takes a handle for the request, under which it is answered later. The same one when it is
    /// asked for again.
    #[must_use]
    pub fn issue(&self) -> RequestHandle {
        // SAFETY: whoever called `new` promised it, and this value is neither `Send` nor lives
        // longer than `'a`.
        RequestHandle::new(unsafe { (self.issue)(self.context) })
    }
}
