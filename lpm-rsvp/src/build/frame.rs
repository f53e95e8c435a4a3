//! What all messages have in common.

use alloc::vec::Vec;

use super::error::BuildError;
use super::extras::Extras;
use super::policy::PolicyData;
use super::writer::Writer;
use crate::class;
use crate::error::{ErrorKind, ParseError};
use crate::grammar::Strictness;
use crate::index::ObjectIndex;
use crate::message::Message;
use crate::message_type::MessageType;
use crate::object::{Object, RawObject};
use crate::wire;

/// An object of a class that this crate does not know, passed on unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownObject {
    class: u8,
    c_type: u8,
    body: Vec<u8>,
}

impl UnknownObject {
    /// `None` unless the class is one that nodes forward unknown: 192 to 255, not known to
    /// this crate; and the body a multiple of 4 bytes long.
    pub fn new(class: u8, c_type: u8, body: impl Into<Vec<u8>>) -> Option<Self> {
        let body = body.into();
        let legal = class >= 192 && !class::is_known(class) && body.len() % 4 == 0;
        legal.then_some(Self {
            class,
            c_type,
            body,
        })
    }
}

/// Common header fields and the objects any message may carry.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Frame {
    pub(super) flags: u8,
    pub(super) send_ttl: u8,
    pub(super) unknown: Vec<UnknownObject>,
    pub(super) extras: Extras,
}

impl Default for Frame {
    fn default() -> Self {
        Self {
            flags: 0,
            send_ttl: 64,
            unknown: Vec::new(),
            extras: Extras::default(),
        }
    }
}

impl Frame {
    pub(super) fn of(message: &Message<'_>) -> Self {
        let header = message.header();
        let unknown = message
            .objects()
            .filter_map(|object| UnknownObject::new(object.class, object.c_type, object.body))
            .collect();
        Self {
            flags: header.flags,
            send_ttl: header.send_ttl,
            unknown,
            extras: Extras::of(message),
        }
    }

    /// For the messages where the layer 2 address is an object of the message's own.
    pub(super) fn without_layer2(mut self) -> Self {
        self.extras.clear(class::RSVP_HOP_L2);
        self
    }

    /// Header, SESSION and the other objects; then the strict parser has its say.
    ///
    /// Unknown objects go before those whose order binds, see `objects`.
    pub(super) fn build(
        &self,
        message_type: MessageType,
        objects: impl FnOnce(&mut Writer),
        last: impl FnOnce(&mut Writer),
    ) -> Result<Vec<u8>, BuildError> {
        let mut writer = Writer::default();
        writer.begin(message_type, self.flags, self.send_ttl);
        self.extras.write_first(&mut writer);
        objects(&mut writer);
        self.extras.write_last(&mut writer);
        for object in &self.unknown {
            writer.object(object.class, object.c_type, |writer| {
                writer.bytes(&object.body);
            });
        }
        last(&mut writer);
        let bytes = writer.finish_message()?;
        Message::parse_with(&bytes, &mut ObjectIndex::new(), Strictness::Strict)?;
        Ok(bytes)
    }
}

/// The object of a class that a message must have.
pub(super) fn required<'a, T: Object<'a>>(
    message: &Message<'a>,
    class: u8,
) -> Result<T, ParseError> {
    match message.find(class) {
        Some(object) => object.read(),
        None => {
            let kind = ErrorKind::Missing {
                message: message.message_type(),
                class,
            };
            Err(ParseError::message(
                wire::clamp(message.bytes().len()),
                kind,
            ))
        }
    }
}

/// The object of a class that a message may have.
pub(super) fn optional<'a, T: Object<'a>>(
    message: &Message<'a>,
    class: u8,
) -> Result<Option<T>, ParseError> {
    message.find(class).map(RawObject::read).transpose()
}

pub(super) fn policy_data(message: &Message<'_>) -> Result<Vec<PolicyData>, ParseError> {
    message
        .policy_data()
        .map(|data| PolicyData::from_view(&data?))
        .collect()
}
