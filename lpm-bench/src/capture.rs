//! Captures of any length.

use std::io::{self, Write};
use std::net::Ipv4Addr;

use etherparse::PacketBuilder;

use crate::messages::{ROUTER, SERVER, host, path_with_identity, resv_with_identity};

/// How many flows a capture has where nothing else is said.
pub const FLOWS: u32 = 1_000;

/// 2026-03-02T08:00:00Z, in seconds since the Unix epoch.
const START: u64 = 1_772_438_400;

/// RFC 2205's default refresh period, in microseconds.
const REFRESH_PERIOD: u64 = 30_000_000;

/// Writes a pcap file in which [`FLOWS`] senders with an identity of their own are granted a flow
/// each, and Path and Resv are refreshed again and again, up to so many messages.
///
/// # Errors
/// What the operating system says.
pub fn write(out: &mut impl Write, messages: u64) -> io::Result<()> {
    write_flows(out, FLOWS, FLOWS, messages)
}

/// Likewise, with so many flows, of so many users in turn. Each flow is refreshed in every refresh
/// period.
///
/// # Errors
/// What the operating system says.
pub fn write_flows(out: &mut impl Write, flows: u32, users: u32, messages: u64) -> io::Result<()> {
    // Version 2.4, microseconds, a snapshot length of 64 KiB, Ethernet.
    for word in [0xa1b2_c3d4_u32, 0x0002_0004, 0, 0, 65_535, 1] {
        out.write_all(&word.to_be_bytes())?;
    }
    let frames: Vec<_> = (0..flows)
        .flat_map(|flow| frames(flow, flow % users))
        .collect();
    let every = REFRESH_PERIOD / (2 * u64::from(flows));
    for (number, frame) in (0..messages).zip(frames.iter().cycle()) {
        let time = number * every;
        let length = frame.len() as u64;
        let header = [START + time / 1_000_000, time % 1_000_000, length, length];
        for word in header {
            let word = u32::try_from(word).map_err(io::Error::other)?;
            out.write_all(&word.to_be_bytes())?;
        }
        out.write_all(frame)?;
    }
    Ok(())
}

/// The Path and the Resv of a user's flow.
fn frames(flow: u32, user: u32) -> [Vec<u8>; 2] {
    [
        frame(host(flow), SERVER, &path_with_identity(flow, user)),
        frame(ROUTER, host(flow), &resv_with_identity(flow, user)),
    ]
}

fn frame(from: Ipv4Addr, to: Ipv4Addr, message: &[u8]) -> Vec<u8> {
    const RSVP: u8 = 46;
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let builder = builder.ipv4(from.octets(), to.octets(), 63);
    let mut frame = Vec::with_capacity(builder.size(message.len()));
    builder
        .write(&mut frame, RSVP.into(), message)
        .expect("a message fits into a packet");
    frame
}
