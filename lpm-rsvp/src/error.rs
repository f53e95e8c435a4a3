//! What is wrong with a message, where, and by which rule.

use core::fmt;

use crate::class;
use crate::message_type::MessageType;

/// A fault in a message: where it is, which object has it, and which rule it breaks.
///
/// The fault is always the sender's (or the network's), never the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct ParseError {
    /// Bytes from the start of the message to the fault.
    pub offset: u16,
    /// The object at fault; `None` for faults of the message as a whole.
    pub object: Option<ObjectId>,
    /// What is wrong.
    pub kind: ErrorKind,
}

/// Class number and C-Type of an object. Displays as `STYLE (8/1)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct ObjectId {
    /// The class number, see [`class`].
    pub class: u8,
    /// The C-Type within the class.
    pub c_type: u8,
}

/// The kinds of faults; each names its rule, see [`ParseError::rule`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Fewer bytes than a common header.
    #[error("{found} bytes are too few for the common header of 8")]
    NoHeader {
        /// Bytes there are.
        found: u16,
    },
    /// A version other than 1.
    #[error("version {found} found, 1 expected")]
    Version {
        /// The version in the header.
        found: u8,
    },
    /// The header's RSVP Length differs from the bytes received.
    #[error("the header says {header} bytes, {found} were received")]
    MessageLength {
        /// The header's RSVP Length.
        header: u16,
        /// The bytes received (65535 stands for that many and more).
        found: u16,
    },
    /// A checksum that is neither 0 ("none sent") nor right.
    #[error("checksum {found:#06x} found, {expected:#06x} expected")]
    Checksum {
        /// The checksum of the bytes received.
        expected: u16,
        /// The checksum in the header.
        found: u16,
    },
    /// An object shorter than 4 bytes, not a multiple of 4, or longer than what is left.
    #[error("object length {found} with {left} bytes left; a multiple of 4 that fits is expected")]
    ObjectLength {
        /// The length in the object header.
        found: u16,
        /// Bytes from the object to the end of what holds it.
        left: u16,
    },
    /// More objects than the index has room for (without the feature `alloc` only).
    #[error("more than {limit} objects; without the feature `alloc` there is no room for them")]
    TooManyObjects {
        /// The room there is.
        limit: u16,
    },
    /// An unknown class of the range that must be understood; answered with code 13.
    #[error("unknown class; classes 0 to 127 must be understood")]
    UnknownClass,
    /// An unknown C-Type of a known class; answered with code 14.
    #[error("unknown C-Type")]
    UnknownCType,
    /// A required object is missing.
    #[error("a {message} needs {}", class_name(*.class))]
    Missing {
        /// The message type.
        message: MessageType,
        /// The class that is missing.
        class: u8,
    },
    /// An object that this message type does not have.
    #[error("not allowed in a {message}")]
    NotAllowed {
        /// The message type.
        message: MessageType,
    },
    /// A second object of a class that occurs once.
    #[error("occurs a second time")]
    Duplicate,
    /// An object in the wrong place.
    #[error("out of place: {expected}")]
    Misplaced {
        /// Where it belongs.
        expected: &'static str,
    },
    /// The flow descriptor list does not follow the grammar of its style.
    #[error("flow descriptors: {expected}")]
    FlowDescriptors {
        /// What the grammar expects here.
        expected: &'static str,
    },
    /// A body of the wrong length.
    #[error("{found} bytes of content found, {expected} expected")]
    BodyLength {
        /// The length or rule of lengths.
        expected: &'static str,
        /// The length of the content, without the object header.
        found: u16,
    },
    /// A field with a value it must not have.
    #[error("{field} is {found:#x}; {expected} expected")]
    Value {
        /// The field's name in its RFC.
        field: &'static str,
        /// The values it may have.
        expected: &'static str,
        /// The value (the bits of a floating-point number).
        found: u32,
    },
    /// SESSION and FILTER_SPEC or SENDER_TEMPLATE that do not go together: different address
    /// families, or ports with a GPI.
    #[error("does not go with the SESSION: {expected} expected")]
    Conflict {
        /// What the session asks for.
        expected: &'static str,
    },
    /// A datagram without the IP option that its message needs.
    #[error("a {message} without the IP option Router Alert")]
    RouterAlert {
        /// The message type.
        message: MessageType,
    },
    /// A part within an object (IntServ, policy) that overruns what holds it.
    #[error("{part} needs {needed} bytes, {left} are left")]
    Overrun {
        /// The part's name.
        part: &'static str,
        /// Bytes the part needs.
        needed: u32,
        /// Bytes there are.
        left: u16,
    },
}

impl ParseError {
    pub(crate) const fn message(offset: u16, kind: ErrorKind) -> Self {
        Self {
            offset,
            object: None,
            kind,
        }
    }

