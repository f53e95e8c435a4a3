//! The messages of the kernel's traffic control: HTB classes, and u32 filters in a hash table (linux/pkt_sched.h,
//! linux/pkt_cls.h).

use std::io;
use std::net::IpAddr;

use lpm_rsvp::{FilterSpec, ServiceRequest, Session, SessionPort, SourceSelector, Tspec};
use netlink_packet_core::{
    DefaultNla, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{
    TcAttribute, TcFilterU32Option, TcHandle, TcMessage, TcOption, TcU32Key, TcU32Selector,
    TcU32SelectorFlags,
};

use super::netlink::Netlink;

/// The major number by which this program knows its own qdisc: "PC".
const OWN: u16 = 0x5043;
/// The priority of packets that pass by the classes of that qdisc: HTB sends those first whose priority is its handle.
pub(super) const PASSES_BY: u32 = (OWN as u32) << 16;
/// Where all that is not reserved goes.
const REST: u16 = 0xfffe;
/// The class that all others are in.
const ALL: u16 = 1;
/// The first and the last minor number of reservations.
pub(super) const MINORS: std::ops::RangeInclusive<u16> = 2..=0xfffd;
/// How many filters there are in a bucket at most.
pub(super) const NODES: std::ops::RangeInclusive<u32> = 1..=0xfff;

/// Attributes of HTB (TCA_HTB_*).
const PARMS: u16 = 1;
const INIT: u16 = 2;
const RATE64: u16 = 6;
const CEIL64: u16 = 7;

/// Where the filters for a destination are: in a hash table for each version of IP, by the last byte of the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Bucket {
    version: Version,
    number: u8,
}

/// A version of IP, whose filters the kernel has apart from those of the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Version {
    V4,
    V6,
}

impl Bucket {
    /// The one that the filters for a destination are in.
    pub(super) fn of(session: &Session) -> Self {
        match session.address() {
            IpAddr::V4(address) => Self {
                version: Version::V4,
                number: address.octets()[3],
            },
            IpAddr::V6(address) => Self {
                version: Version::V6,
                number: address.octets()[15],
            },
        }
    }

    /// The number of a filter in it.
    fn filter(self, node: u32) -> u32 {
        self.version.table() | u32::from(self.number) << 12 | node
    }
}

impl Version {
    const fn table(self) -> u32 {
        match self {
            Self::V4 => 0x0020_0000,
            Self::V6 => 0x0030_0000,
        }
    }

    /// The priority and the protocol of filters. Those of two protocols never have the same priority.
    fn info(self) -> u32 {
        let (priority, protocol) = match self {
            Self::V4 => (10_u32, 0x0800_u16),
            Self::V6 => (11, 0x86dd),
        };
        priority << 16 | u32::from(protocol.to_be())
    }

    /// Where in its header the word is that ends with the last byte of the destination.
    const fn last_word(self) -> i16 {
        match self {
            Self::V4 => 16,
            Self::V6 => 36,
        }
    }
}

/// What is at the root of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Root {
    /// What the kernel puts there by itself.
    Default,
    /// What this program put there.
    Own,
    /// What somebody else put there: its kind.
    Other(String),
}

/// What is at the root of an interface.
pub(super) fn root(netlink: &mut Netlink, interface: u32) -> io::Result<Root> {
    let all = RouteNetlinkMessage::GetQueueDiscipline(message(interface)?);
    let mut found = Root::Default;
    for answer in netlink.request(all, NLM_F_DUMP)? {
        let RouteNetlinkMessage::NewQueueDiscipline(qdisc) = answer else {
            continue;
        };
        let is_root = qdisc.header.parent == TcHandle::ROOT;
        if !is_root || u32::try_from(qdisc.header.index) != Ok(interface) {
            continue;
        }
        let kind = qdisc
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                TcAttribute::Kind(kind) => Some(kind.clone()),
                _ => None,
            });
        found = match kind {
            _ if qdisc.header.handle.major == OWN => Root::Own,
            // The kernel numbers only what somebody asked for.
            _ if qdisc.header.handle == TcHandle::UNSPEC => Root::Default,
            kind => Root::Other(kind.unwrap_or_default()),
        };
    }
    Ok(found)
}

/// Takes away what is at the root of an interface.
pub(super) fn clear(netlink: &mut Netlink, interface: u32) -> io::Result<()> {
    let mut qdisc = message(interface)?;
    qdisc.header.parent = TcHandle::ROOT;
    done(netlink.request(RouteNetlinkMessage::DelQueueDiscipline(qdisc), NLM_F_ACK))
}

/// Puts the classes of all and of what is not reserved there, or changes them.
pub(super) fn put_shares(
    netlink: &mut Netlink,
    interface: u32,
    bandwidth: u64,
    mtu: u32,
    is_new: bool,
) -> io::Result<()> {
    let whole = Class {
        rate: bandwidth,
        ceil: bandwidth,
        burst: burst(bandwidth, 0, mtu),
        priority: 0,
    };
    // What is not reserved gets what is left, and never nothing.
    let rest = Class {
        rate: (bandwidth / 100).max(1),
        priority: 7,
        ..whole
    };
    put_class(netlink, interface, (0, ALL), whole, mtu, is_new)?;
    put_class(netlink, interface, (ALL, REST), rest, mtu, is_new)
}

