//! Messages as nearly all senders make them, recognized at a small cost.
//!
//! That is Path and Resv in the order of the grammar (RFC 2205 §3.1.3, §3.1.4): most object
//! headers are known in advance then, and one comparison each. What is accepted here is a part
//! of what [`Check`](super::Check) accepts; nothing is refused and no fault is named, since what
//! is not recognized is checked in full.
//!
//! Goal: parsing costs little beside a decision. A Path takes 396 instructions so, and 663 where it
//! is checked in full (`cargo xtask instructions`).

use crate::class;
use crate::header::CommonHeader;
use crate::index::INLINE;
use crate::message_type::MessageType;
use crate::object::{HEADER, ObjectEntry};
use crate::objects::ResvStyle;
use crate::wire;

/// What a message consists of.
pub(crate) struct Counted {
    /// Its objects.
    pub(crate) objects: usize,
    /// Its flow descriptors.
    pub(crate) flows: u32,
}

/// Indexes the objects of a Path or Resv and counts them; `None` when there are more than there are
/// slots, or when the message needs a closer look.
#[inline]
pub(crate) fn index_usual(bytes: &[u8], slots: &mut [ObjectEntry; INLINE]) -> Option<Counted> {
    const PATH: u8 = MessageType::Path.number();
    const RESV: u8 = MessageType::Resv.number();
    let (&[_, message_type, ..], objects) =
        bytes.split_first_chunk::<{ CommonHeader::LENGTH }>()?;
    let mut rest = Rest {
        bytes: objects,
        offset: wire::clamp(CommonHeader::LENGTH),
        slots: slots.iter_mut(),
    };
    rest.take(INTEGRITY);
    let ipv6 = rest.header()? == with_word(class::SESSION, true);
    match (message_type, ipv6) {
        (PATH, false) => path::<false>(rest),
        (PATH, true) => path::<true>(rest),
        (RESV, false) => resv::<false>(rest),
        (RESV, true) => resv::<true>(rest),
        _ => None,
    }
}

fn path<const IPV6: bool>(mut rest: Rest<'_, '_>) -> Option<Counted> {
    session::<IPV6>(&mut rest)?;
    rest.take(with_word(class::RSVP_HOP, IPV6))?;
    rest.take(TIME_VALUES)?;
    while rest.take_opaque(class::POLICY_DATA).is_some() {}
    rest.take(with_word(class::SENDER_TEMPLATE, IPV6))?;
    rest.take_opaque(class::SENDER_TSPEC)?;
    rest.take_opaque(class::ADSPEC);
    rest.end(1)
}

fn resv<const IPV6: bool>(mut rest: Rest<'_, '_>) -> Option<Counted> {
    session::<IPV6>(&mut rest)?;
    rest.take(with_word(class::RSVP_HOP, IPV6))?;
    rest.take(TIME_VALUES)?;
    rest.take(address(class::RESV_CONFIRM, IPV6));
    while rest.take_opaque(class::POLICY_DATA).is_some() {}
    let style = ResvStyle::from_option_vector(wire::u32(rest.take(STYLE)?, 0)?);
    let filter = with_word(class::FILTER_SPEC, IPV6);
    rest.take_opaque(class::FLOWSPEC)?;
    let own_flow_specs = match style {
        ResvStyle::WildcardFilter => return rest.end(1),
        ResvStyle::SharedExplicit => false,
        ResvStyle::FixedFilter => true,
        ResvStyle::Unknown(_) => return None,
    };
    let mut flows = 1;
    loop {
        rest.take(filter)?;
        if rest.bytes.is_empty() {
            return rest.end(flows);
        }
        if own_flow_specs {
            rest.take_opaque(class::FLOWSPEC);
            // There are no more than there are slots.
            flows = flows.wrapping_add(1);
        }
    }
}