    /// Where the broken rule is written.
    #[must_use]
    pub const fn rule(&self) -> &'static str {
        match self.kind {
            ErrorKind::NoHeader { .. }
            | ErrorKind::Version { .. }
            | ErrorKind::MessageLength { .. }
            | ErrorKind::Checksum { .. } => "RFC 2205 §3.1.1",
            ErrorKind::ObjectLength { .. } | ErrorKind::TooManyObjects { .. } => "RFC 2205 §3.1.2",
            ErrorKind::UnknownClass | ErrorKind::UnknownCType => "RFC 2205 §3.10",
            ErrorKind::Missing { message, .. } | ErrorKind::NotAllowed { message } => {
                grammar_section(message)
            }
            ErrorKind::Duplicate
            | ErrorKind::Misplaced { .. }
            | ErrorKind::FlowDescriptors { .. } => "RFC 2205 §3.1",
            ErrorKind::RouterAlert { .. } => "RFC 2205 §3.3, RFC 2113",
            ErrorKind::Conflict { .. } => "RFC 2205 §3.2, RFC 2207 §4.1",
            ErrorKind::BodyLength { .. } | ErrorKind::Value { .. } | ErrorKind::Overrun { .. } => {
                match self.object {
                    Some(object) => object_section(object),
                    None => "RFC 2205 §3.1",
                }
            }
        }
    }

    /// Error code and value to report to the sender, for the faults that are reported at all
    /// (RFC 2205 §B: all others are only logged).
    #[must_use]
    pub const fn error_code(&self) -> Option<(u8, u16)> {
        let code = match self.kind {
            ErrorKind::UnknownClass => 13,
            ErrorKind::UnknownCType => 14,
            _ => return None,
        };
        match self.object {
            Some(ObjectId { class, c_type }) => Some((code, u16::from_be_bytes([class, c_type]))),
            None => None,
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offset {}: ", self.offset)?;
        if let Some(object) = self.object {
            write!(f, "{object}: ")?;
        }
        write!(f, "{} ({})", self.kind, self.rule())
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = class::name(self.class).unwrap_or("object");
        write!(f, "{name} ({}/{})", self.class, self.c_type)
    }
}

fn class_name(class: u8) -> &'static str {
    class::name(class).unwrap_or("object")
}

const fn grammar_section(message: MessageType) -> &'static str {
    match message {
        MessageType::Path => "RFC 2205 §3.1.3",
        MessageType::Resv => "RFC 2205 §3.1.4",
        MessageType::PathTear => "RFC 2205 §3.1.5",
        MessageType::ResvTear => "RFC 2205 §3.1.6",
        MessageType::PathErr => "RFC 2205 §3.1.7",
        MessageType::ResvErr => "RFC 2205 §3.1.8",
        MessageType::ResvConf => "RFC 2205 §3.1.9",
        MessageType::DsbmWilling | MessageType::IAmDsbm => "RFC 2814 §B.6",
        MessageType::Ack => "RFC 2961 §4.4",
        MessageType::Srefresh => "RFC 2961 §5",
        MessageType::IntegrityChallenge | MessageType::IntegrityResponse => "RFC 2747 §4.3",
        _ => "RFC 2205 §3.1",
    }
}

const fn object_section(object: ObjectId) -> &'static str {
    match object.class {
        class::SESSION => "RFC 2205 §A.1",
        class::RSVP_HOP => "RFC 2205 §A.2",
        class::INTEGRITY => "RFC 2747 §2",
        class::TIME_VALUES => "RFC 2205 §A.4",
        class::ERROR_SPEC => "RFC 2205 §A.5",
        class::SCOPE => "RFC 2205 §A.6",
        class::STYLE => "RFC 2205 §A.7",
        class::FILTER_SPEC => "RFC 2205 §A.9",
        class::SENDER_TEMPLATE => "RFC 2205 §A.10",
        class::RESV_CONFIRM => "RFC 2205 §A.14",
        class::FLOWSPEC => "RFC 2210 §3.2",
        class::SENDER_TSPEC => "RFC 2210 §3.1",
        class::ADSPEC => "RFC 2210 §3.3",
        class::POLICY_DATA => "RFC 2750 §3, RFC 3181 §4, RFC 3182 §3",
        class::CHALLENGE => "RFC 2747 §4.3",
        class::MESSAGE_ID | class::MESSAGE_ID_ACK | class::MESSAGE_ID_LIST => "RFC 2961 §4, §5",
        class::DCLASS => "RFC 2996 §2",
        42..=45 | 161..=165 => "RFC 2814 §B.3",
        _ => "RFC 2205 §3.1.2",
    }
}
