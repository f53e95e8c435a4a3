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

/// The packets of a reservation, or of one of its senders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flow {
    pub(super) session: Session,
    /// `None` for any.
    pub(super) sender: Option<FilterSpec>,
}

/// A version of IP, whose filters the kernel has apart from those of the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Version {
    V4,
    V6,
}

/// A byte of packets: in the 32-bit word at this offset from the IP header on, so many bits from
/// its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Byte {
    pub(super) offset: i32,
    pub(super) shift: u8,
}

/// Where the tables of filters are.
pub(super) trait Classifier {
    /// Puts a hash table there, whose number nothing has.
    fn add_table(&mut self, version: Version, table: u16) -> io::Result<()>;

    /// Leads all packets that come to a filter's place, or all that there are, on to a table: into
    /// the bucket that this byte of them says.
    fn lead_on(
        &mut self,
        version: Version,
        place: Option<u32>,
        table: u16,
        by: Byte,
    ) -> io::Result<()>;

    /// Leads packets that have these words to a class.
    fn add_filter(
        &mut self,
        version: Version,
        place: u32,
        minor: u16,
        keys: Vec<TcU32Key>,
    ) -> io::Result<()>;

    /// Takes away what is in a filter's place.
    fn remove(&mut self, version: Version, place: u32) -> io::Result<()>;
}

/// The kernel's, on an interface.
pub(super) struct Kernel<'a> {
    pub(super) netlink: &'a mut Netlink,
    pub(super) interface: u32,
}

impl Byte {
    /// What filters with these keys want of it; `None` where they do not look at it.
    pub(super) fn of(self, keys: &[TcU32Key]) -> Option<u8> {
        let at = keys.iter().filter(|key| key.off == self.offset);
        let byte = |word: u32| (word >> self.shift).to_le_bytes()[0];
        at.filter(|key| byte(key.mask) == u8::MAX)
            .map(|key| byte(key.val))
            .next()
    }

    /// The bytes that filters with these keys look at.
    pub(super) fn all(keys: &[TcU32Key]) -> impl Iterator<Item = Self> {
        let bytes = keys.iter().flat_map(|key| {
            let offset = key.off;
            [0, 8, 16, 24].map(|shift| Self { offset, shift })
        });
        bytes.filter(|byte| byte.of(keys).is_some())
    }
}

impl Version {
    /// The priority and the protocol of filters. Those of two protocols never have the same
    /// priority.
    fn info(self) -> u32 {
        let (priority, protocol) = match self {
            Self::V4 => (10_u32, 0x0800_u16),
            Self::V6 => (11, 0x86dd),
        };
        priority << 16 | u32::from(protocol.to_be())
    }

    /// The last byte of the destination.
    pub(super) const fn destination(self) -> Byte {
        let offset = match self {
            Self::V4 => 16,
            Self::V6 => 36,
        };
        Byte { offset, shift: 0 }
    }

    /// Where the ports are, without options and other headers.
    const fn ports(self) -> i32 {
        match self {
            Self::V4 => 20,
            Self::V6 => 40,
        }
    }
}

impl Classifier for Kernel<'_> {
    fn add_table(&mut self, version: Version, table: u16) -> io::Result<()> {
        let place = u32::from(table) << 20;
        self.put(version, place, vec![TcFilterU32Option::Divisor(256)])
    }

    fn lead_on(
        &mut self,
        version: Version,
        place: Option<u32>,
        table: u16,
        by: Byte,
    ) -> io::Result<()> {
        let mut selector = selector(vec![key(0, 0, 0)], TcU32SelectorFlags::empty());
        selector.hmask = 0xff << by.shift;
        selector.hoff = i16::try_from(by.offset).map_err(io::Error::other)?;
        let mut options = vec![TcFilterU32Option::Link(u32::from(table) << 20)];
        options.extend(place.map(in_bucket));
        options.push(TcFilterU32Option::Selector(selector));
        self.put(version, place.unwrap_or_default(), options)
    }

    fn add_filter(
        &mut self,
        version: Version,
        place: u32,
        minor: u16,
        keys: Vec<TcU32Key>,
    ) -> io::Result<()> {
        let options = vec![
            TcFilterU32Option::ClassId(handle(minor)),
            in_bucket(place),
            TcFilterU32Option::Selector(selector(keys, TcU32SelectorFlags::Terminal)),
        ];
        self.put(version, place, options)
    }

    fn remove(&mut self, version: Version, place: u32) -> io::Result<()> {
        let mut remove = self.about(version, place)?;
        remove.attributes = vec![TcAttribute::Kind("u32".to_owned())];
        let request = RouteNetlinkMessage::DelTrafficFilter(remove);
        done(self.netlink.request(request, NLM_F_ACK))
    }
}

