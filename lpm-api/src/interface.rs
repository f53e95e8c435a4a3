//! The interface a message came in on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lpm_abi::AbiInterface;

/// An interface of the PCM's host.
///
/// The original API hands this over as an `RSVP_HOP` whose logical interface handle is the SNMP
/// ifIndex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interface {
    /// SNMP ifIndex; may change when interfaces come and go.
    pub index: u32,
    /// The interface's address; unspecified (`0.0.0.0` or `::`) where it is not known, as when a
    /// capture is replayed.
    pub address: IpAddr,
}

impl From<Interface> for AbiInterface {
    #[inline]
    fn from(interface: Interface) -> Self {
        let mut address = [0; 16];
        let family = match interface.address {
            IpAddr::V4(v4) => {
                address[..4].copy_from_slice(&v4.octets());
                4
            }
            IpAddr::V6(v6) => {
                address = v6.octets();
                6
            }
        };
        Self {
            index: interface.index,
            family,
            address,
        }
    }
}

impl From<AbiInterface> for Interface {
    fn from(abi: AbiInterface) -> Self {
        let address = match (abi.family, abi.address) {
            (4, [a, b, c, d, ..]) => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            (_, octets) => IpAddr::V6(Ipv6Addr::from(octets)),
        };
        Self {
            index: abi.index,
            address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_round_trip() {
        for address in ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "0.0.0.0"] {
            let interface = Interface {
                index: 7,
                address: address.parse().unwrap(),
            };
            assert_eq!(Interface::from(AbiInterface::from(interface)), interface);
        }
    }
}
