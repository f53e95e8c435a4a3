//! The RSVP checksum (RFC 2205 §3.1.1): the Internet checksum of the whole message.

/// Offset of the checksum in the common header.
pub(crate) const OFFSET: usize = 2;

/// The checksum of a message, its checksum field taken as 0.
///
/// Never 0, since 0 on the wire says "no checksum": a sum that comes out as 0 is given as its
/// other one's complement form, 0xffff.
pub fn checksum(message: &[u8]) -> u16 {
    match !fold(sum(message).wrapping_sub(field(message))) {
        0 => 0xffff,
        sum => sum,
    }
}

fn field(message: &[u8]) -> u64 {
    crate::wire::u16(message, OFFSET).map_or(0, u64::from)
}

/// The plain sum of the 16-bit words. Summed 32 bits at a time, since 2^16 ≡ 1 modulo 0xffff;
/// 64 bits hold the sum of any message without a carry.
fn sum(message: &[u8]) -> u64 {
    let mut sum = 0_u64;
    let mut words = message.chunks_exact(4);
    for word in &mut words {
        if let Ok(word) = word.try_into() {
            sum = sum.wrapping_add(u64::from(u32::from_be_bytes(word)));
        }
    }
    let mut last = [0; 4];
    for (to, from) in last.iter_mut().zip(words.remainder()) {
        *to = *from;
    }
    sum.wrapping_add(u64::from(u32::from_be_bytes(last)))
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16).wrapping_add(sum & 0xffff);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1071 §4.1, word by word.
    fn reference(message: &[u8]) -> u16 {
        let mut sum = 0_u32;
        for (i, byte) in message.iter().enumerate() {
            if i != 2 && i != 3 {
                sum += u32::from(*byte) << if i % 2 == 0 { 8 } else { 0 };
            }
        }
        while sum > 0xffff {
            sum = (sum >> 16) + (sum & 0xffff);
        }
        match !u16::try_from(sum).unwrap() {
            0 => 0xffff,
            sum => sum,
        }
    }

    proptest::proptest! {
        #[test]
        fn equals_the_reference(message in proptest::collection::vec(proptest::num::u8::ANY, 8..200)) {
            proptest::prop_assert_eq!(checksum(&message), reference(&message));
        }
    }

    #[test]
    fn all_ones_and_all_zeros() {
        assert_eq!(checksum(&[0xff; 65_532]), reference(&[0xff; 65_532]));
        assert_eq!(checksum(&[0; 8]), 0xffff);
    }
}
