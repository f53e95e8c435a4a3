//! Messages to ask about.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lpm_host::lpm_api::Interface;
use lpm_host::lpm_rsvp::build::{Path, PathTear};
use lpm_host::lpm_rsvp::{FilterSpec, Message, ObjectIndex, RsvpHop, Session, TimeValues, Tspec};
use lpm_host::{Pcm, PcmError, ReceivedMessage, Verdict};

const HOP: RsvpHop = RsvpHop {
    address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 254)),
    logical_interface: 0,
};

/// A Path message from a sender with this port, for 125 000 bytes/s.
///
/// # Panics
///
/// Never for a port other than 0.
#[must_use]
pub fn path(sender_port: u16) -> Vec<u8> {
    let tspec = Tspec {
        rate: 125_000.0,
        bucket: 3_000.0,
        peak_rate: f32::INFINITY,
        min_policed: 64,
        max_packet: 1_500,
    };
    Path::new(
        session(),
        HOP,
        TimeValues::DEFAULT,
        sender(sender_port),
        tspec,
    )
    .build()
    .expect("a legal message")
}

/// The PathTear that takes [`path`] back.
///
/// # Panics
///
/// Never for a port other than 0.
#[must_use]
pub fn path_tear(sender_port: u16) -> Vec<u8> {
    PathTear::new(session(), HOP, sender(sender_port))
        .build()
        .expect("a legal message")
}

fn session() -> Session {
    Session::new(Ipv4Addr::new(192, 0, 2, 80), 17, 5004).expect("a legal session")
}

fn sender(port: u16) -> FilterSpec {
    FilterSpec::new(Ipv4Addr::new(198, 51, 100, 7), port)
}

/// Noon (UTC) of some day.
#[must_use]
pub fn noon() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(20_000 * 86_400 + 12 * 3_600)
}

/// Has the PCM decide on a message that was received at noon.
///
/// # Errors
///
/// The PCM's.
///
/// # Panics
///
/// When the message is malformed.
pub fn admit(pcm: &Pcm, message: &[u8]) -> Result<Verdict, PcmError> {
    admit_at(pcm, message, noon())
}

/// Has the PCM decide on a message that was received at this time.
///
/// # Errors
///
/// The PCM's.
///
/// # Panics
///
/// When the message is malformed.
pub fn admit_at(pcm: &Pcm, message: &[u8], received: SystemTime) -> Result<Verdict, PcmError> {
    let mut index = ObjectIndex::new();
    pcm.admit(&ReceivedMessage {
        message: Message::parse(message, &mut index).expect("a well-formed message"),
        interface: Interface {
            index: 1,
            address: Ipv4Addr::new(192, 0, 2, 1).into(),
        },
        received,
        integrity_verified: false,
    })
}
