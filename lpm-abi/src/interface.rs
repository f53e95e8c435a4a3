//! Interfaces and addresses of the host.

use abi_stable::StableAbi;

/// An interface.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiInterface {
    /// SNMP ifIndex.
    pub index: u32,
    /// 4 or 6.
    pub family: u32,
    /// The address in network order; an IPv4 address in the first four bytes.
    pub address: [u8; 16],
}

/// An address of the PCM's host.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiAddressRow {
    /// Index and address.
    pub interface: AbiInterface,
    /// SNMP ifType.
    pub media_type: u32,
    /// Bits of the network part.
    pub prefix_length: u8,
}
