//! Reading big-endian numbers at an offset, without a panic.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[inline]
pub(crate) fn array<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk::<N>().copied()
}

#[inline]
pub(crate) fn u8(bytes: &[u8], offset: usize) -> Option<u8> {
    bytes.get(offset).copied()
}

#[inline]
pub(crate) fn u16(bytes: &[u8], offset: usize) -> Option<u16> {
    array(bytes, offset).map(u16::from_be_bytes)
}

#[inline]
pub(crate) fn u32(bytes: &[u8], offset: usize) -> Option<u32> {
    array(bytes, offset).map(u32::from_be_bytes)
}

#[inline]
pub(crate) fn f32(bytes: &[u8], offset: usize) -> Option<f32> {
    array(bytes, offset).map(f32::from_be_bytes)
}

#[inline]
pub(crate) fn ipv4(bytes: &[u8], offset: usize) -> Option<IpAddr> {
    array::<4>(bytes, offset).map(|octets| IpAddr::V4(Ipv4Addr::from(octets)))
}

#[inline]
pub(crate) fn ipv6(bytes: &[u8], offset: usize) -> Option<IpAddr> {
    array::<16>(bytes, offset).map(|octets| IpAddr::V6(Ipv6Addr::from(octets)))
}

/// A length as the `u16` that every RSVP length and offset is; longer things do not exist.
#[inline]
pub(crate) fn clamp(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}
