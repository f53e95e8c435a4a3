//! Messages to ask about.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lpm_host::error::PcmError;
use lpm_host::lpm_api::Interface;
use lpm_host::lpm_rsvp::build::{Flows, Path, PathTear, Resv};
use lpm_host::lpm_rsvp::{
    FilterSpec, Message, ObjectIndex, RsvpHop, ServiceRequest, Session, TimeValues, Tspec,
};
use lpm_host::{
    CommitDecision, CommittedResv, OutgoingMessage, OutgoingVerdict, Pcm, ReceivedMessage, Verdict,
};

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
    Path::new(
        session(),
        HOP,
        TimeValues::DEFAULT,
        sender(sender_port),
        tspec(125_000.0),
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

fn tspec(rate: f32) -> Tspec {
    Tspec {
        rate,
        bucket: 3_000.0,
        peak_rate: f32::INFINITY,
        min_policed: 64,
        max_packet: 1_500,
    }
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
    with_received(message, |at_noon| {
        pcm.admit(&ReceivedMessage {
            received,
            ..*at_noon
        })
    })
}

/// A Resv with one reservation for each of two senders (FF), the second for twice as much.
///
/// # Panics
///
/// Never.
#[must_use]
pub fn resv() -> Vec<u8> {
    let flows = [(4000, 125_000.0), (4001, 250_000.0)];
    let flows = flows.map(|(port, rate)| (controlled_load(rate), sender(port)));
    let flows = Flows::FixedFilter(flows.to_vec());
    Resv::new(session(), HOP, TimeValues::DEFAULT, flows)
        .build()
        .expect("a legal message")
}

/// What a reservation for so many bytes/s asks for.
#[must_use]
pub fn controlled_load(rate: f32) -> ServiceRequest {
    ServiceRequest::ControlledLoad(tspec(rate))
}

/// The interface that messages come in on.
pub const INTERFACE: Interface = Interface {
    index: 1,
    address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
};

/// Does something with a message that was received at noon.
///
/// # Panics
///
/// When the message is malformed.
pub fn with_received<R>(message: &[u8], use_it: impl FnOnce(&ReceivedMessage<'_>) -> R) -> R {
    let mut index = ObjectIndex::new();
    use_it(&ReceivedMessage {
        message: Message::parse(message, &mut index).expect("a well-formed message"),
        interface: INTERFACE,
        received: noon(),
        integrity_verified: false,
    })
}

/// Asks for the objects of a message that is to go out, with room for so many bytes of them.
///
/// # Errors
///
/// The PCM's.
///
/// # Panics
///
/// When the message is malformed.
pub fn rsvp_objects(pcm: &Pcm, message: &[u8], room: u32) -> Result<OutgoingVerdict, PcmError> {
    with_received(message, |received| {
        pcm.rsvp_objects(&OutgoingMessage {
            message: received.message,
            interface: received.interface,
            max_policy_data_size: room,
        })
    })
}

/// Tells that the second flow of [`resv`] got its resources.
///
/// # Errors
///
/// The PCM's.
pub fn commit_resv(pcm: &Pcm) -> Result<(), PcmError> {
    with_received(&resv(), |received| {
        pcm.commit_resv(&CommittedResv {
            decision: CommitDecision::ResourcesAllocated,
            message: received.message,
            flow: 1,
            interface: received.interface,
            merged: None,
        })
    })
}

/// A Path with orders for the LPMs of the fixture `defers`, about the request of this name; the
/// session's port is 7 where it is about an earlier one.
///
/// # Panics
///
/// When the name or the port is 0.
#[must_use]
pub fn orders(session_port: u16, orders: [u8; 3], name: u16) -> Vec<u8> {
    let [a, b, c] = orders;
    let session = Session::new(Ipv4Addr::new(192, 0, 2, 80), 17, session_port);
    let sender = FilterSpec::new(Ipv4Addr::new(10, a, b, c), name);
    Path::new(
        session.expect("a legal session"),
        HOP,
        TimeValues::DEFAULT,
        sender,
        tspec(125_000.0),
    )
    .build()
    .expect("a legal message")
}