/// A session that does not need a closer look: a port of 0 rules those of the senders, too.
#[inline]
fn session<const IPV6: bool>(rest: &mut Rest<'_, '_>) -> Option<()> {
    let body = rest.take(with_word(class::SESSION, IPV6))?;
    let (address, &[protocol, _, port1, port2]) = body.split_last_chunk()?;
    let legal = address.iter().any(|byte| *byte != 0) && protocol != 0 && [port1, port2] != [0, 0];
    legal.then_some(())
}

/// With HMAC-MD5.
const INTEGRITY: u32 = header(36, class::INTEGRITY, 1);
const TIME_VALUES: u32 = header(8, class::TIME_VALUES, 1);
const STYLE: u32 = header(8, class::STYLE, 1);

/// The header of an object that is an address.
const fn address(class: u8, ipv6: bool) -> u32 {
    match ipv6 {
        false => header(8, class, 1),
        true => header(20, class, 2),
    }
}

/// The header of an object that is an address and 4 bytes.
const fn with_word(class: u8, ipv6: bool) -> u32 {
    match ipv6 {
        false => header(12, class, 1),
        true => header(24, class, 2),
    }
}

/// An object header as a number.
const fn header(length: u8, class: u8, c_type: u8) -> u32 {
    u32::from_be_bytes([0, length, class, c_type])
}

/// What is not indexed yet.
struct Rest<'a, 's> {
    bytes: &'a [u8],
    offset: u16,
    slots: core::slice::IterMut<'s, ObjectEntry>,
}

