//! Subnets: where a request came in.

use std::collections::{BTreeSet, HashMap};

use ipnet::IpNet;
use lpm_api::{Interface, Name};

/// A subnet of the policy: a name for prefixes and interfaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// Its name; that of a subnet without one is its prefix.
    pub name: String,
    /// The name as the directory's are compared with it.
    pub(super) canonical_name: Name,
    /// The addresses of the interfaces that are on it.
    pub prefixes: Vec<IpNet>,
    /// The interfaces that are on it whatever their address, by SNMP ifIndex.
    pub interfaces: Vec<u32>,
}

impl Subnet {
    pub(super) fn new(name: String, prefixes: Vec<IpNet>, interfaces: Vec<u32>) -> Self {
        Self {
            canonical_name: Name::id(&name),
            name,
            prefixes,
            interfaces,
        }
    }
}

/// The subnets of a policy, and what they are found by: there may be many.
#[derive(Debug, Default)]
pub(super) struct Subnets {
    pub(super) list: Vec<Subnet>,
    by_name: HashMap<Name, usize>,
    by_interface: HashMap<u32, usize>,
    by_prefix: HashMap<IpNet, usize>,
    /// How long these prefixes are, the longest first.
    lengths: Vec<u8>,
}

impl Subnets {
    pub(super) fn new(list: Vec<Subnet>) -> Self {
        let mut subnets = Self::default();
        let mut lengths = BTreeSet::new();
        // Of equals the first.
        for (place, subnet) in list.iter().enumerate() {
            let name = subnet.canonical_name.clone();
            subnets.by_name.entry(name).or_insert(place);
            for interface in &subnet.interfaces {
                subnets.by_interface.entry(*interface).or_insert(place);
            }
            for prefix in &subnet.prefixes {
                subnets.by_prefix.entry(prefix.trunc()).or_insert(place);
                lengths.insert(prefix.prefix_len());
            }
        }
        subnets.lengths = lengths.into_iter().rev().collect();
        Self { list, ..subnets }
    }

    /// The subnet on which a message came in, by its place in the list: the one that lists the
    /// interface, or else the one with the longest prefix of its address; of equals the first.
    pub(super) fn of(&self, interface: Interface) -> Option<usize> {
        let listed = self.by_interface.get(&interface.index).copied();
        listed.or_else(|| {
            let address = interface.address.to_canonical();
            let prefix = |length| Some(IpNet::new(address, length).ok()?.trunc());
            let mut prefixes = self.lengths.iter().filter_map(|length| prefix(*length));
            prefixes.find_map(|prefix| self.by_prefix.get(&prefix).copied())
        })
    }

    /// The place of the subnet with this name.
    pub(super) fn named(&self, name: &Name) -> Option<usize> {
        self.by_name.get(name).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn subnet(name: &str, prefixes: &[&str], interfaces: &[u32]) -> Subnet {
        let prefixes = prefixes.iter().map(|it| it.parse().unwrap()).collect();
        Subnet::new(name.to_owned(), prefixes, interfaces.to_vec())
    }

    #[test]
    fn the_listed_interface_wins_then_the_longest_prefix() {
        let subnets = Subnets::new(vec![
            subnet("campus", &["10.0.0.0/8", "2001:db8::/32"], &[]),
            subnet("lab", &["10.1.0.0/16"], &[]),
            subnet("same lab", &["10.1.0.0/16"], &[]),
            subnet("uplink", &[], &[7]),
        ]);
        let on = |index: u32, address: &str| {
            let address: IpAddr = address.parse().unwrap();
            subnets.of(Interface { index, address })
        };
        assert_eq!(on(1, "10.2.0.1"), Some(0));
        assert_eq!(on(1, "2001:db8::1"), Some(0));
        assert_eq!(on(1, "10.1.0.1"), Some(1));
        assert_eq!(on(1, "::ffff:10.1.0.1"), Some(1), "an IPv4 address in IPv6");
        assert_eq!(on(7, "10.1.0.1"), Some(3));
        assert_eq!(on(1, "192.0.2.1"), None);
        assert_eq!(on(1, "0.0.0.0"), None, "an address that is not known");
    }
}
