//! The RSVP checksum (RFC 2205 §3.1.1): the Internet checksum of the whole message.

/// Offset of the checksum in the common header.
pub(crate) const OFFSET: usize = 2;

/// The checksum of a message, its checksum field taken as 0.
///
/// Never 0, since 0 on the wire says "no checksum": a sum that comes out as 0 is given as its
/// other one's complement form, 0xffff.
#[must_use]
pub fn checksum(message: &[u8]) -> u16 {
    let field = crate::wire::u16(message, OFFSET).unwrap_or_default();
    // Adding the complement takes the field away.
    match !fold(u64::from(sum(message)).wrapping_add(u64::from(!field))) {
        0 => 0xffff,
        sum => sum,
    }
}

/// The one's complement sum of the 16-bit words.
///
/// Added up 64 bits at a time and as they lie in memory: 2^16 ≡ 1 modulo 0xffff, and swapping
/// the bytes of all words swaps those of their sum (RFC 1071 §2).
fn sum(message: &[u8]) -> u16 {
    let mut sum = 0_u128;
    let mut add = |word: &[u8]| {
        let word = word.first_chunk().copied().unwrap_or_default();
        sum = sum.wrapping_add(u64::from_ne_bytes(word).into());
    };
    let mut blocks = message.chunks_exact(32);
    for block in &mut blocks {
        block.chunks_exact(8).for_each(&mut add);
    }
    let mut words = blocks.remainder().chunks_exact(8);
    words.by_ref().for_each(&mut add);
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(words.remainder()) {
        *to = *from;
    }
    add(&last);
    let halves = (sum >> 64).wrapping_add(sum & u128::from(u64::MAX));
    let [low, high] =
        [halves & 0xffff_ffff, halves >> 32].map(|half| u64::try_from(half).unwrap_or_default());
    u16::from_be_bytes(fold(low.wrapping_add(high)).to_ne_bytes())
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
