//! Any bytes as a capture: reading them ends, without a panic, and yields no more than there is.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use lpm_pcm::capture::{Capture, CaptureItem};

fuzz_target!(|bytes: &[u8]| {
    let Ok(capture) = Capture::from_reader("fuzz", Cursor::new(bytes.to_vec())) else {
        return;
    };
    let mut packets = 0;
    for item in capture {
        if let Ok(CaptureItem::Message(message)) = item {
            assert!(message.packet > packets, "a packet completes one message at most");
            packets = message.packet;
            assert!(message.bytes.len() <= 1 << 16);
        }
    }
    assert!(packets <= bytes.len() as u64 / 16);
});
