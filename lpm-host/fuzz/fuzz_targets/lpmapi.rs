//! Objects in the host's order, as LPMs in C have them: any object is what it was when it is back,
//! and any message fits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lpm_rsvp::{Message, ObjectIndex};

fuzz_target!(|bytes: &[u8]| {
    #[cfg(fuzzing)]
    lpm_host::fuzzing::there_and_back(bytes);
    let mut bytes = bytes.to_vec();
    if let (Ok(length), Some(field)) = (u16::try_from(bytes.len()), bytes.get_mut(..8)) {
        field[0] = 0x10;
        field[2..4].copy_from_slice(&[0, 0]);
        field[6..8].copy_from_slice(&length.to_be_bytes());
    }
    let mut index = ObjectIndex::new();
    if let Ok(message) = Message::parse(&bytes, &mut index) {
        #[cfg(fuzzing)]
        lpm_host::fuzzing::lay_out(message);
        #[cfg(not(fuzzing))]
        let _ = message;
    }
});
