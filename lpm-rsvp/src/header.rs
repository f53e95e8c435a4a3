//! The common header (RFC 2205 §3.1.1).

use crate::error::{ErrorKind, ParseError};
use crate::message_type::MessageType;
use crate::wire;

/// The 8 bytes every message begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct CommonHeader {
    /// The protocol version, 1.
    pub version: u8,
    /// Four flag bits, 0 in RFC 2205; 1 = capable of refresh reduction (RFC 2961 §2).
    pub flags: u8,
    /// The message type.
    pub message_type: MessageType,
    /// The checksum; 0 when none was sent.
    pub checksum: u16,
    /// The IP TTL the message was sent with; differs from the received TTL when a hop in
    /// between does not speak RSVP.
    pub send_ttl: u8,
    /// Length of the message in bytes, this header included.
    pub length: u16,
}

impl CommonHeader {
    /// Length of the header in bytes.
    pub const LENGTH: usize = 8;

    /// Reads the header at the start of `bytes`. Checks nothing but that there are 8 bytes.
    ///
    /// # Errors
    /// [`ErrorKind::NoHeader`] when there are fewer.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let Some(&[first, message_type, sum1, sum2, send_ttl, _, len1, len2]) =
            bytes.first_chunk::<{ Self::LENGTH }>()
        else {
            let kind = ErrorKind::NoHeader {
                found: wire::clamp(bytes.len()),
            };
            return Err(ParseError::message(0, kind));
        };
        Ok(Self {
            version: first >> 4,
            flags: first & 0x0f,
            message_type: MessageType::from(message_type),
            checksum: u16::from_be_bytes([sum1, sum2]),
            send_ttl,
            length: u16::from_be_bytes([len1, len2]),
        })
    }
}
