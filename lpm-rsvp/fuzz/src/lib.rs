//! What several targets share.

/// Makes version, checksum ("not sent") and length of a message right, so that the fuzzer need
/// not find them.
pub fn repair_header(bytes: &mut [u8]) {
    if let (Ok(length), Some(header)) = (u16::try_from(bytes.len()), bytes.get_mut(..8)) {
        header[0] = 0x10;
        header[2..4].copy_from_slice(&[0, 0]);
        header[6..8].copy_from_slice(&length.to_be_bytes());
    }
}
