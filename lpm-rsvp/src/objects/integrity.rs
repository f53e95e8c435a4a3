//! INTEGRITY and CHALLENGE (RFC 2747 §2, §4.3), as they lie in a message.

use crate::class;
use crate::error::ParseError;
use crate::object::{Object, RawObject};
use crate::wire;

/// INTEGRITY: proves who sent the message, and when in the order of that sender's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Integrity<'a> {
    /// Flags; [`Integrity::HANDSHAKE`].
    pub flags: u8,
    /// Key Identifier: 48 bits, chosen by the sender.
    pub key_id: u64,
    /// Sequence Number: grows from message to message.
    pub sequence: u64,
    /// Keyed Message Digest: 16 bytes for HMAC-MD5, 20 for HMAC-SHA-1, 28 to 64 for the SHA-2s.
    pub digest: &'a [u8],
}

impl Integrity<'_> {
    /// Handshake flag: the sender answers challenges. RFC 2747 draws it as the leftmost bit,
    /// Cisco IOS sends it as the rightmost; receivers take either.
    pub const HANDSHAKE: u8 = 0x80;

    /// Whether the sender answers challenges.
    #[must_use]
    pub const fn handshake(&self) -> bool {
        self.flags & (Self::HANDSHAKE | 0x01) != 0
    }
}

impl<'a> Object<'a> for Integrity<'a> {
    const CLASSES: &'static [u8] = &[class::INTEGRITY];

    fn parse(object: RawObject<'a>) -> Result<Self, ParseError> {
        if object.c_type != 1 {
            return Err(object.unknown_c_type());
        }
        let body = object.body;
        match (
            wire::u8(body, 0),
            key_id(body),
            wire::array(body, 8),
            body.get(16..),
        ) {
            (Some(flags), Some(key_id), Some(sequence), Some(digest))
                if !digest.is_empty() && digest.len() % 4 == 0 =>
            {
                Ok(Integrity {
                    flags,
                    key_id,
                    sequence: u64::from_be_bytes(sequence),
                    digest,
                })
            }
            _ => Err(object.body_length("16 and a digest")),
        }
    }
}

/// CHALLENGE: asks a sender to prove that its sequence numbers are fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Challenge {
    /// Key Identifier of the message that is challenged: 48 bits.
    pub key_id: u64,
    /// Challenge Cookie: comes back in the response.
    pub cookie: u64,
}

impl<'a> Object<'a> for Challenge {
    const CLASSES: &'static [u8] = &[class::CHALLENGE];

    fn parse(object: RawObject<'a>) -> Result<Self, ParseError> {
        if object.c_type != 1 {
            return Err(object.unknown_c_type());
        }
        match (
            key_id(object.body),
            wire::array(object.body, 8),
            object.body.len(),
        ) {
            (Some(key_id), Some(cookie), 16) => Ok(Self {
                key_id,
                cookie: u64::from_be_bytes(cookie),
            }),
            _ => Err(object.body_length("16")),
        }
    }
}

/// The 48 bits at byte 2.
fn key_id(body: &[u8]) -> Option<u64> {
    let [_, _, id @ ..] = wire::array::<8>(body, 0)?;
    let [a, b, c, d, e, f] = id;
    Some(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
}