/// Puts an HTB at the root of an interface with this bandwidth in bytes/s, and hash tables for filters.
pub(super) fn set_up(
    netlink: &mut Netlink,
    interface: u32,
    bandwidth: u64,
    mtu: u32,
) -> io::Result<()> {
    let mut qdisc = message(interface)?;
    qdisc.header.parent = TcHandle::ROOT;
    qdisc.header.handle = handle(0);
    // Version, quantum of rates without one, the default class.
    let init = words(&[3, 10, REST.into(), 0, 0]);
    qdisc.attributes = htb(vec![(INIT, init)]);
    let create = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    done(netlink.request(RouteNetlinkMessage::NewQueueDiscipline(qdisc), create))?;
    put_shares(netlink, interface, bandwidth, mtu, true)?;
    for version in [Version::V4, Version::V6] {
        let mut table = message(interface)?;
        table.header.parent = handle(0);
        table.header.handle = version.table().into();
        table.header.info = version.info();
        table.attributes = u32_options(vec![TcFilterU32Option::Divisor(256)]);
        done(netlink.request(RouteNetlinkMessage::NewTrafficFilter(table), create))?;
        let mut selector = selector(vec![key(0, 0, 0)], TcU32SelectorFlags::empty());
        (selector.hmask, selector.hoff) = (0xff, version.last_word());
        let mut link = message(interface)?;
        link.header.parent = handle(0);
        link.header.info = version.info();
        link.attributes = u32_options(vec![
            TcFilterU32Option::Link(version.table()),
            TcFilterU32Option::Selector(selector),
        ]);
        done(netlink.request(RouteNetlinkMessage::NewTrafficFilter(link), create))?;
    }
    Ok(())
}

/// What a class may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Class {
    /// In bytes/s.
    rate: u64,
    ceil: u64,
    /// In bytes.
    burst: u32,
    priority: u32,
}

impl Class {
    /// The class of a reservation.
    pub(super) fn of(service: &ServiceRequest, mtu: u32) -> Self {
        let (rate, bucket) = match service {
            ServiceRequest::ControlledLoad(Tspec { rate, bucket, .. }) => (*rate, *bucket),
            ServiceRequest::Guaranteed(Tspec { bucket, .. }, rspec) => (rspec.rate, *bucket),
            // The null service reserves nothing, and does not get here.
            _ => (0.0, 0.0),
        };
        let rate = whole(rate).max(1);
        Self {
            rate,
            ceil: rate,
            burst: burst(rate, whole(bucket), mtu),
            priority: 0,
        }
    }
}

/// How much may be sent at once: the bucket, but no less than two packets, or than what comes in a millisecond and a
/// half: the kernel looks at its clock no more often.
fn burst(rate: u64, bucket: u64, mtu: u32) -> u32 {
    let least = u64::from(mtu)
        .saturating_mul(2)
        .max(rate.saturating_mul(3) / 2_000);
    u32::try_from(bucket.max(least)).unwrap_or(u32::MAX)
}

/// Puts a class in its parent's, new or in place of what it was.
pub(super) fn put_class(
    netlink: &mut Netlink,
    interface: u32,
    (parent, minor): (u16, u16),
    class: Class,
    mtu: u32,
    is_new: bool,
) -> io::Result<()> {
    let mut put = message(interface)?;
    put.header.parent = handle(parent);
    put.header.handle = handle(minor);
    let mut parms = Vec::new();
    parms.extend(rate_spec(class.rate));
    parms.extend(rate_spec(class.ceil));
    let (buffer, ceil_buffer) = (
        ticks(class.rate, class.burst),
        ticks(class.ceil, class.burst),
    );
    // How much of what is left a class gets at its turn: some packets.
    let quantum = mtu.saturating_mul(2).clamp(2_000, 200_000);
    parms.extend(words(&[buffer, ceil_buffer, quantum, 0, class.priority]));
    put.attributes = htb(vec![
        (PARMS, parms),
        (RATE64, class.rate.to_ne_bytes().to_vec()),
        (CEIL64, class.ceil.to_ne_bytes().to_vec()),
    ]);
    let flags = if is_new {
        NLM_F_CREATE | NLM_F_EXCL
    } else {
        NLM_F_REPLACE
    };
    done(netlink.request(RouteNetlinkMessage::NewTrafficClass(put), NLM_F_ACK | flags))
}

/// Puts the class of a reservation.
pub(super) fn reserve(
    netlink: &mut Netlink,
    interface: u32,
    minor: u16,
    class: Class,
    mtu: u32,
    is_new: bool,
) -> io::Result<()> {
    put_class(netlink, interface, (ALL, minor), class, mtu, is_new)
}

