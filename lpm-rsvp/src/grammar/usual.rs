//! Messages as nearly all senders make them, recognized at a small cost.
//!
//! What is accepted here is a part of what [`Check`](super::Check) accepts; nothing is refused
//! and no fault is named, since what is not recognized is checked in full.

use super::object::is_usual;
use super::{FILTER, FLOW_SPEC, FLOWS, INTEGRITY, REPEATED, Rules, Set, bit};
use crate::class;
use crate::header::{CommonHeader, MessageType};
use crate::index::INLINE;
use crate::object::{HEADER, ObjectEntry};
use crate::objects::ResvStyle;
use crate::wire;

/// Indexes the objects of a Path, PathErr, PathTear or Resv and gives their number; `None` when
/// there are more than there are slots, or when the message needs a closer look.
#[inline]
pub(crate) fn index_usual(
    message: MessageType,
    bytes: &[u8],
    slots: &mut [ObjectEntry; INLINE],
) -> Option<usize> {
    use MessageType::{Path, PathErr, PathTear, Resv};
    if !matches!(message, Path | PathErr | PathTear | Resv) {
        return None;
    }
    let count = index(bytes, slots)?;
    let entries = slots.get(..count)?;
    is_legal(Rules::of(message)?, bytes, entries).then_some(count)
}

/// Indexes what may be objects; whether their lengths are those of objects is left open.
#[inline]
fn index(bytes: &[u8], slots: &mut [ObjectEntry; INLINE]) -> Option<usize> {
    let mut rest = bytes.get(CommonHeader::LENGTH..)?;
    let mut offset = wire::clamp(CommonHeader::LENGTH);
    let mut count = 0_usize;
    for slot in slots {
        let Some(&[len1, len2, class, c_type]) = rest.first_chunk::<HEADER>() else {
            break;
        };
        let length = u16::from_be_bytes([len1, len2]);
        *slot = ObjectEntry {
            offset,
            length,
            class,
            c_type,
        };
        rest = rest.get(length.into()..)?;
        offset = offset.wrapping_add(length);
        count = count.wrapping_add(1);
    }
    rest.is_empty().then_some(count)
}

/// Whether these objects, which fill the message, are what the rules want.
fn is_legal(rules: &Rules, bytes: &[u8], entries: &[ObjectEntry]) -> bool {
    let mut open = (rules.allowed | bit(class::POLICY_DATA)) & !FLOWS;
    let mut senders = Senders::NONE;
    let mut style = None;
    let mut entries = entries.iter();
    for entry in entries.by_ref() {
        let this = set_of(entry);
        if open & this == 0 || !is_usual(entry) {
            return false;
        }
        open &= !(INTEGRITY | this & !REPEATED);
        match entry.class {
            class::SESSION => match Senders::of(entry.c_type, entry.body(bytes)) {
                Some(known) => senders = known,
                None => return false,
            },
            class::SENDER_TEMPLATE if !senders.have(entry) => return false,
            class::STYLE => {
                style = wire::u32(entry.body(bytes), 0);
                break;
            }
            _ => {}
        }
    }
    // What is required comes once, so what came is no longer open.
    rules.required & open == 0
        && match style {
            Some(style) => flows_are_legal(ResvStyle::from_option_vector(style), entries, senders),
            None => true,
        }
}

/// Whether the objects behind STYLE are a flow descriptor list of a Resv.
#[inline]
fn flows_are_legal(
    style: ResvStyle,
    entries: core::slice::Iter<'_, ObjectEntry>,
    senders: Senders,
) -> bool {
    let (after_flow_spec, after_filter, last) = match style {
        ResvStyle::WildcardFilter => (0, 0, FLOW_SPEC),
        ResvStyle::SharedExplicit => (FILTER, FILTER, FILTER),
        ResvStyle::FixedFilter => (FILTER, FLOWS, FILTER),
        ResvStyle::Unknown(_) => return false,
    };
    let mut open = FLOW_SPEC;
    let mut this = 0;
    for entry in entries {
        this = set_of(entry);
        if open & this == 0 || !is_usual(entry) {
            return false;
        }
        if this == FLOW_SPEC {
            open = after_flow_spec;
        } else if senders.have(entry) {
            open = after_filter;
        } else {
            return false;
        }
    }
    this == last
}

/// The class as a set; the wrong one for classes above 15, which are not [usual](is_usual).
#[inline]
fn set_of(entry: &ObjectEntry) -> Set {
    1_u16.wrapping_shl(entry.class.into())
}

/// The C-Types of the senders that go with a session, as bits.
#[derive(Clone, Copy)]
struct Senders(u8);

impl Senders {
    /// Before the session is known.
    const NONE: Senders = Senders(0);

    /// `None` for a session that needs a closer look.
    #[inline]
    fn of(c_type: u8, session: &[u8]) -> Option<Senders> {
        match (c_type, session) {
            (1, [a, b, c, d, protocol, _, port @ ..])
                if [*a, *b, *c, *d] != [0; 4] && *protocol != 0 && *port != [0, 0] =>
            {
                Some(Senders(1 << 1))
            }
            (2, [address @ .., protocol, _, port1, port2])
                if *address != [0; 16] && *protocol != 0 && [*port1, *port2] != [0, 0] =>
            {
                Some(Senders(1 << 2 | 1 << 3))
            }
            _ => None,
        }
    }

    /// Whether a usual sender goes with the session.
    #[inline]
    fn have(self, sender: &ObjectEntry) -> bool {
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
        let mut slots = [ObjectEntry::default(); INLINE];
        let length = wire::clamp(objects.len() + 8).to_be_bytes();
        let header = [0x10, message_type, 0, 0, 64, 0, length[0], length[1]];
        let bytes = [&header, objects].concat();
        let found = index_usual(message_type.into(), &bytes, &mut slots);
        if let Some(count) = found {
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
