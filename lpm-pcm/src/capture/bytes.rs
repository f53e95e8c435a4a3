//! Numbers in bytes. Each is `None` where there are too few.

/// The 16-bit number in network order at `at`.
pub(super) fn be_u16(data: &[u8], at: usize) -> Option<u16> {
    array(data, at).map(u16::from_be_bytes)
}

/// The 32-bit number in network order at `at`.
pub(super) fn be_u32(data: &[u8], at: usize) -> Option<u32> {
    array(data, at).map(u32::from_be_bytes)
}

/// The 16-bit number at `at`, in this byte order.
pub(super) fn u16_of(data: &[u8], at: usize, big_endian: bool) -> Option<u16> {
    let number = be_u16(data, at)?;
    Some(if big_endian {
        number
    } else {
        number.swap_bytes()
    })
}

/// The 32-bit number at `at`, in this byte order.
pub(super) fn u32_of(data: &[u8], at: usize, big_endian: bool) -> Option<u32> {
    let number = be_u32(data, at)?;
    Some(if big_endian {
        number
    } else {
        number.swap_bytes()
    })
}

/// The bytes at `at`.
pub(super) fn array<const N: usize>(data: &[u8], at: usize) -> Option<[u8; N]> {
    data.get(at..)?.first_chunk().copied()
}
