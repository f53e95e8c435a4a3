//! Captures for the tests.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

pub mod instructions;
pub mod strategy;
pub mod walk;

use std::path::{Path, PathBuf};

use etherparse::LaxSlicedPacket;
use pcap_parser::{Linktype, PcapBlockOwned, PcapError, create_reader};

/// The IP protocol number of RSVP.
const RSVP: u8 = 46;

/// The captures that were not made to be malformed.
pub const WELL_FORMED: [&str; 6] = [
    "cisco/ios12-124path.pcap",
    "cisco/ios12-46path.pcap",
    "cisco/ios12-9path.pcap",
    "wireshark/path.pcap",
    "click/network1.pcap",
    "generated/click-7types.pcap",
];

/// The directories with captures. Those that may be copied are in the repository; the others
/// lie beside it, where they are.
pub fn capture_dirs() -> [PathBuf; 2] {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    [root.join("tests/captures"), root.join("../shared/captures")]
}

/// The RSVP messages of one capture of [`capture_dirs`]; `None`, said on stderr, when the
/// capture is not there.
pub fn messages(name: &str) -> Option<Vec<Vec<u8>>> {
    let found = capture_dirs()
        .into_iter()
        .map(|dir| dir.join(name))
        .find(|path| path.exists());
    if found.is_none() {
        eprintln!("not compared: the capture {name} is not here");
    }
    found.map(|path| rsvp_messages(&path))
}

/// Every message of every capture there is.
pub fn all_messages() -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    for dir in capture_dirs() {
        let Ok(groups) = std::fs::read_dir(&dir) else {
            eprintln!("not read: the captures of {} are not here", dir.display());
            continue;
        };
        for group in groups
            .filter_map(Result::ok)
            .filter(|group| group.path().is_dir())
        {
            for file in std::fs::read_dir(group.path())
                .unwrap()
                .filter_map(Result::ok)
            {
                if file
                    .path()
                    .extension()
                    .is_some_and(|e| e == "pcap" || e == "pcapng")
                {
                    messages.extend(rsvp_messages(&file.path()));
                }
            }
        }
    }
    messages
}

fn rsvp_messages(path: &Path) -> Vec<Vec<u8>> {
    let file = std::fs::File::open(path).unwrap();
    // Kinds of captures that only `pcm` reads are its tests' business.
    let Ok(mut reader) = create_reader(1 << 20, file) else {
        eprintln!("not read: {}", path.display());
        return Vec::new();
    };
    let mut link = Linktype::ETHERNET;
    let mut messages = Vec::new();
    loop {
        match reader.next() {
            Ok((length, block)) => {
                match block {
                    PcapBlockOwned::LegacyHeader(header) => link = header.network,
                    PcapBlockOwned::NG(pcap_parser::Block::InterfaceDescription(interface)) => {
                        link = interface.linktype;
                    }
                    PcapBlockOwned::Legacy(packet) => messages.extend(rsvp(link, packet.data)),
                    PcapBlockOwned::NG(pcap_parser::Block::EnhancedPacket(packet)) => {
                        let data = packet
                            .data
                            .get(..packet.caplen as usize)
                            .unwrap_or(packet.data);
                        messages.extend(rsvp(link, data));
                    }
                    PcapBlockOwned::NG(_) => {}
                }
                reader.consume(length);
            }
            Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
            Err(_) => return messages,
        }
    }
}

fn rsvp(link: Linktype, packet: &[u8]) -> Option<Vec<u8>> {
    // The bits above may say how long the frame check sequence is.
    let sliced = match Linktype(link.0 & 0xffff) {
        Linktype::ETHERNET => LaxSlicedPacket::from_ethernet(packet).ok()?,
        Linktype::LINUX_SLL => LaxSlicedPacket::from_ip(packet.get(16..)?).ok()?,
        _ => LaxSlicedPacket::from_ip(packet).ok()?,
    };
    let payload = sliced.net.as_ref()?.ip_payload_ref()?;
    (payload.ip_number.0 == RSVP).then(|| payload.payload.to_vec())
}

/// A capture of raw IP datagrams, each with one of these messages.
pub fn pcap(messages: &[Vec<u8>]) -> Vec<u8> {
    const RAW_IP: u32 = 101;
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4, 0x0002_0004, 0, 0, 0xffff, RAW_IP] {
        file.extend(u32::to_be_bytes(word));
    }
    for message in messages {
        let length = u32::try_from(message.len() + 20).unwrap();
        for word in [0, 0, length, length] {
            file.extend(word.to_be_bytes());
        }
        let [_, _, high, low] = length.to_be_bytes();
        file.extend([0x45, 0, high, low, 0, 0, 0, 0, 64, 46, 0, 0]);
        file.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        file.extend(message);
    }
    file
}