impl<'a> Rest<'a, '_> {
    /// The header of the next object.
    #[inline]
    fn header(&self) -> Option<u32> {
        wire::u32(self.bytes, 0)
    }

    /// Indexes the next object if it has this header, and gives its content.
    #[inline]
    fn take(&mut self, header: u32) -> Option<&'a [u8]> {
        if self.header()? == header {
            self.index(header)
        } else {
            None
        }
    }

    /// Indexes the next object if it is of a class that RSVP does not look into.
    #[inline]
    fn take_opaque(&mut self, class: u8) -> Option<()> {
        let header = self.header()?;
        let [_, length, found, c_type] = header.to_be_bytes();
        // RSVP knows one C-Type of SENDER_TSPEC.
        let known = class != class::SENDER_TSPEC || c_type == 2;
        if found == class && known && length % 4 == 0 {
            self.index(header).map(drop)
        } else {
            None
        }
    }

    #[inline]
    fn index(&mut self, header: u32) -> Option<&'a [u8]> {
        let [len1, len2, class, c_type] = header.to_be_bytes();
        let length = u16::from_be_bytes([len1, len2]);
        let (object, rest) = self.bytes.split_at_checked(length.into())?;
        let content = object.get(HEADER..)?;
        *self.slots.next()? = ObjectEntry {
            offset: self.offset,
            length,
            class,
            c_type,
        };
        self.bytes = rest;
        self.offset = self.offset.wrapping_add(length);
        Some(content)
    }

    /// How many objects were indexed, once there are no more, in a message with so many flows.
    #[inline]
    fn end(self, flows: u32) -> Option<Counted> {
        let objects = INLINE.wrapping_sub(self.slots.len());
        self.bytes.is_empty().then_some(Counted { objects, flows })
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::build::{AdSpec, Flows, Path, PolicyData, Resv};
    use crate::intserv::GeneralParameters;
    use crate::{
        FilterSpec, Message, ObjectIndex, ObjectWalk, RsvpHop, ServiceRequest, Session, TimeValues,
        Tspec,
    };

    const TSPEC: Tspec = Tspec {
        rate: 1e5,
        bucket: 3e3,
        peak_rate: 2e5,
        min_policed: 64,
        max_packet: 1500,
    };

    fn messages() -> Vec<Vec<u8>> {
        let address = [
            core::net::Ipv4Addr::LOCALHOST.into(),
            "2001:db8::1".parse().unwrap(),
        ];
        address
            .into_iter()
            .flat_map(|address: core::net::IpAddr| {
                let session = Session::new(address, 17, 5004).unwrap();
                let (hop, times) = (
                    RsvpHop {
                        address,
                        logical_interface: 1,
                    },
                    TimeValues::DEFAULT,
                );
                let general = GeneralParameters {
                    break_bit: false,
                    is_hops: 3,
                    path_bandwidth: 1e6,
                    minimum_latency: 10,
                    path_mtu: 1500,
                };
                let adspec = AdSpec {
                    general,
                    guaranteed: None,
                    controlled_load: Some(true),
                };
                let sender = |port| FilterSpec::new(address, port);
                let request = ServiceRequest::ControlledLoad(TSPEC);
                let path = Path::new(session, hop, times, sender(1), TSPEC);
                let resv = |flows| Resv::new(session, hop, times, flows).build().unwrap();
                [
                    path.clone().build().unwrap(),
                    path.adspec(adspec)
                        .policy_data(PolicyData::new())
                        .policy_data(PolicyData::new())
                        .build()
                        .unwrap(),
                    resv(Flows::FixedFilter(
                        [(request, sender(1)), (request, sender(2))].into(),
                    )),
                    resv(Flows::SharedExplicit(
                        request,
                        [sender(1), sender(2)].into(),
                    )),
                    Resv::new(session, hop, times, Flows::WildcardFilter(request))
                        .confirm(address)
                        .policy_data(PolicyData::new())
                        .build()
                        .unwrap(),
                ]
            })
            .collect()
    }

    /// Whether the message is recognized; the full check then has to agree.
    fn is_recognized(objects: &[u8], message_type: u8) -> bool {
        let mut slots = [ObjectEntry::default(); INLINE];
        let length = wire::clamp(objects.len() + 8).to_be_bytes();
        let header = [0x10, message_type, 0, 0, 64, 0, length[0], length[1]];
        let bytes = [&header, objects].concat();
        let found = index_usual(&bytes, &mut slots);
        if let Some(Counted { objects, flows }) = found {
            let mut index = ObjectIndex::new();
            let message = Message::checked::<false>(&bytes, &mut index);
            assert_eq!(
                message.map(|message| message.entries()),
                Ok(&slots[..objects])
            );
            assert_eq!(
                message.map(|message| message.flow_descriptors().count()),
                Ok(flows as usize)
            );
        }
        found.is_some()
    }

    #[test]
    fn what_is_built_is_recognized() {
        let integrity = [&INTEGRITY.to_be_bytes()[..], &[0; 32]].concat();
        for message in messages() {
            let objects = &message[8..];
            assert!(is_recognized(objects, message[1]), "{message:02x?}");
            let signed = [&integrity, objects].concat();
            assert!(is_recognized(&signed, message[1]), "{signed:02x?}");
        }
    }

    #[test]
    fn what_is_recognized_passes_the_full_check() {
        for message in messages() {
            let (header, objects) = message.split_at(8);
            for message_type in 0..=8 {
                is_recognized(objects, message_type);
            }
            for at in 0..objects.len() {
                for byte in [0, 1, 2, 3, 4, 8, 12, 16, 20, 24, 0x0a, 0x11, 0x12, 0xff] {
                    let mut objects = objects.to_vec();
                    objects[at] = byte;
                    is_recognized(&objects, header[1]);
                }
                is_recognized(&objects[..at], header[1]);
            }
            let all: Vec<Vec<u8>> = ObjectWalk::new(objects, 8)
                .map(|object| {
                    let object = object.unwrap();
                    let length = wire::clamp(object.body.len() + 4).to_be_bytes();
                    let header = [length[0], length[1], object.class, object.c_type];
                    [&header, object.body].concat()
                })
                .collect();
            // Left out, doubled and moved.
            for from in 0..all.len() {
                let mut others = all.clone();
                let object = others.remove(from);
                is_recognized(&others.concat(), header[1]);
                for list in [&all, &others] {
                    for to in 0..=list.len() {
                        let mut moved = list.clone();
                        moved.insert(to, object.clone());
                        is_recognized(&moved.concat(), header[1]);
                    }
                }
            }
        }
    }
}