/// Takes the class of a reservation away, once no filter leads to it.
pub(super) fn unreserve(netlink: &mut Netlink, interface: u32, minor: u16) -> io::Result<()> {
    let mut class = message(interface)?;
    class.header.parent = handle(ALL);
    class.header.handle = handle(minor);
    done(netlink.request(RouteNetlinkMessage::DelTrafficClass(class), NLM_F_ACK))
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
        let what = "flows that are told apart by an IPsec SPI cannot be told apart in the kernel";
        io::Error::new(io::ErrorKind::Unsupported, what)
    })?;
    let filter = bucket.filter(node);
    let mut add = message(interface)?;
    add.header.parent = handle(0);
    add.header.handle = filter.into();
    add.header.info = bucket.version.info();
    add.attributes = u32_options(vec![
        TcFilterU32Option::ClassId(handle(minor)),
        TcFilterU32Option::Hash(filter & 0xffff_f000),
        TcFilterU32Option::Selector(selector(keys, TcU32SelectorFlags::Terminal)),
    ]);
    let create = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    done(netlink.request(RouteNetlinkMessage::NewTrafficFilter(add), create))
}

/// Takes a filter away.
pub(super) fn remove_filter(
    netlink: &mut Netlink,
    interface: u32,
    (bucket, node): (Bucket, u32),
) -> io::Result<()> {
    let mut remove = message(interface)?;
    remove.header.parent = handle(0);
    remove.header.handle = bucket.filter(node).into();
    remove.header.info = bucket.version.info();
    remove.attributes = vec![TcAttribute::Kind("u32".to_owned())];
    done(netlink.request(RouteNetlinkMessage::DelTrafficFilter(remove), NLM_F_ACK))
}

/// What the packets of a flow have, in 32-bit words from the IP header on. `None` for what is not in packets.
fn keys(session: &Session, sender: Option<&FilterSpec>) -> Option<Vec<TcU32Key>> {
    let protocol = u32::from(session.protocol());
    // Where the source, the destination and, without options and other headers, the ports are.
    let (mut keys, source, destination, behind) = match session.address() {
        IpAddr::V4(_) => (vec![key(protocol << 16, 0x00ff_0000, 8)], 12, 16, 20),
        IpAddr::V6(_) => (vec![key(protocol << 8, 0x0000_ff00, 4)], 8, 24, 40),
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
        keys.push(key(ports, mask, behind));
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

fn message(interface: u32) -> io::Result<TcMessage> {
    let index = i32::try_from(interface).map_err(io::Error::other)?;
    Ok(TcMessage::with_index(index))
}

fn handle(minor: u16) -> TcHandle {
    TcHandle { major: OWN, minor }
}

fn htb(options: Vec<(u16, Vec<u8>)>) -> Vec<TcAttribute> {
    let options = options.into_iter();
    let options = options.map(|(kind, value)| TcOption::Other(DefaultNla::new(kind, value)));
    vec![
        TcAttribute::Kind("htb".to_owned()),
        TcAttribute::Options(options.collect()),
    ]
}

fn u32_options(options: Vec<TcFilterU32Option>) -> Vec<TcAttribute> {
    vec![
        TcAttribute::Kind("u32".to_owned()),
        TcAttribute::Options(options.into_iter().map(TcOption::U32).collect()),
    ]
}

/// `struct tc_ratespec` for Ethernet.
fn rate_spec(rate: u64) -> Vec<u8> {
    let mut spec = vec![0, 1, 0, 0, 0, 0, 0, 0];
    spec.extend(u32::try_from(rate).unwrap_or(u32::MAX).to_ne_bytes());
    spec
}

/// How long so many bytes take, in the kernel's ticks of 64 ns.
fn ticks(rate: u64, bytes: u32) -> u32 {
    let ticks = u128::from(bytes) * 1_000_000_000 / 64 / u128::from(rate.max(1));
    u32::try_from(ticks).unwrap_or(u32::MAX)
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float's cast saturates"
)]
fn whole(bytes: f32) -> u64 {
    bytes.ceil() as u64
}

fn done<T>(result: io::Result<T>) -> io::Result<()> {
    result.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(rate: f32, bucket: f32) -> ServiceRequest {
        ServiceRequest::ControlledLoad(Tspec {
            rate,
            bucket,
            peak_rate: f32::INFINITY,
            min_policed: 64,
            max_packet: 1500,
        })
    }

    #[test]
    fn bursts_are_enough_for_the_rate() {
        // 8 Mbit/s, and 80.
        assert_eq!(Class::of(&load(1e6, 0.0), 1500).burst, 3_000);
        assert_eq!(Class::of(&load(1e7, 0.0), 1500).burst, 15_000);
        assert_eq!(Class::of(&load(1e6, 20_000.0), 1500).burst, 20_000);
        assert_eq!(Class::of(&load(f32::MAX, 0.0), 1500).burst, u32::MAX);
        assert_eq!(ticks(1_000_000, 15_360), 240_000);
        assert_eq!(ticks(0, u32::MAX), u32::MAX);
    }

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
        assert_eq!(Bucket::of(&session).filter(2), 0x0020_1002);
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
        assert_eq!(Bucket::of(&session).filter(2), 0x0030_6002);
    }
}
