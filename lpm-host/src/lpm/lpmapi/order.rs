//! Objects in the byte order of the host, as `lpmapi.h` lays them out, and back.
//!
//! What the header declares as `USHORT`, `ULONG` or `FLOAT` is in host order. Addresses (`IN_ADDR`)
//! stay in network order, as sockets have them. So do policy elements, headers and contents; of a
//! POLICY_DATA object, its header and its options are converted. What the header does not lay out
//! stays as it is.

use lpm_rsvp::class;

/// The order that is wanted; what is converted is in the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    Host,
    Network,
}

/// Bytes of `RsvpObjHdr`.
const HEADER: usize = 4;
/// Bytes of `POLICY_DATA`.
const POLICY_DATA: usize = 8;

impl To {
    /// Converts an object, its header included; whatever is in it.
    pub(super) fn object(self, object: &mut [u8]) {
        self.short(object, 0);
        let Some((&mut [_, _, class, c_type], body)) = object.split_first_chunk_mut::<HEADER>()
        else {
            return;
        };
        match (class, c_type) {
            (class::POLICY_DATA, 1) => self.policy_data(object),
            _ => self.body(class, c_type, body),
        }
    }

    fn body(self, class: u8, c_type: u8, body: &mut [u8]) {
        match (class, c_type) {
            // An address, then a protocol and flags, a code and flags, or what is unused; then a
            // number.
            (class::SESSION, 1 | 3) | (class::ERROR_SPEC, 1) => {
                self.short(body, 6);
            }
            (class::FILTER_SPEC | class::SENDER_TEMPLATE, 1) => {
                self.short(body, 4);
                self.short(body, 6);
            }
            (class::RSVP_HOP, 1) | (class::FILTER_SPEC | class::SENDER_TEMPLATE, 4) => {
                self.word(body, 4);
            }
            (class::STYLE | class::TIME_VALUES, 1) => self.word(body, 0),
            (class::FLOWSPEC | class::SENDER_TSPEC | class::ADSPEC, 2) => self.integrated(body),
            _ => {}
        }
    }

    /// Integrated services (RFC 2210): a header, and in it services with parameters, each of whole
    /// words. Where a length leads outside, what is there counts.
    fn integrated(self, body: &mut [u8]) {
        self.short(body, 2);
        let mut rest = body.get_mut(4..).unwrap_or_default();
        while let Some(words) = self.short(rest, 2) {
            let (service, others) = split_words(rest, words);
            let mut parameters = service;
            while let Some(words) = self.short(parameters, 2) {
                let (values, others) = split_words(parameters, words);
                for value in values.chunks_exact_mut(4) {
                    value.reverse_if_little_endian();
                }
                parameters = others;
            }
            rest = others;
        }
    }

    /// The offset of the policy elements, and the options before them.
    fn policy_data(self, object: &mut [u8]) {
        let offset = self.short(object, 4);
        self.short(object, 6);
        let end = usize::from(offset.unwrap_or_default()).min(object.len());
        let mut options = object.get_mut(POLICY_DATA..end).unwrap_or_default();
        while let Some(length) = self.short(options, 0) {
            let length = usize::from(length).max(HEADER);
            let Some((option, others)) = options.split_at_mut_checked(length) else {
                return;
            };
            if let Some((&mut [_, _, class, c_type], body)) = option.split_first_chunk_mut() {
                self.body(class, c_type, body);
            }
            options = others;
        }
    }

    /// Converts two bytes, and says what number they are.
    fn short(self, bytes: &mut [u8], at: usize) -> Option<u16> {
        let bytes = bytes.get_mut(at..)?.first_chunk_mut()?;
        let (number, converted) = match self {
            Self::Host => {
                let number = u16::from_be_bytes(*bytes);
                (number, number.to_ne_bytes())
            }
            Self::Network => {
                let number = u16::from_ne_bytes(*bytes);
                (number, number.to_be_bytes())
            }
        };
        *bytes = converted;
        Some(number)
    }

    /// Converts four bytes.
    fn word(self, bytes: &mut [u8], at: usize) {
        if let Some(word) = bytes.get_mut(at..).and_then(|rest| rest.get_mut(..4)) {
            word.reverse_if_little_endian();
        }
    }
}

/// A header of four bytes is behind us, and so many words; then the rest.
fn split_words(bytes: &mut [u8], words: u16) -> (&mut [u8], &mut [u8]) {
    let content = bytes.get_mut(4..).unwrap_or_default();
    let length = (usize::from(words) * 4).min(content.len());
    content.split_at_mut(length)
}

trait Reverse {
    /// Host order from network order, and the reverse.
    fn reverse_if_little_endian(&mut self);
}

