//! The messages of the kernel's traffic control: u32 filters in hash tables, which lead packets to
//! classes (linux/pkt_cls.h).

use std::io;
use std::net::IpAddr;

use lpm_rsvp::{FilterSpec, Session, SessionPort, SourceSelector};
use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{
    TcAttribute, TcFilterU32Option, TcMessage, TcOption, TcU32Key, TcU32Selector,
    TcU32SelectorFlags,
};

use super::netlink::Netlink;
use super::traffic::{done, handle, message};

/// The filters in a bucket. The first number is for what leads on to ports.
pub(super) const NODES: std::ops::RangeInclusive<u32> = 2..=0xfff;
const ONWARD: u32 = 1;

/// Where the filters of a session are, so that a packet is compared with few of them. A hash table
/// for each version of IP has a bucket for each last byte of destinations; that leads on to a table
/// with one for each last byte of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Bucket {
    version: Version,
    destination: u8,
    /// `None` for sessions without a port, whose filters are in the first of the two.
    port: Option<u8>,
}

/// A version of IP, whose filters the kernel has apart from those of the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Version {
    V4,
    V6,
}

impl Bucket {
    /// The one that the filters of a session are in.
    pub(super) fn of(session: &Session) -> Self {
        let (version, destination) = match session.address() {
            IpAddr::V4(address) => (Version::V4, address.octets()[3]),
            IpAddr::V6(address) => (Version::V6, address.octets()[15]),
        };
        let port = match session.port() {
            SessionPort::Port(port @ 1..) => Some(port.to_be_bytes()[1]),
            _ => None,
        };
        Self {
            version,
            destination,
            port,
        }
    }

    /// The one that leads on to it.
    pub(super) fn before(self) -> Option<Self> {
        self.port.is_some().then_some(Self { port: None, ..self })
    }

    /// The table that it leads on to.
    fn onward(self) -> u32 {
        self.version.tables_of_ports() | u32::from(self.destination) << 20
    }

    /// The number of a filter in it.
    fn filter(self, node: u32) -> u32 {
        let (table, bucket) = match self.port {
            None => (self.version.table(), self.destination),
            Some(port) => (self.onward(), port),
        };
        table | u32::from(bucket) << 12 | node
    }
}

impl Version {
    const fn table(self) -> u32 {
        match self {
            Self::V4 => 0x0020_0000,
            Self::V6 => 0x0030_0000,
        }
    }

    /// The first of 256.
    const fn tables_of_ports(self) -> u32 {
        match self {
            Self::V4 => 0x4000_0000,
            Self::V6 => 0x5000_0000,
        }
    }

    /// The priority and the protocol of filters. Those of two protocols never have the same
    /// priority.
    fn info(self) -> u32 {
        let (priority, protocol) = match self {
            Self::V4 => (10_u32, 0x0800_u16),
            Self::V6 => (11, 0x86dd),
        };
        priority << 16 | u32::from(protocol.to_be())
    }

    /// Where in a packet the word is that ends with the last byte of the destination.
    const fn destination(self) -> i16 {
        match self {
            Self::V4 => 16,
            Self::V6 => 36,
        }
    }

    /// Where the ports are, without options and other headers.
    const fn ports(self) -> i16 {
        match self {
            Self::V4 => 20,
            Self::V6 => 40,
        }
    }
}

/// Has hash tables for filters on an interface, whose HTB is new.
pub(super) fn set_up(netlink: &mut Netlink, interface: u32) -> io::Result<()> {
    for version in [Version::V4, Version::V6] {
        add_table(netlink, interface, version, version.table())?;
        let (table, word) = (version.table(), version.destination());
        lead_on(netlink, interface, version, None, (table, word))?;
    }
    Ok(())
}

/// Has the bucket of a destination lead on to a table of ports.
pub(super) fn lead_to_ports(
    netlink: &mut Netlink,
    interface: u32,
    bucket: Bucket,
) -> io::Result<()> {
    let (version, table) = (bucket.version, bucket.onward());
    add_table(netlink, interface, version, table)?;
    let place = Some(bucket.filter(ONWARD));
    lead_on(netlink, interface, version, place, (table, version.ports()))
}

/// Adds a hash table for filters.
fn add_table(
    netlink: &mut Netlink,
    interface: u32,
    version: Version,
    table: u32,
) -> io::Result<()> {
    let add = about(interface, version, table)?;
    put(netlink, add, vec![TcFilterU32Option::Divisor(256)])
}

