//! Parsing: the header, then each object, then what the message as a whole must have.

use crate::checksum::checksum;
use crate::error::{ErrorKind, ParseError};
use crate::grammar::usual::{Counted, index_usual};
use crate::grammar::{Check, Strictness};
use crate::header::CommonHeader;
use crate::index::ObjectIndex;
use crate::message::Message;
use crate::message_type::MessageType;
use crate::object::ObjectWalk;
use crate::wire;

impl<'a> Message<'a> {
    /// Checks a message and indexes its objects, forgiving what real senders are known to do.
    ///
    /// Checked are: version, length, checksum (unless 0, "not sent"); that the objects fill
    /// the message; for the messages of RFC 2205: unknown classes, C-Types, lengths and
    /// values of the objects RSVP must understand, presence, repetition and the order rules
    /// that bind (INTEGRITY first, STYLE and flow descriptors last), ports. Message types
    /// with another grammar are indexed only.
    ///
    /// `bytes` is exactly one message: the payload of an IP datagram of protocol 46.
    ///
    /// # Errors
    /// The first fault found; `index` is then of no use until the next call.
    pub fn parse(bytes: &'a [u8], index: &'a mut ObjectIndex) -> Result<Self, ParseError> {
        Message::parse_with(bytes, index, Strictness::Lenient)
    }

    /// Like [`parse`](Message::parse), with the given strictness.
    ///
    /// # Errors
    /// The first fault found; `index` is then of no use until the next call.
    pub fn parse_with(
        bytes: &'a [u8],
        index: &'a mut ObjectIndex,
        strictness: Strictness,
    ) -> Result<Self, ParseError> {
        check_header(bytes)?;
        index.clear();
        match strictness {
            Strictness::Lenient => match index_usual(bytes, index.slots()) {
                Some(Counted { objects, flows }) => {
                    let entries = index.filled(objects);
                    Ok(Message::from_index(bytes, entries).with_counted_flows(Some(flows)))
                }
                None => Message::checked::<false>(bytes, index),
            },
            Strictness::Strict => Message::checked::<true>(bytes, index),
        }
    }

    /// Indexes and checks the objects behind a header that is right.
    #[inline(never)]
    pub(crate) fn checked<const STRICT: bool>(
        bytes: &'a [u8],
        index: &'a mut ObjectIndex,
    ) -> Result<Self, ParseError> {
        let message_type = Message::from_index(bytes, &[]).message_type();
        let mut walk = ObjectWalk::new(
            match message_type {
                // The bodies of Bundle messages are messages, not objects (RFC 2961 §3.1).
                MessageType::Bundle => &[],
                _ => bytes.get(CommonHeader::LENGTH..).unwrap_or_default(),
            },
            wire::clamp(CommonHeader::LENGTH),
        );
        let Some(mut check) = Check::<STRICT>::new(message_type) else {
            let mut count = 0;
            while let Some((entry, _)) = walk.step() {
                index.put(&mut count, entry)?;
            }
            walk.finish()?;
            let entries = index.filled(count);
            return Ok(Message::from_index(bytes, entries));
        };
        let mut count = 0;
        while let Some((entry, object)) = walk.step() {
            index.put(&mut count, entry)?;
            check.object(object)?;
        }
        walk.finish()?;
        let message = Message::from_index(bytes, index.filled(count));
        check.finish(message)?;
        Ok(message)
    }
}

/// Checks all of the header.
#[inline]
fn check_header(bytes: &[u8]) -> Result<(), ParseError> {
    if let Some(&[first, _, sum1, sum2, _, _, len1, len2]) =
        bytes.first_chunk::<{ CommonHeader::LENGTH }>()
    {
        let sum = u16::from_be_bytes([sum1, sum2]);
        if first >> 4 == 1
            && usize::from(u16::from_be_bytes([len1, len2])) == bytes.len()
            && (sum == 0 || sum == checksum(bytes))
        {
            return Ok(());
        }
    }
    Err(header_fault(bytes))
}

/// The fault of a header that is not right.
#[cold]
fn header_fault(bytes: &[u8]) -> ParseError {
    let header = match CommonHeader::parse(bytes) {
        Ok(header) => header,
        Err(error) => return error,
    };
    if header.version != 1 {
        let kind = ErrorKind::Version {
            found: header.version,
        };
        return ParseError::message(0, kind);
    }
    if usize::from(header.length) != bytes.len() {
        let found = wire::clamp(bytes.len());
        let kind = ErrorKind::MessageLength {
            header: header.length,
            found,
        };
        return ParseError::message(6, kind);
    }
    let kind = ErrorKind::Checksum {
        expected: checksum(bytes),
        found: header.checksum,
    };
    ParseError::message(2, kind)
}
