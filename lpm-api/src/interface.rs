//! The interface a message came in on.

use std::net::IpAddr;

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