impl Kernel<'_> {
    /// A message about the filter, or the table, of this number; 0 for one that the kernel numbers.
    fn about(&self, version: Version, number: u32) -> io::Result<TcMessage> {
        let mut about = message(self.interface)?;
        about.header.parent = handle(0);
        about.header.handle = number.into();
        about.header.info = version.info();
        Ok(about)
    }

    /// Puts a filter, or a table, where there is none.
    fn put(
        &mut self,
        version: Version,
        number: u32,
        options: Vec<TcFilterU32Option>,
    ) -> io::Result<()> {
        let mut new = self.about(version, number)?;
        new.attributes = u32_options(options);
        let create = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
        let request = RouteNetlinkMessage::NewTrafficFilter(new);
        done(self.netlink.request(request, create))
    }
}

/// The bucket that a filter in this place is in.
fn in_bucket(place: u32) -> TcFilterU32Option {
    TcFilterU32Option::Hash(place & 0xffff_f000)
}

impl Flow {
    pub(super) fn version(&self) -> Version {
        match self.session.address() {
            IpAddr::V4(_) => Version::V4,
            IpAddr::V6(_) => Version::V6,
        }
    }

    /// What its packets have, in 32-bit words from the IP header on. `None` for what is not in
    /// packets.
    pub(super) fn keys(&self) -> Option<Vec<TcU32Key>> {
        let session = &self.session;
        let protocol = u32::from(session.protocol());
        // Where the source and the destination are.
        let (mut keys, source, destination) = match self.version() {
            Version::V4 => (vec![key(protocol << 16, 0x00ff_0000, 8)], 12, 16),
            Version::V6 => (vec![key(protocol << 8, 0x0000_ff00, 4)], 8, 24),
        };
        keys.extend(address(session.address(), destination));
        let (mut ports, mut mask) = (0, 0);
        match session.port() {
            SessionPort::Port(0) => {}
            SessionPort::Port(port) => (ports, mask) = (u32::from(port), 0xffff),
            SessionPort::Virtual(_) => return None,
        }
        if let Some(sender) = &self.sender {
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
            if self.version() == Version::V4 {
                // Ports are looked for in the first fragment, and behind a header without options.
                keys.push(key(0, 0x1fff, 4));
                keys.push(key(0x0500_0000, 0x0f00_0000, 0));
            }
            keys.push(key(ports, mask, self.version().ports()));
        }
        Some(keys)
    }
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

    fn looked_for(flow: Flow) -> Vec<(i32, u32, u32)> {
        let keys = flow.keys().unwrap();
        keys.iter()
            .map(|key| (key.off, key.val, key.mask))
            .collect()
    }

    #[test]
    fn filters_look_for_what_the_flow_has() {
        let session = Session::new([10, 0, 2, 1], 17, 5004).unwrap();
        let sender = Some(FilterSpec::new([10, 0, 1, 1], 4000));
        assert_eq!(
            looked_for(Flow { session, sender }),
            [
                (8, 0x0011_0000, 0x00ff_0000),
                (16, 0x0a00_0201, u32::MAX),
                (12, 0x0a00_0101, u32::MAX),
                (4, 0, 0x1fff),
                (0, 0x0500_0000, 0x0f00_0000),
                (20, 0x0fa0_138c, u32::MAX),
            ]
        );
        let sender = None;
        let session = Session::new([10, 0, 2, 1], 1, 0).unwrap();
        assert_eq!(looked_for(Flow { session, sender }).len(), 2);
        let session = Session::gpi([10, 0, 2, 1], 50, 7).unwrap();
        assert!(Flow { session, sender }.keys().is_none());
    }

    #[test]
    fn filters_look_for_what_the_flow_has_in_ipv6() {
        let to: std::net::Ipv6Addr = "2001:db8:1:2:3:4:5:6".parse().unwrap();
        let from: std::net::Ipv6Addr = "2001:db8::7".parse().unwrap();
        let session = Session::new(to, 17, 5004).unwrap();
        let sender = Some(FilterSpec::new(from, 4000));
        assert_eq!(
            looked_for(Flow { session, sender }),
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
    }

    #[test]
    fn a_byte_that_a_filter_looks_at_has_a_value() {
        let session = Session::new([10, 0, 2, 1], 17, 5004).unwrap();
        let keys = Flow {
            session,
            sender: None,
        }
        .keys()
        .unwrap();
        let of = |offset, shift| Byte { offset, shift }.of(&keys);
        assert_eq!(of(16, 0), Some(1));
        assert_eq!((of(20, 0), of(20, 8)), (Some(0x8c), Some(0x13)));
        // The source and its port may be any.
        assert_eq!((of(12, 0), of(20, 16), of(20, 24)), (None, None, None));
        assert!(Byte::all(&keys).all(|byte| byte.of(&keys).is_some()));
    }
}
