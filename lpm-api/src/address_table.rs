//! The addresses of the PCM's host.

use std::net::IpAddr;

use lpm_abi::AbiAddressRow;

use crate::interface::Interface;

/// One address of the PCM's host (a row of lpmapi's `LPM_IpAddressTable`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressRow {
    /// SNMP ifIndex of the interface.
    pub interface_index: u32,
    /// SNMP ifType of the interface (IANAifType-MIB): 6 is Ethernet, 24 the loopback.
    pub media_type: u32,
    /// The address.
    pub address: IpAddr,
    /// Bits of the network part: 0 to 32 for IPv4, 0 to 128 for IPv6 (the netmask).
    pub prefix_length: u8,
}

impl AddressRow {
    /// Whether an address is in the network of this row.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (one, other, bits) = match (self.address, address) {
            (IpAddr::V4(one), IpAddr::V4(other)) => {
                (u128::from(one.to_bits()), u128::from(other.to_bits()), 32)
            }
            (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits(), other.to_bits(), 128),
            _ => return false,
        };
        let host_bits = u32::saturating_sub(bits, self.prefix_length.into());
        (one ^ other).checked_shr(host_bits).unwrap_or(0) == 0
    }
}

impl From<AddressRow> for AbiAddressRow {
    fn from(row: AddressRow) -> Self {
        Self {
            interface: Interface {
                index: row.interface_index,
                address: row.address,
            }
            .into(),
            media_type: row.media_type,
            prefix_length: row.prefix_length,
        }
    }
}

impl From<AbiAddressRow> for AddressRow {
    fn from(abi: AbiAddressRow) -> Self {
        let interface = Interface::from(abi.interface);
        Self {
            interface_index: interface.index,
            media_type: abi.media_type,
            address: interface.address,
            prefix_length: abi.prefix_length,
        }
    }
}

/// An LPM cannot use the addresses it was told (the `FALSE` of lpmapi's `LPM_IpAddressTable`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the LPM cannot use the address table")]
pub struct AddressTableRefused;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_their_addresses() {
        let row = |address: &str, prefix_length| AddressRow {
            interface_index: 1,
            media_type: 6,
            address: address.parse().unwrap(),
            prefix_length,
        };
        for (row, address, contains) in [
            (row("192.0.2.1", 24), "192.0.2.255", true),
            (row("192.0.2.1", 24), "192.0.3.1", false),
            (row("192.0.2.1", 32), "192.0.2.2", false),
            (row("192.0.2.1", 0), "203.0.113.9", true),
            (row("2001:db8::1", 32), "2001:db8:ffff::", true),
            (row("2001:db8::1", 128), "2001:db8::2", false),
            (row("2001:db8::1", 0), "::1", true),
            (row("192.0.2.1", 0), "::1", false),
        ] {
            let found = row.contains(address.parse().unwrap());
            assert_eq!(found, contains, "{row:?} {address}");
        }
    }
}
