//! Subnets: where a request came in.

use ipnet::IpNet;
use lpm_api::Interface;

use lpm_api::Name;

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
    pub(super) fn new(name: String, prefixes: Vec<IpNet>, interfaces: Vec<u32>) -> Subnet {
        Subnet {
            canonical_name: Name::id(&name),
            name,
            prefixes,
            interfaces,
        }
    }
}

/// The subnet on which a message came in, by its place in the list: the one that lists the
/// interface, or else the one with the longest prefix of its address; of equals the first.
///
/// Subnets are few: they are searched one by one.
pub(super) fn of(subnets: &[Subnet], interface: Interface) -> Option<usize> {
    let listed = subnets
        .iter()
        .position(|subnet| subnet.interfaces.contains(&interface.index));
    if listed.is_some() {
        return listed;
    }
    let address = interface.address.to_canonical();
    let mut longest: Option<(usize, u8)> = None;
    for (place, subnet) in subnets.iter().enumerate() {
        for prefix in subnet.prefixes.iter().filter(|it| it.contains(&address)) {
            if longest.is_none_or(|(_, length)| prefix.prefix_len() > length) {
                longest = Some((place, prefix.prefix_len()));
            }
        }
    }
    longest.map(|(place, _)| place)
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
        let subnets = [
            subnet("campus", &["10.0.0.0/8", "2001:db8::/32"], &[]),
            subnet("lab", &["10.1.0.0/16"], &[]),
            subnet("same lab", &["10.1.0.0/16"], &[]),
            subnet("uplink", &[], &[7]),
        ];
        let on = |index: u32, address: &str| {
            let address: IpAddr = address.parse().unwrap();
            of(&subnets, Interface { index, address })
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
