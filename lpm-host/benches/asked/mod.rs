//! What is asked, and who.

use std::net::Ipv4Addr;
use std::time::SystemTime;

use lpm_host::{Interface, LpmConfig, LpmLibrary, Pcm, ReceivedMessage};
use lpm_rsvp::build::Path;
use lpm_rsvp::{FilterSpec, Message, RsvpHop, Session, TimeValues, Tspec};

/// The message as it came in.
pub(crate) fn received(message: Message<'_>) -> ReceivedMessage<'_> {
    ReceivedMessage {
        message,
        interface: Interface {
            index: 2,
            address: Ipv4Addr::new(192, 0, 2, 1).into(),
        },
        received: SystemTime::now(),
        integrity_verified: false,
    }
}

/// A PCM in charge, with so many LPMs of one library.
pub(crate) fn pcm(count: u32, config: &str) -> Pcm {
    let lpm = |number| {
        // SAFETY: the fixture is this project's own.
        let library = unsafe { LpmLibrary::trust(lpm_fixtures::library("accepts")) };
        LpmConfig::new(format!("accepts {number}"), library).config(config)
    };
    let builder = (0..count).fold(Pcm::builder(), |builder, number| builder.lpm(lpm(number)));
    let pcm = builder.build().expect("builds");
    pcm.become_dsbm().expect("starts");
    pcm
}

/// A Path message as a sender starts one.
pub(crate) fn path() -> Vec<u8> {
    let address = Ipv4Addr::new(192, 0, 2, 80);
    let tspec = Tspec {
        rate: 125_000.0,
        bucket: 3_000.0,
        peak_rate: f32::INFINITY,
        min_policed: 64,
        max_packet: 1_500,
    };
    let hop = RsvpHop {
        address: address.into(),
        logical_interface: 0,
    };
    let session = Session::new(address, 17, 5004).expect("a legal session");
    let sender = FilterSpec::new(Ipv4Addr::new(198, 51, 100, 7), 4000);
    Path::new(session, hop, TimeValues::DEFAULT, sender, tspec)
        .build()
        .expect("a legal message")
}
