//! How RSVP is told from other traffic.

use etherparse::IpNumber;

/// RSVP as a protocol of its own (RFC 2205 §3).
pub(super) const RSVP: IpNumber = IpNumber(46);

/// The UDP encapsulation of RSVP (RFC 2205, appendix C): Pu and Pu'.
pub(super) const UDP_PORTS: [u16; 2] = [1698, 1699];

/// How much of a payload is kept, in bytes: one more than an RSVP Length can say, so that a payload
/// that is too long is seen to be.
pub(super) const MAX_MESSAGE: usize = 1 << 16;

/// Whether a UDP datagram to one of the [`UDP_PORTS`] is an RSVP message; `sent` is the length of
/// its content, of which less may be there.
///
/// Any client may get these ports from its system, so that answers to it come there, too. A header
/// that does not say the right length must look like one of RSVP in all the rest.
pub(super) fn is_rsvp(content: &[u8], sent: usize) -> bool {
    let &[first, message_type, _, _, _, reserved, high, low, ..] = content else {
        return false;
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let is_known = matches!(message_type, 1..=10 | 12..=15 | 20 | 21 | 25 | 26 | 28 | 66 | 67);
    first >> 4 == 1 && (length == sent || is_known && reserved == 0 && first & 0x0e == 0)
}
