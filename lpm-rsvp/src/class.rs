//! Object class numbers, and what to do about unknown ones.

/// SESSION (RFC 2205 §A.1).
pub const SESSION: u8 = 1;
/// RSVP_HOP (RFC 2205 §A.2).
pub const RSVP_HOP: u8 = 3;
/// INTEGRITY (RFC 2747 §2).
pub const INTEGRITY: u8 = 4;
/// TIME_VALUES (RFC 2205 §A.4).
pub const TIME_VALUES: u8 = 5;
/// ERROR_SPEC (RFC 2205 §A.5).
pub const ERROR_SPEC: u8 = 6;
/// SCOPE (RFC 2205 §A.6).
pub const SCOPE: u8 = 7;
/// STYLE (RFC 2205 §A.7).
pub const STYLE: u8 = 8;
/// FLOWSPEC (RFC 2205 §A.8, RFC 2210).
pub const FLOWSPEC: u8 = 9;
/// FILTER_SPEC (RFC 2205 §A.9, RFC 2207 §3.2).
pub const FILTER_SPEC: u8 = 10;
/// SENDER_TEMPLATE (RFC 2205 §A.10).
pub const SENDER_TEMPLATE: u8 = 11;
/// SENDER_TSPEC (RFC 2205 §A.11, RFC 2210).
pub const SENDER_TSPEC: u8 = 12;
/// ADSPEC (RFC 2205 §A.12, RFC 2210).
pub const ADSPEC: u8 = 13;
/// POLICY_DATA (RFC 2205 §A.13, RFC 2750).
pub const POLICY_DATA: u8 = 14;
/// RESV_CONFIRM (RFC 2205 §A.14).
pub const RESV_CONFIRM: u8 = 15;
/// NULL: any length, anywhere, ignored (RFC 2205 §A).
pub const NULL: u8 = 0;
/// MESSAGE_ID (RFC 2961 §4).
pub const MESSAGE_ID: u8 = 23;
/// MESSAGE_ID_ACK and MESSAGE_ID_NACK (RFC 2961 §4).
pub const MESSAGE_ID_ACK: u8 = 24;
/// MESSAGE_ID LIST and its two relatives (RFC 2961 §5.1).
pub const MESSAGE_ID_LIST: u8 = 25;
/// DSBM IP ADDRESS (RFC 2814 §B.3).
pub const DSBM_IP_ADDRESS: u8 = 42;
/// SBM_PRIORITY (RFC 2814 §B.3).
pub const SBM_PRIORITY: u8 = 43;
/// DSBM TIMER INTERVALS (RFC 2814 §B.3).
pub const DSBM_TIMER_INTERVALS: u8 = 44;
/// NON_RESV_SEND_LIMIT (RFC 2814 §B.3).
pub const NON_RESV_SEND_LIMIT: u8 = 45;
/// CHALLENGE (RFC 2747 §4.3).
pub const CHALLENGE: u8 = 64;
/// RSVP_HOP_L2, also the DSBM L2 ADDRESS (RFC 2814 §B.3).
pub const RSVP_HOP_L2: u8 = 161;
/// LAN_NHOP_L2 (RFC 2814 §B.3).
pub const LAN_NHOP_L2: u8 = 162;
/// LAN_NHOP_L3 (RFC 2814 §B.3).
pub const LAN_NHOP_L3: u8 = 163;
/// LAN_LOOPBACK (RFC 2814 §B.3).
pub const LAN_LOOPBACK: u8 = 164;
/// TCLASS (RFC 2814 §B.3).
pub const TCLASS: u8 = 165;
/// DCLASS (RFC 2996 §2).
pub const DCLASS: u8 = 225;

/// The name of a class in its RFC; `None` for a class this crate has never heard of.
#[must_use]
pub const fn name(class: u8) -> Option<&'static str> {
    match known_name(class) {
        None => name_elsewhere(class),
        known => known,
    }
}

/// Whether a class has a meaning for this crate; others are unknown in the sense of RFC 2205 §3.10.
pub(crate) const fn is_known(class: u8) -> bool {
    known_name(class).is_some()
}

