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
/// Where all that is not reserved goes.
const REST: u16 = 0xfffe;
/// The class that all others are in.
const ALL: u16 = 1;
/// The first and the last minor number of reservations.
pub(super) const MINORS: std::ops::RangeInclusive<u16> = 2..=0xfffd;
/// The hash table of filters, by the last byte of the destination.
const TABLE: u32 = 0x0020_0000;
/// The table that filters begin in.
const ROOT_TABLE: u32 = 0x8000_0000;
/// How many filters there are in a bucket at most.
pub(super) const NODES: std::ops::RangeInclusive<u32> = 1..=0xfff;
const PRIORITY: u32 = 10;
const ETH_P_IP: u16 = 0x0800;

/// Attributes of HTB (TCA_HTB_*).
const PARMS: u16 = 1;
const INIT: u16 = 2;
const RATE64: u16 = 6;
const CEIL64: u16 = 7;

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

/// Puts an HTB at the root of an interface with this bandwidth in bytes/s, and a hash table for filters.
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
    put_class(netlink, interface, (0, ALL), whole, mtu, true)?;
    put_class(netlink, interface, (ALL, REST), rest, mtu, true)?;
    let mut table = message(interface)?;
    table.header.parent = handle(0);
    table.header.handle = TABLE.into();
    table.header.info = info();
    table.attributes = u32_options(vec![TcFilterU32Option::Divisor(256)]);
    done(netlink.request(RouteNetlinkMessage::NewTrafficFilter(table), create))?;
    let mut selector = selector(vec![key(0, 0, 0)], TcU32SelectorFlags::empty());
    (selector.hmask, selector.hoff) = (0xff, 16);
    let mut link = message(interface)?;
    link.header.parent = handle(0);
    link.header.info = info();
    link.attributes = u32_options(vec![
        TcFilterU32Option::Hash(ROOT_TABLE),
        TcFilterU32Option::Link(TABLE),
        TcFilterU32Option::Selector(selector),
    ]);
    done(netlink.request(RouteNetlinkMessage::NewTrafficFilter(link), create))
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

/// The bucket that the filters for a destination are in. `None`: there are filters for IPv4 only.
pub(super) fn bucket(session: &Session) -> Option<u8> {
    match session.address() {
        IpAddr::V4(address) => Some(address.octets()[3]),
        IpAddr::V6(_) => None,
    }
}

/// Leads the packets of a flow to a class: those of any sender for `None`.
pub(super) fn add_filter(
    netlink: &mut Netlink,
    interface: u32,
    filter: u32,
    minor: u16,
    session: &Session,
    sender: Option<&FilterSpec>,
) -> io::Result<()> {
    let keys = keys(session, sender).ok_or(io::ErrorKind::Unsupported)?;
    let mut add = message(interface)?;
    add.header.parent = handle(0);
    add.header.handle = filter.into();
    add.header.info = info();
    add.attributes = u32_options(vec![
        TcFilterU32Option::ClassId(handle(minor)),
        TcFilterU32Option::Hash(filter & 0xffff_f000),
        TcFilterU32Option::Selector(selector(keys, TcU32SelectorFlags::Terminal)),
    ]);
    let create = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    done(netlink.request(RouteNetlinkMessage::NewTrafficFilter(add), create))
}

/// Takes a filter away.
pub(super) fn remove_filter(netlink: &mut Netlink, interface: u32, filter: u32) -> io::Result<()> {
    let mut remove = message(interface)?;
    remove.header.parent = handle(0);
    remove.header.handle = filter.into();
    remove.header.info = info();
    remove.attributes = vec![TcAttribute::Kind("u32".to_owned())];
    done(netlink.request(RouteNetlinkMessage::DelTrafficFilter(remove), NLM_F_ACK))
}

/// The number of a filter in a bucket.
pub(super) fn filter_handle(bucket: u8, node: u32) -> u32 {
    TABLE | u32::from(bucket) << 12 | node
}

/// What the packets of a flow have, in 32-bit words from the IP header on.
fn keys(session: &Session, sender: Option<&FilterSpec>) -> Option<Vec<TcU32Key>> {
    let word = |address| match address {
        IpAddr::V4(address) => Some(u32::from(address)),
        IpAddr::V6(_) => None,
    };
    let mut keys = vec![
        key(word(session.address())?, u32::MAX, 16),
        key(u32::from(session.protocol()) << 16, 0x00ff_0000, 8),
    ];
    let (mut ports, mut mask) = (0, 0);
    match session.port() {
        SessionPort::Port(0) => {}
        SessionPort::Port(port) => (ports, mask) = (u32::from(port), 0xffff),
        SessionPort::Virtual(_) => return None,
    }
    if let Some(sender) = sender {
        keys.push(key(word(sender.address())?, u32::MAX, 12));
        match sender.selector() {
            SourceSelector::Port(0) => {}
            SourceSelector::Port(port) => {
                ports |= u32::from(port) << 16;
                mask |= 0xffff_0000;
            }
            _ => return None,
        }
    }
    if mask != 0 {
        // Ports are where they are looked for in the first fragment, and behind a header without options.
        keys.push(key(0, 0x1fff, 4));
        keys.push(key(0x0500_0000, 0x0f00_0000, 0));
        keys.push(key(ports, mask, 20));
    }
    Some(keys)
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

/// The priority and the protocol of filters.
fn info() -> u32 {
    PRIORITY << 16 | u32::from(ETH_P_IP.to_be())
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
                (16, 0x0a00_0201, u32::MAX),
                (8, 0x0011_0000, 0x00ff_0000),
                (12, 0x0a00_0101, u32::MAX),
                (4, 0, 0x1fff),
                (0, 0x0500_0000, 0x0f00_0000),
                (20, 0x0fa0_138c, u32::MAX),
            ]
        );
        let portless = Session::new([10, 0, 2, 1], 1, 0).unwrap();
        assert_eq!(of(&portless, None).len(), 2);
        assert_eq!(filter_handle(1, 2), 0x0020_1002);
        let gpi = Session::gpi([10, 0, 2, 1], 50, 7).unwrap();
        assert!(keys(&gpi, None).is_none());
    }
}
