//! An IPv4 address with a port, as text.

use core::net::Ipv4Addr;

/// A text such as `10.0.0.7:4000`. Written at once, since lists of messages consist of little else.
pub(crate) struct Endpoint {
    text: [u8; Self::LONGEST],
    length: usize,
}

impl Endpoint {
    const LONGEST: usize = "255.255.255.255:65535".len();

    pub(crate) fn new(address: Ipv4Addr, port: u16) -> Self {
        let mut endpoint = Self {
            text: [0; Self::LONGEST],
            length: 0,
        };
        let [a, b, c, d] = address.octets();
        for octet in [a, b, c] {
            endpoint.number(octet.into());
            endpoint.push(b'.');
        }
        endpoint.number(d.into());
        endpoint.push(b':');
        endpoint.number(port);
        endpoint
    }

    pub(crate) fn as_str(&self) -> &str {
        let text = self.text.get(..self.length).unwrap_or_default();
        core::str::from_utf8(text).unwrap_or_default()
    }

    #[inline]
    fn number(&mut self, number: u16) {
        if number >= 10_000 {
            self.digit(number / 10_000);
        }
        if number >= 1_000 {
            self.digit(number / 1_000);
        }
        if number >= 100 {
            self.digit(number / 100);
        }
        if number >= 10 {
            self.digit(number / 10);
        }
        self.digit(number);
    }

    /// The last digit of a number.
    #[inline]
    fn digit(&mut self, number: u16) {
        let [_, digit] = (number % 10).to_be_bytes();
        self.push(b'0' | digit);
    }

    #[inline]
    fn push(&mut self, character: u8) {
        if let Some(place) = self.text.get_mut(self.length) {
            *place = character;
            self.length = self.length.wrapping_add(1);
        }
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use alloc::string::ToString;
    use core::net::SocketAddrV4;

    use super::*;

    #[test]
    fn it_is_what_everybody_writes() {
        let ports = [0, 1, 9, 10, 99, 100, 101, 999, 1_000, 9_999, 10_000, 65_535];
        let octets = [0, 1, 9, 10, 19, 99, 100, 101, 200, 255];
        for port in ports {
            for octet in octets {
                for address in [[octet, 0, 255, 10], [10, octet, 1, octet]] {
                    let endpoint = Endpoint::new(address.into(), port);
                    let expected = SocketAddrV4::new(address.into(), port).to_string();
                    assert_eq!(endpoint.as_str(), expected);
                }
            }
        }
    }
}