impl Reverse for [u8] {
    fn reverse_if_little_endian(&mut self) {
        if cfg!(target_endian = "little") {
            self.reverse();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn converted(to: To, object: &[u8]) -> Vec<u8> {
        let mut bytes = object.to_vec();
        to.object(&mut bytes);
        bytes
    }

    fn object(class: u8, c_type: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(4 + body.len()).unwrap();
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend([class, c_type]);
        bytes.extend(body);
        bytes
    }

    fn short(bytes: &[u8], at: usize) -> u16 {
        u16::from_ne_bytes(bytes[at..at + 2].try_into().unwrap())
    }

    fn word(bytes: &[u8], at: usize) -> u32 {
        u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
    }

    #[test]
    fn fields_are_numbers_and_addresses_are_not() {
        let session = object(class::SESSION, 1, &[192, 0, 2, 80, 17, 1, 0x13, 0x8c]);
        let host = converted(To::Host, &session);
        assert_eq!(short(&host, 0), 12);
        assert_eq!(host[2..10], [1, 1, 192, 0, 2, 80, 17, 1]);
        assert_eq!(short(&host, 10), 5004);

        let hop = object(class::RSVP_HOP, 1, &[192, 0, 2, 1, 0, 0, 1, 2]);
        let host = converted(To::Host, &hop);
        assert_eq!((&host[4..8], word(&host, 8)), (&[192, 0, 2, 1][..], 258));

        let style = converted(To::Host, &object(class::STYLE, 1, &[0, 0, 0, 0x12]));
        assert_eq!(word(&style, 4), 0x12);

        let error = object(class::ERROR_SPEC, 1, &[192, 0, 2, 1, 1, 2, 0, 52]);
        let host = converted(To::Host, &error);
        assert_eq!((host[8], host[9], short(&host, 10)), (1, 2, 52));

        // With a flow label for IPv6, the header lays out nothing.
        let other = object(class::SESSION, 2, &[1; 20]);
        assert_eq!(converted(To::Host, &other)[4..], [1; 20]);
    }

    #[test]
    fn a_token_bucket_is_five_numbers() {
        let mut body = vec![0, 0, 0, 7, 5, 0, 0, 6, 127, 0, 0, 5];
        for value in [125_000f32, 3_000.0, f32::INFINITY] {
            body.extend(value.to_be_bytes());
        }
        for value in [64u32, 1_500] {
            body.extend(value.to_be_bytes());
        }
        let host = converted(To::Host, &object(class::FLOWSPEC, 2, &body));
        assert_eq!([6, 10, 14].map(|at| short(&host, at)), [7, 6, 5]);
        assert_eq!(f32::from_bits(word(&host, 16)), 125_000.0);
        assert_eq!(f32::from_bits(word(&host, 24)), f32::INFINITY);
        assert_eq!((word(&host, 28), word(&host, 32)), (64, 1_500));
    }

    #[test]
    fn policy_elements_stay_and_options_do_not() {
        let hop = object(class::RSVP_HOP, 1, &[192, 0, 2, 1, 0, 0, 0, 7]);
        let element = [0, 12, 0, 2, 0, 8, 1, 1, 0, 0, 0, 0];
        let mut body = vec![0, 20, 0, 0];
        body.extend(&hop);
        body.extend(element);
        let host = converted(To::Host, &object(class::POLICY_DATA, 1, &body));
        assert_eq!((short(&host, 0), short(&host, 4)), (32, 20));
        assert_eq!((short(&host, 8), word(&host, 16)), (12, 7));
        assert_eq!(host[20..], element);
    }

    fn some_object() -> impl Strategy<Value = Vec<u8>> {
        let classes = prop_oneof![1u8..=15, any::<u8>()];
        let c_types = prop_oneof![Just(1u8), Just(2), any::<u8>()];
        // Lengths that lead somewhere, more often than chance would have them.
        let byte = prop_oneof![Just(0u8), 0u8..12, any::<u8>()];
        (classes, c_types, proptest::collection::vec(byte, 0..96))
            .prop_map(|(class, c_type, body)| object(class, c_type, &body))
    }

    proptest! {
        /// Whatever lengths are in it.
        #[test]
        fn back_is_what_it_was(object in some_object()) {
            let host = converted(To::Host, &object);
            prop_assert_eq!(host.len(), object.len());
            prop_assert_eq!(&host[2..4], &object[2..4]);
            prop_assert_eq!(converted(To::Network, &host), object);
        }

        #[test]
        fn what_is_no_object_is_none(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            for to in [To::Host, To::Network] {
                prop_assert_eq!(converted(to, &bytes).len(), bytes.len());
            }
        }
    }
}
