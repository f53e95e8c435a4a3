//! Messages: the bytes as they came off the wire, and an index.

use abi_stable::StableAbi;
use abi_stable::std_types::RSlice;

/// Where an object of a message stands; the mirror of `lpm_rsvp::ObjectEntry`.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiObjectEntry {
    /// Bytes from the start of the message.
    pub offset: u16,
    /// Bytes, the object's header included.
    pub length: u16,
    /// Class-Num.
    pub class: u8,
    /// C-Type.
    pub c_type: u8,
}

/// An RSVP message in network byte order, and the index of its objects.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiMessage<'a> {
    /// The message from its common header on.
    pub bytes: RSlice<'a, u8>,
    /// Its objects in order.
    pub objects: RSlice<'a, AbiObjectEntry>,
}
