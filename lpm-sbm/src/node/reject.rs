//! Messages that are answered with an error without asking anybody: an object that this node has to
//! know and does not (RFC 2205 §3.10), and ports that do not go together (§3.2).

use lpm_rsvp::{
    CommonHeader, FilterSpec, Message, MessageType, ObjectIndex, ObjectWalk, ParseError, RsvpHop,
    Session, SessionPort, SourceSelector, class,
};

use super::output::{Packet, Routes, TTL};
use super::wire::{Writer, finished, whole};
use crate::node::Node;

/// Error codes of RFC 2205, appendix B.
pub(super) const UNKNOWN_STYLE: u16 = 6;
pub(super) const CONFLICTING_DESTINATION_PORTS: u16 = 7;
pub(super) const CONFLICTING_SENDER_PORTS: u16 = 8;

/// How many objects that are not known are looked past to find out whom to tell.
const MAX_UNKNOWN: usize = 16;

impl<R: Routes> Node<R> {
    /// Tells the neighbour that sent a Path or Resv which object in it is not known here.
    pub(super) fn reject(&mut self, packet: &Packet<'_>, fault: &ParseError) {
        let Some((code, value)) = fault.error_code() else {
            return;
        };
        let code = u16::from(code);
        let Some(known) = known_part(packet.bytes) else {
            return;
        };
        let objects = ObjectWalk::new(known.get(CommonHeader::LENGTH..).unwrap_or_default(), 0);
        let find = |wanted| {
            objects
                .clone()
                .flatten()
                .find(|object| object.class == wanted)
        };
        let about = find(class::SESSION).zip(find(class::RSVP_HOP));
        let Some((session_object, hop)) = about else {
            return;
        };
        let (Ok(session), Ok(hop)) = (session_object.read::<Session>(), hop.read::<RsvpHop>())
        else {
            return;
        };
        let mut index = ObjectIndex::new();
        let message = Message::parse(&known, &mut index);
        let writer = |message_type| Writer::new(message_type, TTL).raw(&whole(&session_object));
        let (interface, bytes) = match known.get(1).copied().map(MessageType::from) {
            _ if self.is_own(hop.address) => return,
            Some(MessageType::Path) => {
                let Some(interface) = self.interface(packet.interface, session.address()) else {
                    return;
                };
                if message.is_ok() {
                    self.path_error(&known, interface, hop, code, value);
                    return;
                }
                // What is left does not name the sender.
                let writer = writer(MessageType::PathErr);
                (
                    interface,
                    writer.error_spec(interface.address, 0, code, value),
                )
            }
            Some(MessageType::Resv) if self.is_own(packet.destination) => {
                let interface = self.outgoing_interface(packet, hop, session);
                let (Ok(interface), Some(style)) = (interface, find(class::STYLE)) else {
                    return;
                };
                if let Ok(message) = message {
                    self.resv_errors(&message, interface, hop, code, value);
                    return;
                }
                // Nor does it name the flows.
                let writer = writer(MessageType::ResvErr)
                    .own_hop(interface)
                    .error_spec(interface.address, 0, code, value)
                    .raw(&whole(&style));
                (interface, writer)
            }
            _ => return,
        };
        let bytes = bytes.finish();
        self.send_error(session, interface, hop.address, bytes, Vec::new());
    }

    /// Whether there is a session for the same destination and protocol of which one has a port,
    /// and the other one has none.
    pub(super) fn has_other_ports(&self, session: Session) -> bool {
        let is_same = |other: &Session| {
            (other.address(), other.protocol()) == (session.address(), session.protocol())
        };
        let is_none = |session: &Session| session.port() == SessionPort::Port(0);
        match session.port() {
            // Sessions without a port are few.
            SessionPort::Port(0) => {
                !self.sessions.contains_key(&session)
                    && self
                        .sessions
                        .keys()
                        .any(|other| is_same(other) && !is_none(other))
            }
            SessionPort::Port(_) => {
                let without = Session::new(session.address(), session.protocol(), 0);
                without.is_some_and(|without| self.sessions.contains_key(&without))
            }
            SessionPort::Virtual(_) => false,
        }
    }

    /// Whether a session has a sender at the same address of which one has a port, and the other
    /// one has none.
    pub(super) fn has_other_sender_port(&self, session: Session, sender: &FilterSpec) -> bool {
        let Some(kept) = self.sessions.get(&session) else {
            return false;
        };
        let has_port = |other: &FilterSpec| {
            other.address() == sender.address()
                && matches!(other.selector(), SourceSelector::Port(1..))
        };
        !kept.paths.contains_key(sender)
            && match sender.selector() {
                // Senders without a port are few.
                SourceSelector::Port(0) => kept.paths.keys().any(has_port),
                SourceSelector::Port(_) => {
                    let without = FilterSpec::new(sender.address(), 0);
                    kept.paths.contains_key(&without)
                }
                _ => false,
            }
    }
}

/// A message without the objects in it that are not known. `None` if there are too many, or if it
/// is no message.
fn known_part(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut known = bytes.to_vec();
    for _ in 0..MAX_UNKNOWN {
        let mut index = ObjectIndex::new();
        let unknown = match Message::parse(&known, &mut index) {
            Ok(_) => return Some(known),
            Err(fault) if fault.error_code().is_some() => usize::from(fault.offset),
            // That is so since what is not known was left out.
            Err(_) => return (known.len() < bytes.len()).then_some(known),
        };
        let mut start = CommonHeader::LENGTH;
        for object in ObjectWalk::new(known.get(start..)?, 0) {
            let end = start + object.ok()?.body.len() + 4;
            if unknown < end {
                known.drain(start..end);
                break;
            }
            start = end;
        }
        known = finished(known)?;
    }
    None
}
