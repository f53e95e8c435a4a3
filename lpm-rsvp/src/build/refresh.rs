//! Ack, Srefresh and Bundle: fewer and smaller refreshes (RFC 2961).

use alloc::vec::Vec;
use core::net::IpAddr;

use super::error::BuildError;
use super::extras::epoch_fault;
use super::frame::{Frame, UnknownObject, required};
use super::path::frame_methods;
use super::writer::Writer;
use crate::class;
use crate::error::ParseError;
use crate::message::Message;
use crate::message_type::MessageType;
use crate::objects::{MessageId, MessageIdAck, MessageIdList};

/// An Ack message (RFC 2961 §4.4). Its acknowledgements are those of [`Ack::acknowledge`]; at
/// least one.
#[derive(Clone, Debug, PartialEq)]
pub struct Ack {
    frame: Frame,
}

/// A Srefresh message (RFC 2961 §5): refreshes state by the identifiers of the messages that
/// made it.
#[derive(Clone, Debug, PartialEq)]
pub struct Srefresh {
    frame: Frame,
    epoch: u32,
    targets: Targets,
}

/// The state that a [`Srefresh`] refreshes, by Message_Identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// MESSAGE_ID LIST: state of the node that receives the message.
    List(Vec<u32>),
    /// SRC_LIST: state of multicast sessions, by source. One address family.
    Sources(Vec<(u32, IpAddr)>),
    /// MCAST_LIST: state of multicast sessions, by source and destination. One address family.
    Multicast(Vec<(u32, IpAddr, IpAddr)>),
}

/// A Bundle message (RFC 2961 §3): complete messages of other types in one datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    send_ttl: u8,
    messages: Vec<u8>,
    count: usize,
}

impl Ack {
    /// Acknowledges one message; [`Ack::acknowledge`] adds others.
    #[must_use]
    pub fn new(ack: MessageIdAck) -> Self {
        let mut frame = Frame::default();
        frame.extras.acknowledge(&ack);
        Self { frame }
    }

    /// Reads a received Ack.
    ///
    /// # Errors
    /// None today; the signature is that of the other builders.
    pub fn from_message(message: &Message<'_>) -> Result<Self, ParseError> {
        Ok(Self {
            frame: Frame::of(message),
        })
    }

    /// Builds the message, in network byte order with its checksum.
    ///
    /// # Errors
    /// Values that do not make a legal message.
    pub fn build(&self) -> Result<Vec<u8>, BuildError> {
        self.frame.build(MessageType::Ack, |_| {}, |_| {})
    }
}

impl Srefresh {
    /// Refreshes this state, made by messages with this epoch (24 bits).
    #[must_use]
    pub fn new(epoch: u32, targets: Targets) -> Self {
        Self {
            frame: Frame::default(),
            epoch,
            targets,
        }
    }

    /// Reads a received Srefresh with one list.
    ///
    /// # Errors
    /// A missing list, or one that cannot be read.
    pub fn from_message(message: &Message<'_>) -> Result<Self, ParseError> {
        let list: MessageIdList<'_> = required(message, class::MESSAGE_ID_LIST)?;
        let entries = || list.entries();
        let targets = match list.c_type() {
            1 => Targets::List(entries().map(|entry| entry.identifier).collect()),
            2 | 3 => {
                let target = entries().filter_map(|entry| Some((entry.identifier, entry.source?)));
                Targets::Sources(target.collect())
            }
            _ => {
                let target = entries().filter_map(|entry| {
                    Some((entry.identifier, entry.source?, entry.destination?))
                });
                Targets::Multicast(target.collect())
            }
        };
        Ok(Self {
            frame: Frame::of(message),
            epoch: list.epoch(),
            targets,
        })
    }

    /// Builds the message, in network byte order with its checksum.
    ///
    /// # Errors
    /// Values that do not make a legal message: an epoch of more than 24 bits, addresses of two
    /// families.
    pub fn build(&self) -> Result<Vec<u8>, BuildError> {
        let families: Vec<bool> = match &self.targets {
            Targets::List(_) => Vec::new(),
            Targets::Sources(list) => list.iter().map(|(_, source)| source.is_ipv4()).collect(),
            Targets::Multicast(list) => list
                .iter()
                .flat_map(|(_, source, destination)| [source.is_ipv4(), destination.is_ipv4()])
                .collect(),
        };
        let ipv4 = families.first().copied().unwrap_or(true);
        if families.iter().any(|family| *family != ipv4) {
            return Err(BuildError::MixedFamilies);
        }
        let c_type = match (&self.targets, ipv4) {
            (Targets::List(_), _) => 1,
            (Targets::Sources(_), true) => 2,
            (Targets::Sources(_), false) => 3,
            (Targets::Multicast(_), true) => 4,
            (Targets::Multicast(_), false) => 5,
        };
        let list = |writer: &mut Writer| {
            if let Some(fault) = epoch_fault(self.epoch) {
                writer.fault(fault);
            }
            writer.object(class::MESSAGE_ID_LIST, c_type, |writer| self.write(writer));
        };
        self.frame.build(MessageType::Srefresh, list, |_| {})
    }

    fn write(&self, writer: &mut Writer) {
        writer.u32(self.epoch & 0x00ff_ffff);
        match &self.targets {
            Targets::List(list) => list.iter().for_each(|identifier| writer.u32(*identifier)),
            Targets::Sources(list) => {
                for (identifier, source) in list {
                    writer.u32(*identifier);
                    writer.address(*source);
                }
            }
            Targets::Multicast(list) => {
                for (identifier, source, destination) in list {
                    writer.u32(*identifier);
                    writer.address(*source);
                    writer.address(*destination);
                }
            }
        }
    }
}

impl Bundle {
    /// A bundle without messages; it needs at least one.
    #[must_use]
    pub fn new() -> Self {
        Self {
            send_ttl: 64,
            messages: Vec::new(),
            count: 0,
        }
    }

    /// Sets the TTL the bundle is sent with; 64 otherwise.
    #[must_use]
    pub fn send_ttl(mut self, send_ttl: u8) -> Self {
        self.send_ttl = send_ttl;
        self
    }

    /// Appends a complete message, of any type but Bundle.
    ///
    /// # Errors
    /// Not a legal message; a Bundle.
    pub fn message(mut self, message: &[u8]) -> Result<Self, BuildError> {
        let mut index = crate::index::ObjectIndex::new();
        let parsed = Message::parse(message, &mut index)?;
        if parsed.message_type() == MessageType::Bundle {
            return Err(BuildError::NestedBundle);
        }
        self.messages.extend_from_slice(message);
        self.count = self.count.saturating_add(1);
        Ok(self)
    }

    /// How many messages there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no message yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Builds the bundle, in network byte order with its checksum.
    ///
    /// # Errors
    /// No message, or more than fit.
    pub fn build(&self) -> Result<Vec<u8>, BuildError> {
        if self.is_empty() {
            return Err(BuildError::EmptyBundle);
        }
        let frame = Frame {
            send_ttl: self.send_ttl,
            ..Frame::default()
        };
        let messages = |writer: &mut Writer| writer.bytes(&self.messages);
        frame.build(MessageType::Bundle, messages, |_| {})
    }
}

impl Default for Bundle {
    fn default() -> Self {
        Self::new()
    }
}

frame_methods!(Ack, Srefresh);
