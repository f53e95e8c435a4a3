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
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Path => 1,
            Self::Resv => 2,
            Self::PathErr => 3,
            Self::ResvErr => 4,
            Self::PathTear => 5,
            Self::ResvTear => 6,
            Self::ResvConf => 7,
            Self::Dreq => 8,
            Self::Drep => 9,
            Self::ResvTearConfirm => 10,
            Self::Bundle => 12,
            Self::Ack => 13,
            Self::Srefresh => 15,
            Self::Hello => 20,
            Self::Notify => 21,
            Self::IntegrityChallenge => 25,
            Self::IntegrityResponse => 26,
            Self::RecoveryPath => 28,
            Self::DsbmWilling => 66,
            Self::IAmDsbm => 67,
            Self::Other(number) => number,
        }
    }
}

impl From<u8> for MessageType {
    #[inline(always)]
    fn from(number: u8) -> Self {
        match number {
            1 => Self::Path,
            2 => Self::Resv,
            3 => Self::PathErr,
            4 => Self::ResvErr,
            5 => Self::PathTear,
            6 => Self::ResvTear,
            7 => Self::ResvConf,
            8 => Self::Dreq,
            9 => Self::Drep,
            10 => Self::ResvTearConfirm,
            12 => Self::Bundle,
            13 => Self::Ack,
            15 => Self::Srefresh,
            20 => Self::Hello,
            21 => Self::Notify,
            25 => Self::IntegrityChallenge,
            26 => Self::IntegrityResponse,
            28 => Self::RecoveryPath,
            66 => Self::DsbmWilling,
            67 => Self::IAmDsbm,
            number => Self::Other(number),
        }
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Path => "Path",
            Self::Resv => "Resv",
            Self::PathErr => "PathErr",
            Self::ResvErr => "ResvErr",
            Self::PathTear => "PathTear",
            Self::ResvTear => "ResvTear",
            Self::ResvConf => "ResvConf",
            Self::Dreq => "DREQ",
            Self::Drep => "DREP",
            Self::ResvTearConfirm => "ResvTearConfirm",
            Self::Bundle => "Bundle",
            Self::Ack => "Ack",
            Self::Srefresh => "Srefresh",
            Self::Hello => "Hello",
            Self::Notify => "Notify",
            Self::IntegrityChallenge => "IntegrityChallenge",
            Self::IntegrityResponse => "IntegrityResponse",
            Self::RecoveryPath => "RecoveryPath",
            Self::DsbmWilling => "DSBM_WILLING",
            Self::IAmDsbm => "I_AM_DSBM",
            Self::Other(number) => return write!(f, "message type {number}"),
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