/// Leads all packets of a version on to a table, into the bucket that the last byte of a word in
/// them says. From the root of filters, or from the place of one.
fn lead_on(
    netlink: &mut Netlink,
    interface: u32,
    version: Version,
    place: Option<u32>,
    (table, word): (u32, i16),
) -> io::Result<()> {
    let mut selector = selector(vec![key(0, 0, 0)], TcU32SelectorFlags::empty());
    (selector.hmask, selector.hoff) = (0xff, word);
    let mut options = vec![TcFilterU32Option::Link(table)];
    options.extend(place.map(in_bucket));
    options.push(TcFilterU32Option::Selector(selector));
    let link = about(interface, version, place.unwrap_or_default())?;
    put(netlink, link, options)
}

/// Leads the packets of a flow to a class: those of any sender for `None`.
pub(super) fn add_filter(
    netlink: &mut Netlink,
    interface: u32,
    (bucket, node): (Bucket, u32),
    minor: u16,
    session: &Session,
    sender: Option<&FilterSpec>,
) -> io::Result<()> {
    let keys = keys(session, sender).ok_or_else(|| {
        let what = "the kernel cannot tell apart flows that differ only in their IPsec SPI";
        io::Error::new(io::ErrorKind::Unsupported, what)
    })?;
    let filter = bucket.filter(node);
    let options = vec![
        TcFilterU32Option::ClassId(handle(minor)),
        in_bucket(filter),
        TcFilterU32Option::Selector(selector(keys, TcU32SelectorFlags::Terminal)),
    ];
    put(netlink, about(interface, bucket.version, filter)?, options)
}

/// Takes a filter away.
pub(super) fn remove_filter(
    netlink: &mut Netlink,
    interface: u32,
    (bucket, node): (Bucket, u32),
) -> io::Result<()> {
    let mut remove = about(interface, bucket.version, bucket.filter(node))?;
    remove.attributes = vec![TcAttribute::Kind("u32".to_owned())];
    done(netlink.request(RouteNetlinkMessage::DelTrafficFilter(remove), NLM_F_ACK))
}

/// A message about the filter, or the table, of this number; 0 for one that the kernel numbers.
fn about(interface: u32, version: Version, number: u32) -> io::Result<TcMessage> {
    let mut about = message(interface)?;
    about.header.parent = handle(0);
    about.header.handle = number.into();
    about.header.info = version.info();
    Ok(about)
}

/// Puts a filter, or a table, where there is none.
fn put(
    netlink: &mut Netlink,
    mut new: TcMessage,
    options: Vec<TcFilterU32Option>,
) -> io::Result<()> {
    new.attributes = u32_options(options);
    let create = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    done(netlink.request(RouteNetlinkMessage::NewTrafficFilter(new), create))
}

/// The bucket that a filter of this number is in.
fn in_bucket(filter: u32) -> TcFilterU32Option {
    TcFilterU32Option::Hash(filter & 0xffff_f000)
}

/// What the packets of a flow have, in 32-bit words from the IP header on. `None` for what is not
/// in packets.
fn keys(session: &Session, sender: Option<&FilterSpec>) -> Option<Vec<TcU32Key>> {
    let protocol = u32::from(session.protocol());
    // Where the source and the destination are.
    let (version, mut keys, source, destination) = match session.address() {
        IpAddr::V4(_) => (
            Version::V4,
            vec![key(protocol << 16, 0x00ff_0000, 8)],
            12,
            16,
        ),
        IpAddr::V6(_) => (Version::V6, vec![key(protocol << 8, 0x0000_ff00, 4)], 8, 24),
    };
    keys.extend(address(session.address(), destination));
    let (mut ports, mut mask) = (0, 0);
    match session.port() {
        SessionPort::Port(0) => {}
        SessionPort::Port(port) => (ports, mask) = (u32::from(port), 0xffff),
        SessionPort::Virtual(_) => return None,
    }
    if let Some(sender) = sender {
        keys.extend(address(sender.address(), source));
        match sender.selector() {
            SourceSelector::Port(0) => {}
            SourceSelector::Port(port) => {
                ports |= u32::from(port) << 16;
                mask |= 0xffff_0000;
            }
            SourceSelector::FlowLabel(label) => keys.push(key(label, 0x000f_ffff, 0)),
            SourceSelector::Gpi(_) => return None,
        }
    }
    if mask != 0 {
        if session.address().is_ipv4() {
            // Ports are looked for in the first fragment, and behind a header without options.
            keys.push(key(0, 0x1fff, 4));
            keys.push(key(0x0500_0000, 0x0f00_0000, 0));
        }
        keys.push(key(ports, mask, version.ports().into()));
    }
    Some(keys)
}

