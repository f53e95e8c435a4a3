//! MESSAGE_ID, its acknowledgement, and lists of them (RFC 2961 §4, §5.1).

use core::net::IpAddr;

use crate::class;
use crate::error::ParseError;
use crate::object::{Object, RawObject};
use crate::wire;

/// MESSAGE_ID: names one message of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct MessageId {
    /// [`MessageId::ACK_DESIRED`].
    pub flags: u8,
    /// Changes when the sender restarts; 24 bits.
    pub epoch: u32,
    /// Message_Identifier: grows from message to message, modulo 2^32.
    pub identifier: u32,
}

/// MESSAGE_ID_ACK (C-Type 1) or MESSAGE_ID_NACK (C-Type 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct MessageIdAck {
    /// Whether the state to refresh was not found (NACK).
    pub negative: bool,
    /// Epoch and identifier of the message that is acknowledged.
    pub message: MessageId,
}

/// MESSAGE_ID LIST, SRC_LIST and MCAST_LIST: the state that a Srefresh refreshes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageIdList<'a> {
    c_type: u8,
    epoch: u32,
    entries: &'a [u8],
}

/// One entry of a [`MessageIdList`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct MessageIdEntry {
    /// Message_Identifier of the message that made the state.
    pub identifier: u32,
    /// The sender's address; in SRC_LIST and MCAST_LIST.
    pub source: Option<IpAddr>,
    /// The destination address; in MCAST_LIST.
    pub destination: Option<IpAddr>,
}

impl MessageId {
    /// Flag ACK_Desired: the sender wants an acknowledgement.
    pub const ACK_DESIRED: u8 = 0x01;

    fn of(object: &RawObject<'_>) -> Result<Self, ParseError> {
        let (Some(word), Some(identifier), 8) = (
            wire::u32(object.body, 0),
            wire::u32(object.body, 4),
            object.body.len(),
        ) else {
            return Err(object.body_length("8"));
        };
        let [flags, ..] = word.to_be_bytes();
        Ok(Self {
            flags,
            epoch: word & 0x00ff_ffff,
            identifier,
        })
    }
}

impl<'a> Object<'a> for MessageId {
    const CLASSES: &'static [u8] = &[class::MESSAGE_ID];

    fn parse(object: RawObject<'a>) -> Result<Self, ParseError> {
        match object.c_type {
            1 => Self::of(&object),
            _ => Err(object.unknown_c_type()),
        }
    }
}

impl<'a> Object<'a> for MessageIdAck {
    const CLASSES: &'static [u8] = &[class::MESSAGE_ID_ACK];

    fn parse(object: RawObject<'a>) -> Result<Self, ParseError> {
        match object.c_type {
            1 | 2 => {
                let message = MessageId::of(&object)?;
                Ok(Self {
                    negative: object.c_type == 2,
                    message,
                })
            }
            _ => Err(object.unknown_c_type()),
        }
    }
}

impl<'a> MessageIdList<'a> {
    /// 1 MESSAGE_ID LIST, 2 and 3 SRC_LIST (IPv4, IPv6), 4 and 5 MCAST_LIST.
    #[must_use]
    pub const fn c_type(&self) -> u8 {
        self.c_type
    }

    /// The epoch of all entries; 24 bits.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The entries.
    pub fn entries(&self) -> impl Iterator<Item = MessageIdEntry> + use<'a> {
        let (c_type, size) = (self.c_type, entry_size(self.c_type).unwrap_or(4));
        self.entries.chunks_exact(size).filter_map(move |entry| {
            let (source, destination) = match c_type {
                2 => (wire::ipv4(entry, 4), None),
                3 => (wire::ipv6(entry, 4), None),
                4 => (wire::ipv4(entry, 4), wire::ipv4(entry, 8)),
                5 => (wire::ipv6(entry, 4), wire::ipv6(entry, 20)),
                _ => (None, None),
            };
            Some(MessageIdEntry {
                identifier: wire::u32(entry, 0)?,
                source,
                destination,
            })
        })
    }
}

impl<'a> Object<'a> for MessageIdList<'a> {
    const CLASSES: &'static [u8] = &[class::MESSAGE_ID_LIST];

    fn parse(object: RawObject<'a>) -> Result<Self, ParseError> {
        let size = entry_size(object.c_type).ok_or_else(|| object.unknown_c_type())?;
        match (wire::u32(object.body, 0), object.body.get(4..)) {
            (Some(word), Some(entries)) if entries.len().checked_rem(size) == Some(0) => {
                let epoch = word & 0x00ff_ffff;
                Ok(MessageIdList {
                    c_type: object.c_type,
                    epoch,
                    entries,
                })
            }
            _ => Err(object.body_length("4 and whole entries")),
        }
    }
}

/// Bytes of a list entry.
const fn entry_size(c_type: u8) -> Option<usize> {
    match c_type {
        1 => Some(4),
        2 => Some(8),
        3 => Some(20),
        4 => Some(12),
        5 => Some(36),
        _ => None,
    }
}
