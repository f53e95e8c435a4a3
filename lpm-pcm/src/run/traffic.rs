//! The messages of the kernel's traffic control: an HTB and its classes (linux/pkt_sched.h).

use std::io;

use lpm_rsvp::{ServiceRequest, Tspec};
use netlink_packet_core::{
    DefaultNla, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage, TcOption};

use super::netlink::Netlink;

/// The major number by which this program knows its own qdisc: "PC".
const OWN: u16 = 0x5043;
/// The priority of packets that pass by the classes of that qdisc: HTB sends those first whose
/// priority is its handle.
pub(super) const PASSES_BY: u32 = (OWN as u32) << 16;
/// Where all that is not reserved goes.
const REST: u16 = 0xfffe;
/// The class that all others are in.
const ALL: u16 = 1;
/// The first and the last minor number of reservations.
pub(super) const MINORS: std::ops::RangeInclusive<u16> = 2..=0xfffd;
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

/// Whether the kernel knows HTB; `None` if it does not say. It is asked for one of which nothing is
/// said, which it refuses, and nothing changes.
pub(super) fn has_htb(netlink: &mut Netlink) -> Option<bool> {
    // Every network namespace has its loopback.
    let mut qdisc = message(1).ok()?;
    qdisc.header.parent = TcHandle::ROOT;
    qdisc.attributes = vec![TcAttribute::Kind("htb".to_owned())];
    let create = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    is_known(&done(
        netlink.request(RouteNetlinkMessage::NewQueueDiscipline(qdisc), create),
    ))
}

/// Whether the kernel knows what it is asked for when it answers this.
fn is_known(answer: &io::Result<()>) -> Option<bool> {
    match answer.as_ref().err()?.raw_os_error()? {
        libc::EINVAL => Some(true),
        // Without any traffic control nobody is there who could know it.
        libc::ENOENT | libc::EOPNOTSUPP => Some(false),
        _ => None,
    }
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

/// Puts an HTB at the root of an interface with this bandwidth in bytes/s.
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
    put_shares(netlink, interface, bandwidth, mtu, true)
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

/// How much may be sent at once: the bucket, but no less than two packets, or than what comes in a
/// millisecond and a half: the kernel looks at its clock no more often.
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

pub(super) fn message(interface: u32) -> io::Result<TcMessage> {
    let index = i32::try_from(interface).map_err(io::Error::other)?;
    Ok(TcMessage::with_index(index))
}

pub(super) fn handle(minor: u16) -> TcHandle {
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

pub(super) fn done<T>(result: io::Result<T>) -> io::Result<()> {
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
    fn the_kernel_tells_what_it_does_not_know_from_what_it_refuses() {
        let answer = |code| is_known(&Err(io::Error::from_raw_os_error(code)));
        assert_eq!(answer(libc::EINVAL), Some(true));
        assert_eq!(answer(libc::ENOENT), Some(false));
        assert_eq!(answer(libc::EOPNOTSUPP), Some(false));
        // Without CAP_NET_ADMIN, and where somebody has a qdisc on the loopback.
        assert_eq!(answer(libc::EPERM), None);
        assert_eq!(answer(libc::EEXIST), None);
        assert_eq!(is_known(&Ok(())), None);
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
}