/// The words of an address.
fn address(address: IpAddr, at: i32) -> Vec<TcU32Key> {
    let words = match address {
        IpAddr::V4(address) => vec![u32::from(address)],
        IpAddr::V6(address) => {
            let address = u128::from(address);
            let words = [96, 64, 32, 0].map(|shift| (address >> shift) & u128::from(u32::MAX));
            words
                .iter()
                .filter_map(|word| u32::try_from(*word).ok())
                .collect()
        }
    };
    let words = words.into_iter().zip((at..).step_by(4));
    words.map(|(word, at)| key(word, u32::MAX, at)).collect()
}

fn key(val: u32, mask: u32, off: i32) -> TcU32Key {
    let mut key = TcU32Key::default();
    (key.val, key.mask, key.off) = (val, mask, off);
    key
}

fn selector(keys: Vec<TcU32Key>, flags: TcU32SelectorFlags) -> TcU32Selector {
    let mut selector = TcU32Selector::default();
    selector.flags = flags;
    selector.nkeys = u8::try_from(keys.len()).unwrap_or(u8::MAX);
    selector.keys = keys;
    selector
}

fn u32_options(options: Vec<TcFilterU32Option>) -> Vec<TcAttribute> {
    vec![
        TcAttribute::Kind("u32".to_owned()),
        TcAttribute::Options(options.into_iter().map(TcOption::U32).collect()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_look_for_what_the_flow_has() {
        let session = Session::new([10, 0, 2, 1], 17, 5004).unwrap();
        let sender = FilterSpec::new([10, 0, 1, 1], 4000);
        let of = |session: &Session, sender: Option<&FilterSpec>| {
            let keys = keys(session, sender).unwrap();
            let keys = keys.iter().map(|key| (key.off, key.val, key.mask));
            keys.collect::<Vec<_>>()
        };
        assert_eq!(
            of(&session, Some(&sender)),
            [
                (8, 0x0011_0000, 0x00ff_0000),
                (16, 0x0a00_0201, u32::MAX),
                (12, 0x0a00_0101, u32::MAX),
                (4, 0, 0x1fff),
                (0, 0x0500_0000, 0x0f00_0000),
                (20, 0x0fa0_138c, u32::MAX),
            ]
        );
        let portless = Session::new([10, 0, 2, 1], 1, 0).unwrap();
        assert_eq!(of(&portless, None).len(), 2);
        // Port 5004 ends with 0x8c, and the destination with 1.
        assert_eq!(Bucket::of(&session).filter(2), 0x4018_c002);
        let before = Bucket::of(&session).before().unwrap();
        assert_eq!(
            (before.filter(ONWARD), before.onward()),
            (0x0020_1001, 0x4010_0000)
        );
        assert_eq!(Bucket::of(&portless).filter(2), 0x0020_1002);
        assert_eq!(Bucket::of(&portless).before(), None);
        let gpi = Session::gpi([10, 0, 2, 1], 50, 7).unwrap();
        assert!(keys(&gpi, None).is_none());
    }

    #[test]
    fn filters_look_for_what_the_flow_has_in_ipv6() {
        let to: std::net::Ipv6Addr = "2001:db8:1:2:3:4:5:6".parse().unwrap();
        let from: std::net::Ipv6Addr = "2001:db8::7".parse().unwrap();
        let session = Session::new(to, 17, 5004).unwrap();
        let sender = FilterSpec::new(from, 4000);
        let keys = keys(&session, Some(&sender)).unwrap();
        let keys: Vec<_> = keys
            .iter()
            .map(|key| (key.off, key.val, key.mask))
            .collect();
        assert_eq!(
            keys,
            [
                (4, 0x0000_1100, 0x0000_ff00),
                (24, 0x2001_0db8, u32::MAX),
                (28, 0x0001_0002, u32::MAX),
                (32, 0x0003_0004, u32::MAX),
                (36, 0x0005_0006, u32::MAX),
                (8, 0x2001_0db8, u32::MAX),
                (12, 0, u32::MAX),
                (16, 0, u32::MAX),
                (20, 7, u32::MAX),
                (40, 0x0fa0_138c, u32::MAX),
            ]
        );
        assert_eq!(Bucket::of(&session).filter(2), 0x5068_c002);
    }
}
