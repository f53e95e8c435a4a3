//! Messages as nearly all senders make them, recognized at a small cost.
//!
//! What is accepted here is a part of what [`Check`](super::Check) accepts; nothing is refused
//! and no fault is named, since what is not recognized is checked in full.

use super::object::is_usual;
use super::{FILTER, FLOW_SPEC, FLOWS, INTEGRITY, REPEATED, Rules, Set, bit};
use crate::class;
use crate::header::{CommonHeader, MessageType};
use crate::object::{HEADER, ObjectEntry};
use crate::objects::ResvStyle;
use crate::wire;

/// Indexes the objects of a Path, PathErr, PathTear or Resv and gives their number; `None` when
/// there are more than there are slots, or when the message needs a closer look.
#[inline]
pub(crate) fn index_usual(
    message: MessageType,
    objects: &[u8],
    slots: &mut [ObjectEntry],
) -> Option<usize> {
    use MessageType::{Path, PathErr, PathTear, Resv};
    if !matches!(message, Path | PathErr | PathTear | Resv) {
        return None;
    }
    let rules = Rules::of(message)?;
    let room = slots.len();
    let mut objects = Indexer::new(objects, slots);
    let allowed = (rules.allowed | bit(class::POLICY_DATA)) & !FLOWS;
    let mut open = allowed;
    let mut seen = 0;
    let mut senders = Senders::NONE;
    while !objects.rest.is_empty() {
        let object = objects.next(open)?;
        seen |= object.bit();
        open = allowed & !INTEGRITY & !(seen & !REPEATED);
        match object.class {
            class::SESSION => senders = Senders::of(object)?,
            class::SENDER_TEMPLATE if !senders.have(object) => return None,
            class::STYLE => flow_descriptors(&mut objects, object, senders)?,
            _ => {}
        }
    }
    let complete = rules.required & !seen == 0;
    complete.then(|| room.saturating_sub(objects.slots.len()))
}

/// Indexes the flow descriptor list of a Resv, up to the end of the message.
#[inline]
fn flow_descriptors(
    objects: &mut Indexer<'_, '_>,
    style: Usual<'_>,
    senders: Senders,
) -> Option<()> {
    let style = ResvStyle::from_option_vector(wire::u32(style.body, 0)?);
    let (after_flow_spec, after_filter, last) = match style {
        ResvStyle::WildcardFilter => (0, 0, class::FLOWSPEC),
        ResvStyle::SharedExplicit => (FILTER, FILTER, class::FILTER_SPEC),
        ResvStyle::FixedFilter => (FILTER, FLOWS, class::FILTER_SPEC),
        ResvStyle::Unknown(_) => return None,
    };
    let mut open = FLOW_SPEC;
    let mut class = class::STYLE;
    while !objects.rest.is_empty() {
        let object = objects.next(open)?;
        class = object.class;
        open = if class == class::FLOWSPEC {
            after_flow_spec
        } else if senders.have(object) {
            after_filter
        } else {
            return None;
        };
    }
    (class == last).then_some(())
}

/// An object of a class and C-Type below 16 and 8, of a length that goes with them.
#[derive(Clone, Copy)]
struct Usual<'a> {
    class: u8,
    c_type: u8,
    body: &'a [u8],
}

impl Usual<'_> {
    #[inline]
    fn bit(self) -> Set {
        1_u16.wrapping_shl(self.class.into())
    }
}

/// Walks the objects and writes their index.
struct Indexer<'a, 's> {
    rest: &'a [u8],
    offset: u16,
    slots: core::slice::IterMut<'s, ObjectEntry>,
}

impl<'a, 's> Indexer<'a, 's> {
    #[inline]
    fn new(objects: &'a [u8], slots: &'s mut [ObjectEntry]) -> Indexer<'a, 's> {
        Indexer {
            rest: objects,
            offset: wire::clamp(CommonHeader::LENGTH),
            slots: slots.iter_mut(),
        }
    }

    /// The next object, if it is one of these classes and a usual one.
    #[inline]
    fn next(&mut self, open: Set) -> Option<Usual<'a>> {
        let (&[len1, len2, class, c_type], content) = self.rest.split_first_chunk::<HEADER>()?;
        let length = u16::from_be_bytes([len1, len2]);
        let (body, rest) = content.split_at_checked(usize::from(length).wrapping_sub(HEADER))?;
        let object = Usual {
            class,
            c_type,
            body,
        };
        if !is_usual(class, c_type, body.len()) || open & object.bit() == 0 {
            return None;
        }
        *self.slots.next()? = ObjectEntry {
            offset: self.offset,
            length,
            class,
            c_type,
        };
        self.rest = rest;
        self.offset = self.offset.wrapping_add(length);
        Some(object)
    }
}

/// The C-Types of the senders that go with a session that has a port, as bits.
#[derive(Clone, Copy)]
struct Senders(u8);

impl Senders {
    /// Before the session is known.
    const NONE: Senders = Senders(0);

    #[inline]
    fn of(session: Usual<'_>) -> Option<Senders> {
        let (address, [protocol, _, port @ ..]) = session.body.split_last_chunk::<4>()?;
        let (some_address, types) = match session.c_type {
            1 => (wire::u32(address, 0)? != 0, 1 << 1),
            2 => (wire::array::<16>(address, 0)? != [0; 16], 1 << 2 | 1 << 3),
            _ => return None,
        };
        (some_address && *protocol != 0 && *port != [0, 0]).then_some(Senders(types))
    }

    #[inline]
    fn have(self, sender: Usual<'_>) -> bool {
        self.0.wrapping_shr(sender.c_type.into()) & 1 != 0
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::build::{Flows, Path, PathTear, PolicyData, Resv};
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
                let sender = |port| FilterSpec::new(address, port);
                let request = ServiceRequest::ControlledLoad(TSPEC);
                let path = Path::new(session, hop, times, sender(1), TSPEC);
                let resv = |flows| Resv::new(session, hop, times, flows).build().unwrap();
                [
                    path.clone().build().unwrap(),
                    path.policy_data(PolicyData::new()).build().unwrap(),
                    PathTear::new(session, hop, sender(1)).build().unwrap(),
                    resv(Flows::FixedFilter(
                        [(request, sender(1)), (request, sender(2))].into(),
                    )),
                    resv(Flows::SharedExplicit(
                        request,
                        [sender(1), sender(2)].into(),
                    )),
                    resv(Flows::WildcardFilter(request)),
                ]
            })
            .collect()
    }

    /// Whether the message is recognized; the full check then has to agree.
    fn is_recognized(objects: &[u8], message_type: u8) -> bool {
        let mut slots = [ObjectEntry::default(); 32];
        let found = index_usual(message_type.into(), objects, &mut slots);
        if let Some(count) = found {
            let length = wire::clamp(objects.len() + 8).to_be_bytes();
            let header = [0x10, message_type, 0, 0, 64, 0, length[0], length[1]];
            let bytes = [&header, objects].concat();
            let mut index = ObjectIndex::new();
            let message = Message::checked::<false>(&bytes, &mut index);
            assert_eq!(
                message.map(|message| message.entries()),
                Ok(&slots[..count])
            );
        }
        found.is_some()
    }

    #[test]
    fn what_is_built_is_recognized() {
        for message in messages() {
            assert!(is_recognized(&message[8..], message[1]), "{message:02x?}");
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
