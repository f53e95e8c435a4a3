//! Any frames of any link layer, in a file of any kind: reading them ends, without a panic, and a
//! packet brings one message at most. So that most of the work is done behind the file's header,
//! the file is made here.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use lpm_pcm::capture::{Capture, CaptureItem};

const LINK_TYPES: [u16; 29] = [
    0, 1, 9, 12, 14, 50, 51, 100, 101, 104, 105, 107, 108, 109, 113, 117, 119, 127, 163, 166, 192, 204, 205,
    206, 228, 229, 239, 276, 147,
];

// A link type and a kind of file, then frames: each a length of two bytes, and so many bytes.
fuzz_target!(|bytes: &[u8]| {
    let [link, kind, rest @ ..] = bytes else {
        return;
    };
    let link = LINK_TYPES[usize::from(*link) % LINK_TYPES.len()];
    let (file, frames) = file(link, kind % 4, rest);
    let mut capture = Capture::from_reader("fuzz", Cursor::new(file)).ok();
    let mut packets = 0;
    for item in capture.iter_mut().flatten() {
        match item {
            Ok(CaptureItem::Message(message)) => {
                assert!(message.packet > packets, "a packet completes one message at most");
                packets = message.packet;
                assert!(message.bytes.len() <= 1 << 16);
            }
            Ok(CaptureItem::Incomplete(incomplete)) => assert!(incomplete.packet <= frames),
            Ok(_) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let Some(capture) = capture else {
        assert_eq!(link, 147, "every other is supported");
        return;
    };
    let contents = capture.contents();
    assert_eq!(contents.packets, frames);
    let lists = contents.unread.iter().chain(&contents.other);
    assert!(lists.map(|(_, packets)| packets).sum::<u64>() <= frames);
});

fn file(link: u16, kind: u8, mut rest: &[u8]) -> (Vec<u8>, u64) {
    let block = |kind: u32, body: &[u8]| {
        let padded = body.len().next_multiple_of(4);
        let length = u32::try_from(padded + 12).unwrap().to_be_bytes();
        let padding = vec![0; padded - body.len()];
        [&kind.to_be_bytes()[..], &length, body, &padding, &length].concat()
    };
    let mut file = match kind {
        0 | 1 => [
            &[0xa1, 0xb2, if kind == 0 { 0xc3 } else { 0xcd }, if kind == 0 { 0xd4 } else { 0x34 }][..],
            &[0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0],
            &link.to_be_bytes(),
        ]
        .concat(),
        _ => {
            let section = [0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
            let [high, low] = link.to_be_bytes();
            [block(0x0a0d_0d0a, &section), block(1, &[high, low, 0, 0, 0, 0, 0, 0])].concat()
        }
    };
    let mut frames = 0;
    while let [high, low, data @ ..] = rest {
        let length = data.len().min(u16::from_be_bytes([*high, *low]).into());
        let (frame, more) = data.split_at(length);
        rest = more;
        frames += 1;
        let length = u32::try_from(length).unwrap().to_be_bytes();
        let time = [0, 0, 0, u8::try_from(frames % 200).unwrap()];
        match kind {
            0 => file.extend([&time[..], &[0; 4], &length, &length, frame].concat()),
            1 => file.extend([&time[..], &[0; 4], &length, &length, &[0; 8], frame].concat()),
            2 => file.extend(block(6, &[&[0; 8], &time[..], &length, &length, frame].concat())),
            _ => file.extend(block(2, &[&[0; 8], &time[..], &length, &length, frame].concat())),
        }
    }
    (file, frames)
}
