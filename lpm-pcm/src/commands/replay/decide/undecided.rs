//! What is said of a message that is not decided: it cannot be read, is not for a PCM, is not to be
//! trusted, or went out.

use lpm_rsvp::{CommonHeader, LspTunnel, Message, ObjectEntry, ObjectWalk, ParseError, class};

use super::coming::Coming;
use super::counts::message_type;
use crate::capture::CapturedMessage;
use crate::integrity::{Forged, Provenance};
use crate::output::record::Record;

/// A message that cannot be read, with a fault at this offset.
pub(super) fn malformed<'a>(
    number: u64,
    coming: &'a Coming<'_>,
    bytes: &[u8],
    offset: usize,
    error: String,
) -> Record<'a> {
    Record::Malformed {
        number,
        origin: &coming.origin,
        message: message_type(bytes),
        offset: offset as u64,
        error,
    }
}

/// A message that is not for a PCM; it does not parse, but all objects are there.
pub(super) fn unsupported<'a>(
    number: u64,
    coming: &'a Coming<'_>,
    message: &Message<'_>,
    integrity: Provenance,
    (error_code, error_value): (u8, u16),
    error: &ParseError,
) -> Record<'a> {
    let session = message.find(class::SESSION);
    Record::Unsupported {
        number,
        origin: &coming.origin,
        message: message.message_type(),
        interface: coming.interface.index,
        session: message.session(),
        tunnel: session.and_then(|session| session.read::<LspTunnel>().ok()),
        integrity,
        error_code,
        error_value,
        error: text(error),
    }
}

/// A message that is not to be trusted.
pub(super) fn refused<'a>(
    number: u64,
    coming: &'a Coming<'_>,
    message: &Message<'_>,
    forged: Forged,
) -> Record<'a> {
    Record::Refused {
        number,
        origin: &coming.origin,
        message: message.message_type(),
        interface: coming.interface.index,
        session: message.session(),
        integrity: forged.name(),
        error: forged.to_string(),
    }
}

/// A message that the capturing node itself sent: what it decided on, it decided before.
pub(super) fn outgoing<'a>(
    number: u64,
    coming: &'a Coming<'_>,
    message: &Message<'_>,
) -> Record<'a> {
    Record::Outgoing {
        number,
        origin: &coming.origin,
        message: message.message_type(),
        interface: coming.interface.index,
        session: message.session(),
    }
}

/// All objects of a message, if they fill it.
pub(super) fn index_all(message: &[u8]) -> Option<Vec<ObjectEntry>> {
    let objects = message.get(CommonHeader::LENGTH..)?;
    let walk = ObjectWalk::new(objects, 8);
    walk.map(|object| {
        let object = object.ok()?;
        Some(ObjectEntry {
            offset: object.offset,
            length: u16::try_from(object.body.len() + 4).ok()?,
            class: object.class,
            c_type: object.c_type,
        })
    })
    .collect()
}

/// A fault in words, without the offset, which has a place of its own.
pub(super) fn text(error: &ParseError) -> String {
    let object = error
        .object
        .map_or(String::new(), |object| format!("{object}: "));
    format!("{object}{} ({})", error.kind, error.rule())
}

/// What is wrong with a message of which not all bytes were captured.
pub(super) fn cut_short(captured: &CapturedMessage) -> String {
    format!(
        "incomplete (packet {}): {} bytes were captured, its headers promise at least {} more; was \
         the snapshot length too small?",
        captured.packet,
        captured.bytes.len(),
        captured.missing
    )
}