const fn known_name(class: u8) -> Option<&'static str> {
    Some(match class {
        NULL => "NULL",
        SESSION => "SESSION",
        RSVP_HOP => "RSVP_HOP",
        INTEGRITY => "INTEGRITY",
        TIME_VALUES => "TIME_VALUES",
        ERROR_SPEC => "ERROR_SPEC",
        SCOPE => "SCOPE",
        STYLE => "STYLE",
        FLOWSPEC => "FLOWSPEC",
        FILTER_SPEC => "FILTER_SPEC",
        SENDER_TEMPLATE => "SENDER_TEMPLATE",
        SENDER_TSPEC => "SENDER_TSPEC",
        ADSPEC => "ADSPEC",
        POLICY_DATA => "POLICY_DATA",
        RESV_CONFIRM => "RESV_CONFIRM",
        MESSAGE_ID => "MESSAGE_ID",
        MESSAGE_ID_ACK => "MESSAGE_ID_ACK",
        MESSAGE_ID_LIST => "MESSAGE_ID_LIST",
        DSBM_IP_ADDRESS => "DSBM_IP_ADDRESS",
        SBM_PRIORITY => "SBM_PRIORITY",
        DSBM_TIMER_INTERVALS => "DSBM_TIMER_INTERVALS",
        NON_RESV_SEND_LIMIT => "NON_RESV_SEND_LIMIT",
        CHALLENGE => "CHALLENGE",
        RSVP_HOP_L2 => "RSVP_HOP_L2",
        LAN_NHOP_L2 => "LAN_NHOP_L2",
        LAN_NHOP_L3 => "LAN_NHOP_L3",
        LAN_LOOPBACK => "LAN_LOOPBACK",
        TCLASS => "TCLASS",
        DCLASS => "DCLASS",
        _ => return None,
    })
}

/// The names of classes that have no meaning for this crate: of traffic engineering (RFC 3209,
/// 3473, 4090, 4875) and of diagnostics (RFC 2745).
const fn name_elsewhere(class: u8) -> Option<&'static str> {
    Some(match class {
        16 => "LABEL",
        19 => "LABEL_REQUEST",
        20 => "EXPLICIT_ROUTE",
        21 => "RECORD_ROUTE",
        22 => "HELLO",
        30 => "DIAGNOSTIC",
        31 => "ROUTE",
        32 => "DIAG_RESPONSE",
        33 => "DIAG_SELECT",
        34 => "RECOVERY_LABEL",
        35 => "UPSTREAM_LABEL",
        36 => "LABEL_SET",
        37 => "PROTECTION",
        50 => "S2L_SUB_LSP",
        63 => "DETOUR",
        129 => "SUGGESTED_LABEL",
        130 => "ACCEPTABLE_LABEL_SET",
        131 => "RESTART_CAP",
        195 => "NOTIFY_REQUEST",
        196 => "ADMIN_STATUS",
        205 => "FAST_REROUTE",
        207 => "SESSION_ATTRIBUTE",
        _ => return None,
    })
}

/// What a node does with an object whose class it does not know (RFC 2205 §3.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnknownClass {
    /// `0bbbbbbb`: reject the whole message with error code 13, value class · 256 + C-Type.
    RejectMessage,
    /// `10bbbbbb`: ignore the object and do not forward it.
    Ignore,
    /// `11bbbbbb`: ignore the object and forward it unchanged.
    Forward,
}

impl UnknownClass {
    /// The rule of RFC 2205 §3.10 for this class number.
    #[must_use]
    pub const fn rule(class: u8) -> Self {
        match class {
            0..=127 => Self::RejectMessage,
            128..=191 => Self::Ignore,
            192..=255 => Self::Forward,
        }
    }

    /// The refined rule for a node that is a subnet bandwidth manager: `101bbbbb` is
    /// forwarded too (RFC 2814 §B.3.2).
    #[must_use]
    pub const fn rule_for_sbm(class: u8) -> Self {
        match class {
            160..=191 => Self::Forward,
            _ => Self::rule(class),
        }
    }
}
