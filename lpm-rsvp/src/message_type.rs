//! The message types.

use core::fmt;

/// The message types. Displays as the RFCs spell them: `Path`, `ResvErr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum MessageType {
    /// Type 1 (RFC 2205 §3.1.3).
    Path,
    /// Type 2 (RFC 2205 §3.1.4).
    Resv,
    /// Type 3 (RFC 2205 §3.1.7).
    PathErr,
    /// Type 4 (RFC 2205 §3.1.8).
    ResvErr,
    /// Type 5 (RFC 2205 §3.1.5).
    PathTear,
    /// Type 6 (RFC 2205 §3.1.6).
    ResvTear,
    /// Type 7 (RFC 2205 §3.1.9).
    ResvConf,
    /// Type 8, Diagnostic Request (RFC 2745 §3).
    Dreq,
    /// Type 9, Diagnostic Reply (RFC 2745 §3).
    Drep,
    /// Type 10 (RFC 2746 §7.3).
    ResvTearConfirm,
    /// Type 12 (RFC 2961 §3).
    Bundle,
    /// Type 13 (RFC 2961 §4).
    Ack,
    /// Type 15 (RFC 2961 §5).
    Srefresh,
    /// Type 20 (RFC 3209 §5).
    Hello,
    /// Type 21 (RFC 3473 §4.3).
    Notify,
    /// Type 25 (RFC 2747 §4.3, renumbered by RFC 3097 §2).
    IntegrityChallenge,
    /// Type 26 (RFC 2747 §4.3, renumbered by RFC 3097 §2).
    IntegrityResponse,
    /// Type 28 (RFC 5063 §4.2).
    RecoveryPath,
    /// Type 66, DSBM_WILLING (RFC 2814 §B.6).
    DsbmWilling,
    /// Type 67, I_AM_DSBM (RFC 2814 §B.6).
    IAmDsbm,
    /// Any other number.
    Other(u8),
}

impl MessageType {
    /// The number on the wire.
    pub const fn number(self) -> u8 {
        match self {
            MessageType::Path => 1,
            MessageType::Resv => 2,
            MessageType::PathErr => 3,
            MessageType::ResvErr => 4,
            MessageType::PathTear => 5,
            MessageType::ResvTear => 6,
            MessageType::ResvConf => 7,
            MessageType::Dreq => 8,
            MessageType::Drep => 9,
            MessageType::ResvTearConfirm => 10,
            MessageType::Bundle => 12,
            MessageType::Ack => 13,
            MessageType::Srefresh => 15,
            MessageType::Hello => 20,
            MessageType::Notify => 21,
            MessageType::IntegrityChallenge => 25,
            MessageType::IntegrityResponse => 26,
            MessageType::RecoveryPath => 28,
            MessageType::DsbmWilling => 66,
            MessageType::IAmDsbm => 67,
            MessageType::Other(number) => number,
        }
    }
}

impl From<u8> for MessageType {
    #[inline(always)]
    fn from(number: u8) -> MessageType {
        match number {
            1 => MessageType::Path,
            2 => MessageType::Resv,
            3 => MessageType::PathErr,
            4 => MessageType::ResvErr,
            5 => MessageType::PathTear,
            6 => MessageType::ResvTear,
            7 => MessageType::ResvConf,
            8 => MessageType::Dreq,
            9 => MessageType::Drep,
            10 => MessageType::ResvTearConfirm,
            12 => MessageType::Bundle,
            13 => MessageType::Ack,
            15 => MessageType::Srefresh,
            20 => MessageType::Hello,
            21 => MessageType::Notify,
            25 => MessageType::IntegrityChallenge,
            26 => MessageType::IntegrityResponse,
            28 => MessageType::RecoveryPath,
            66 => MessageType::DsbmWilling,
            67 => MessageType::IAmDsbm,
            number => MessageType::Other(number),
        }
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            MessageType::Path => "Path",
            MessageType::Resv => "Resv",
            MessageType::PathErr => "PathErr",
            MessageType::ResvErr => "ResvErr",
            MessageType::PathTear => "PathTear",
            MessageType::ResvTear => "ResvTear",
            MessageType::ResvConf => "ResvConf",
            MessageType::Dreq => "DREQ",
            MessageType::Drep => "DREP",
            MessageType::ResvTearConfirm => "ResvTearConfirm",
            MessageType::Bundle => "Bundle",
            MessageType::Ack => "Ack",
            MessageType::Srefresh => "Srefresh",
            MessageType::Hello => "Hello",
            MessageType::Notify => "Notify",
            MessageType::IntegrityChallenge => "IntegrityChallenge",
            MessageType::IntegrityResponse => "IntegrityResponse",
            MessageType::RecoveryPath => "RecoveryPath",
            MessageType::DsbmWilling => "DSBM_WILLING",
            MessageType::IAmDsbm => "I_AM_DSBM",
            MessageType::Other(number) => return write!(f, "message type {number}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_round_trips() {
        for number in 0..=255 {
            assert_eq!(MessageType::from(number).number(), number);
        }
    }
}
