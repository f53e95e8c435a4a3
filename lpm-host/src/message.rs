//! Messages, borrowed and owned.

use std::time::SystemTime;

use lpm_api::Interface;
use lpm_rsvp::{Message, ObjectEntry};
use smallvec::SmallVec;

/// A message as it was received.
#[derive(Clone, Copy, Debug)]
pub struct ReceivedMessage<'a> {
    /// The message.
    pub message: Message<'a>,
    /// The interface it came in on.
    pub interface: Interface,
    /// When it was received.
    pub received: SystemTime,
    /// Whether it bore an INTEGRITY object (RFC 2747) that was verified.
    pub integrity_verified: bool,
}

/// A Path, Resv, PathErr or ResvErr message that is to go out.
#[derive(Clone, Copy, Debug)]
pub struct OutgoingMessage<'a> {
    /// The message without policy data.
    pub message: Message<'a>,
    /// The interface it goes out on.
    pub interface: Interface,
    /// How many bytes of POLICY_DATA objects, headers included, it has room for.
    pub max_policy_data_size: u32,
}

/// A copy of a message, for when the caller does not wait; one of the usual length is in one piece.
#[derive(Debug)]
pub(crate) struct OwnedMessage {
    bytes: SmallVec<[u8; 256]>,
    entries: SmallVec<[ObjectEntry; 16]>,
}

impl OwnedMessage {
    pub(crate) fn view(&self) -> Message<'_> {
        Message::from_index(&self.bytes, &self.entries)
    }
}

impl From<Message<'_>> for OwnedMessage {
    fn from(message: Message<'_>) -> Self {
        Self {
            bytes: SmallVec::from_slice(message.bytes()),
            entries: SmallVec::from_slice(message.entries()),
        }
    }
}
