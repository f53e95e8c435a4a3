//! Frames that were changed below RSVP, next to tshark: both find an RSVP message in the same ones,
//! but for differences of which each is explained here.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::process::Command;

use lpm_pcm::capture::{Capture, CaptureItem};
use support::Pcap;

/// How many frames are changed, and the seed of the changes.
const FRAMES: usize = 10_000;
const SEED: u64 = 17;

/// What tshark takes for RSVP and we do not: what we say instead, what tshark's layers are, and
/// why.
const THEIRS: [(&str, &str, &str); 9] = [
    (
        "IP fragments",
        "ip",
        "it puts fragments together however long they are apart; here each frame is alone",
    ),
    (
        "GRE of an unknown version",
        "gre",
        "RFC 2784 §2.1: version 0; RFC 2637: 1",
    ),
    (
        "GRE with source routes",
        "gre",
        "RFC 1701 §2: where they end is not said without them",
    ),
    (
        "ERSPAN of an unknown version",
        "gre",
        "its versions are 1 and 2",
    ),
    (
        "link-layer protocols other than IP",
        "pppoes",
        "RFC 2516 §4: version and type 1, code 0",
    ),
    (
        "UDP",
        "vxlan",
        "RFC 7348 §5: without the flag I there is no frame",
    ),
    (
        "packets that are cut off before RSVP begins",
        "",
        "a length that leads out of the frame",
    ),
    (
        "link-layer protocols other than IP",
        "gre",
        "RFC 2637 §4.1: in version 1 there may be an acknowledgment number",
    ),
    (
        "UDP datagrams with a wrong length",
        "udp",
        "RFC 1122 §4.1: longer than its IP packet, or shorter than its header",
    ),
];

/// What we take for RSVP and tshark does not: what its layers end with, and why.
const OURS: [(&str, &str); 4] = [
    (
        "ip",
        "it stops at IP options that contradict themselves; stacks go by the header's length",
    ),
    ("ipv6", "likewise"),
    ("data", "EtherTypes 0x9100 to 0x9300 are VLAN tags to us"),
    ("udp", "a length that it shows as bogus"),
];

/// Numbers that look random (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % end
    }
}

/// The frames of the captures in the repository that hold a whole message, by link type, each with
/// the place where RSVP begins.
fn originals() -> Vec<(u16, Vec<u8>, usize)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/captures/field");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let mut frames = Vec::new();
    for file in files {
        let bytes = fs::read(&file).unwrap();
        if !bytes.starts_with(&[0xd4, 0xc3, 0xb2, 0xa1]) {
            continue;
        }
        let link = u16::from_le_bytes([bytes[20], bytes[21]]);
        let mut rest = &bytes[24..];
        while let Some((header, more)) = rest.split_at_checked(16) {
            let length = u32::from_le_bytes(header[8..12].try_into().unwrap()) as usize;
            let (frame, more) = more.split_at(length);
            rest = more;
            let begins = (0..frame.len().saturating_sub(8)).find(|at| {
                let [first, kind, .., high, low] = frame[*at..*at + 8] else {
                    return false;
                };
                let length = usize::from(u16::from_be_bytes([high, low]));
                first >> 4 == 1 && matches!(kind, 1 | 2 | 12) && length == frame.len() - at
            });
            frames.extend(begins.map(|at| (link, frame.to_vec(), at)));
        }
    }
    assert!(frames.len() > 20);
    frames
}

/// Whether we find RSVP in a frame, and what else we say of it.
fn ours(link: u16, frame: &[u8]) -> Result<(), String> {
    let file = Pcap::new(link).file(&[frame]);
    let mut capture = Capture::from_reader("test", Cursor::new(file)).unwrap();
    if capture
        .by_ref()
        .any(|item| matches!(item, Ok(CaptureItem::Message(_))))
    {
        return Ok(());
    }
    let contents = capture.contents();
    let mut all = contents.unread.iter().chain(&contents.other);
    Err(all
        .next()
        .map_or("nothing", |(what, _)| what.as_str())
        .to_owned())
}

#[test]
fn changed_frames_are_rsvp_to_tshark_and_to_us() {
    if Command::new("tshark").arg("--version").output().is_err() {
        return eprintln!("not checked: there is no tshark");
    }
    let originals = originals();
    let mut random = Random(SEED);
    let mut changed: BTreeMap<u16, Vec<Vec<u8>>> = BTreeMap::new();
    for _ in 0..FRAMES {
        let (link, frame, begins) = &originals[random.below(originals.len())];
        let mut frame = frame.clone();
        for _ in 0..1 + random.below(3) {
            let value = u8::try_from(random.below(256)).unwrap();
            frame[random.below(*begins)] = value;
        }
        changed.entry(*link).or_default().push(frame);
    }
    let folder = tempfile::tempdir().unwrap();
    let (mut both, mut explained, mut unexplained) = (0, 0, Vec::new());
    for (link, frames) in &changed {
        // Fragments are not to be waited for.
        let spread = Pcap {
            interval: 100,
            ..Pcap::new(*link)
        };
        let path = folder.path().join("changed.pcap");
        fs::write(&path, spread.file(frames)).unwrap();
        let run = Command::new("tshark")
            .args(["-n", "-T", "fields", "-e", "frame.protocols", "-r"])
            .arg(&path)
            .output()
            .unwrap();
        let lines = String::from_utf8(run.stdout).unwrap();
        assert_eq!(lines.lines().count(), frames.len());
        for (frame, layers) in frames.iter().zip(lines.lines()) {
            let mut names = layers.split(':');
            let is_quoted = layers.contains("icmp");
            let theirs = names.any(|name| name == "rsvp") && !is_quoted;
            let last = layers.rsplit(':').next().unwrap();
            let is_explained = match (theirs, ours(*link, frame)) {
                (true, Ok(())) => {
                    both += 1;
                    continue;
                }
                (false, Err(_)) => continue,
                (true, Err(what)) => THEIRS
                    .iter()
                    .any(|(ours, layer, _)| *ours == what && layers.contains(layer)),
                (false, Ok(())) => OURS.iter().any(|(layer, _)| *layer == last),
            };
            if is_explained {
                explained += 1;
            } else {
                unexplained.push(format!(
                    "link type {link}, {layers}: {:?}: {frame:02x?}",
                    ours(*link, frame)
                ));
            }
        }
    }
    assert!(both > FRAMES / 2, "{both}");
    assert!(explained < FRAMES / 20, "{explained}");
    assert!(
        unexplained.is_empty(),
        "{} of {FRAMES}:\n{}",
        unexplained.len(),
        unexplained.join("\n")
    );
}
