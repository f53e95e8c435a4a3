//! Messages that a neighbour acknowledges, and refreshes that name messages instead of repeating
//! them (RFC 2961).
//!
//! Every message of this node says that it knows all of that. A neighbour that says so, too, gets
//! MESSAGE_IDs in what goes to it, and each such message again until it acknowledges it. State that
//! it has acknowledged is refreshed by Srefresh from then on, all of it at once. What it does not
//! know of (a MESSAGE_ID_NACK) it gets in full.

use std::time::Duration;

use lpm_api::Direction;
use lpm_rsvp::build::{Srefresh, Targets};
use lpm_rsvp::{
    FilterSpec, Message, MessageId, MessageIdAck, MessageIdList, MessageType, Session, class,
};

use super::deadlines::{Due, Neighbour};
use super::names::{Named, Owner, Unacknowledged};
use super::output::{Datagram, DropReason, Packet, Route, Routes, TTL};
use super::wire::{CAPABLE, Writer, finished, with_message_id};
use crate::message_ids::StateId;
use crate::node::{Node, time};

/// Rf of RFC 2961 §6.2: after how long a message that is not acknowledged is sent again. Twice as
/// long each time.
const RETRY: Duration = Duration::from_millis(500);
/// Rl: how often it is sent at most.
const TIMES: u32 = 3;
/// How many names go into one message, so that it needs no fragments.
const NAMES: usize = 300;
/// How many acknowledgements do.
const ACKNOWLEDGEMENTS: usize = 100;

impl<R: Routes> Node<R> {
    /// Sends what stands for state; nothing where a Srefresh does. The name of the message, if the
    /// neighbour takes such.
    #[must_use]
    pub(super) fn send_state(
        &mut self,
        datagram: Datagram,
        owner: Owner,
        to: Option<Neighbour>,
        name: Option<u32>,
    ) -> Option<u32> {
        let Some(to) = to else {
            self.names.forget(name);
            self.send(datagram);
            return None;
        };
        if self.names.is_acknowledged(name, to) {
            return name;
        }
        let name = name.unwrap_or_else(|| self.names.name());
        let acknowledged = None;
        let named = Named {
            owner,
            acknowledged,
        };
        let old = self.names.named.insert(name, named);
        if let Some(by) = old.and_then(|old| old.acknowledged) {
            self.names.leave_out(by, name);
        }
        self.send_named(&datagram, name);
        Some(name)
    }

    /// Sends a message that stands for no state, to a neighbour of a session.
    pub(super) fn send_once(
        &mut self,
        session: Session,
        to: Option<Neighbour>,
        datagram: Datagram,
    ) {
        let is_capable = to.is_some_and(|to| self.is_capable(session, to));
        if is_capable && self.names.waiting.len() < self.config.max_waiting {
            let name = self.names.name();
            self.send_named(&datagram, name);
        } else {
            self.send(datagram);
        }
    }

    fn send_named(&mut self, datagram: &Datagram, name: u32) {
        let id = MessageId {
            flags: MessageId::ACK_DESIRED,
            epoch: self.names.epoch,
            identifier: name,
        };
        let Some(bytes) = with_message_id(&datagram.bytes, &id) else {
            self.send(datagram.clone());
            return;
        };
        let datagram = Datagram {
            bytes,
            ..datagram.clone()
        };
        self.send(datagram.clone());
        let again = self.names.now + RETRY;
        let unacknowledged = Unacknowledged {
            datagram,
            times: 1,
            again,
        };
        self.names.waiting.insert(name, unacknowledged);
        self.deadlines.add(again, Due::Retry(name));
    }

    /// Sends a message again that was not acknowledged.
    pub(super) fn retry(&mut self, time: Duration, name: u32) {
        let Some(message) = self.names.waiting.get_mut(&name) else {
            return;
        };
        if message.again != time {
            return;
        }
        if message.times == TIMES {
            self.names.waiting.remove(&name);
            return;
        }
        message.again = time + RETRY * 2_u32.saturating_pow(message.times);
        message.times += 1;
        let (again, datagram) = (message.again, message.datagram.clone());
        self.deadlines.add(again, Due::Retry(name));
        self.send(datagram);
    }

    /// Whether a neighbour says that it takes MESSAGE_IDs.
    fn is_capable(&self, session: Session, neighbour: Neighbour) -> bool {
        let Some(kept) = self.sessions.get(&session) else {
            return false;
        };
        let mut paths = kept.paths.values();
        let mut resvs = kept.resvs.values();
        paths.any(|path| path.is_capable && path.previous_hop() == neighbour)
            || resvs.any(|resv| resv.is_capable && resv.next_hop() == neighbour)
    }

    /// The previous hop, if it takes MESSAGE_IDs. By this sender's Path, which came from there, or
    /// by all that came: a session may have thousands.
    pub(super) fn capable(
        &self,
        session: Session,
        hop: Neighbour,
        sender: Option<&FilterSpec>,
    ) -> Option<Neighbour> {
        let kept = self.sessions.get(&session)?;
        let path = sender.and_then(|sender| kept.paths.get(sender));
        let is_capable = match path.filter(|path| path.previous_hop() == hop) {
            Some(path) => path.is_capable,
            None => self.is_capable(session, hop),
        };
        is_capable.then_some(hop)
    }

    /// The next hop of a sender's data, if it is the only one there, and takes MESSAGE_IDs.
    pub(super) fn next_hop(&self, session: Session, sender: &FilterSpec) -> Option<Neighbour> {
        let kept = self.sessions.get(&session)?;
        let Some(Route::Out(out)) = kept.paths.get(sender)?.route else {
            return None;
        };
        if session.address().is_multicast() {
            return None;
        }
        let resvs = kept.resvs.values();
        let mut resvs = resvs.filter(|resv| resv.interface.index == out).peekable();
        let first = resvs.peek()?.next_hop();
        resvs
            .all(|resv| resv.is_capable && resv.next_hop() == first)
            .then_some(first)
    }

    /// A message came in whole: it is acknowledged if that is wanted.
    pub(super) fn acknowledge(&mut self, packet: &Packet<'_>, message: &Message<'_>) {
        let id = message.find(class::MESSAGE_ID);
        let id = id.and_then(|object| object.read::<MessageId>().ok());
        if let Some(id) = id.filter(|id| id.flags & MessageId::ACK_DESIRED != 0) {
            self.owe(packet, message, id, false);
        }
    }

    /// A MESSAGE_ID of a message is to be acknowledged, or is not known.
    fn owe(&mut self, packet: &Packet<'_>, message: &Message<'_>, id: MessageId, negative: bool) {
        let ack = MessageIdAck {
            negative,
            message: MessageId { flags: 0, ..id },
        };
        self.names.owed.push((from(packet, message), ack));
    }

    /// Sends the acknowledgements that are due.
    pub(super) fn acknowledge_all(&mut self) {
        let mut owed = std::mem::take(&mut self.names.owed);
        owed.sort_by_key(|(neighbour, _)| *neighbour);
        for acks in owed.chunk_by(|(one, _), (other, _)| one == other) {
            for acks in acks.chunks(ACKNOWLEDGEMENTS) {
                let writer = Writer::new(MessageType::Ack, TTL);
                let writer = acks
                    .iter()
                    .fold(writer, |writer, (_, ack)| writer.acknowledge(ack));
                let to = acks.first().map(|(neighbour, _)| *neighbour);
                self.send_to(to, writer.finish());
            }
        }
    }

    fn send_to(&mut self, to: Option<Neighbour>, bytes: Option<Vec<u8>>) {
        let Some((to, bytes)) = to.zip(bytes) else {
            return;
        };
        if let Some(own) = self.interface(to.interface, to.address) {
            self.send(Datagram::to_neighbour(own, to.address, bytes));
        }
    }

    /// What a neighbour says of messages of this node.
    pub(super) fn acknowledged(
        &mut self,
        now: Duration,
        packet: &Packet<'_>,
        message: &Message<'_>,
    ) {
        let from = Neighbour {
            address: packet.source,
            interface: packet.interface,
        };
        let acks = message.objects();
        for ack in acks.filter_map(|object| object.read::<MessageIdAck>().ok()) {
            if ack.message.epoch == self.names.epoch {
                self.one_acknowledged(now, from, ack.message.identifier, ack.negative);
            }
        }
    }

    fn one_acknowledged(&mut self, now: Duration, from: Neighbour, name: u32, is_negative: bool) {
        let owner = self.names.named.get(&name).map(|named| named.owner);
        let expected = match owner {
            Some(Owner::Path(session, sender)) => self.next_hop(session, &sender),
            Some(Owner::Upstream(_, hop)) => Some(hop),
            None => {
                let waiting = self.names.waiting.get(&name);
                let is_from = waiting.is_some_and(|message| {
                    message.datagram.destination == from.address || message.datagram.router_alert
                });
                if is_from && !is_negative {
                    self.names.waiting.remove(&name);
                }
                return;
            }
        };
        if expected != Some(from) {
            return;
        }
        let is_known = self.names.is_acknowledged(Some(name), from);
        let Some(named) = self.names.named.get_mut(&name) else {
            return;
        };
        if is_negative {
            if is_known {
                named.acknowledged = None;
                let owner = named.owner;
                self.names.leave_out(from, name);
                self.send_again(now, owner);
            }
            return;
        }
        named.acknowledged = Some(from);
        self.names.waiting.remove(&name);
        let is_first = !self.names.summaries.contains_key(&from);
        let names = self.names.summaries.entry(from).or_default();
        names.insert(name);
        if is_first {
            let at = self.next_refresh(now);
            self.deadlines.add(at, Due::Summary(from));
        }
    }

    /// Sends in full what stands for state.
    fn send_again(&mut self, now: Duration, owner: Owner) {
        match owner {
            Owner::Path(session, sender) => self.refresh_path(now, session, sender),
            Owner::Upstream(session, hop) => self.refresh_upstream(now, session, hop),
        }
    }

    /// Refreshes all that a neighbour has acknowledged.
    pub(super) fn summarize(&mut self, now: Duration, to: Neighbour) {
        let names = self.names.summaries.get(&to);
        let names: Vec<u32> = names.into_iter().flatten().copied().collect();
        if names.is_empty() {
            self.names.summaries.remove(&to);
            return;
        }
        for names in names.chunks(NAMES) {
            let list = Targets::List(names.to_vec());
            let built = Srefresh::new(self.names.epoch, list).build();
            self.send_to(Some(to), built.ok().and_then(finished));
        }
        let at = self.next_refresh(now);
        self.deadlines.add(at, Due::Summary(to));
    }

    /// A Srefresh came in: the state that it names lives on, and what is not there is said.
    pub(super) fn summary_came(
        &mut self,
        now: Duration,
        packet: &Packet<'_>,
        message: &Message<'_>,
    ) -> Result<(), DropReason> {
        for object in message.objects() {
            if object.class != class::MESSAGE_ID_LIST {
                continue;
            }
            let list: MessageIdList<'_> = object.read().map_err(|_| DropReason::Malformed)?;
            for entry in list.entries() {
                let id = StateId {
                    generator: packet.source,
                    epoch: list.epoch(),
                    identifier: entry.identifier,
                };
                let flows = self.message_ids.flows(&id, &entry);
                // Of what is sent to groups only those that would forward it say so, and this node
                // does not.
                if flows.is_empty() && list.c_type() == 1 {
                    let id = MessageId {
                        flags: 0,
                        epoch: id.epoch,
                        identifier: id.identifier,
                    };
                    self.owe(packet, message, id, true);
                }
                for flow in flows {
                    match (flow.direction(), flow.sender()) {
                        (Direction::Sends, Some(sender)) => {
                            let session = flow.session();
                            if let Some(path) = self.path_of(session, &sender) {
                                path.life.refresh(time(now));
                            }
                        }
                        _ => {
                            if let Some(resv) = self.resv(&flow) {
                                resv.life.refresh(time(now));
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// Who made a message.
fn from(packet: &Packet<'_>, message: &Message<'_>) -> Neighbour {
    Neighbour {
        address: message.hop().map_or(packet.source, |hop| hop.address),
        interface: packet.interface,
    }
}

/// Whether a message came straight from a neighbour that knows of MESSAGE_IDs.
pub(super) fn is_from_capable(packet: &Packet<'_>, message: &Message<'_>) -> bool {
    let header = message.header();
    header.flags & CAPABLE != 0 && header.send_ttl == packet.ttl
}

/// Whether a message with this MESSAGE_ID comes later than one that was sent after it.
pub(super) fn is_out_of_order(kept: Option<StateId>, new: Option<StateId>) -> bool {
    let Some((kept, new)) = kept.zip(new) else {
        return false;
    };
    let is_of_one = (kept.generator, kept.epoch) == (new.generator, new.epoch);
    // Identifiers wrap.
    let ahead = kept.identifier.wrapping_sub(new.identifier);
    is_of_one && ahead != 0 && ahead < 1 << 31
}
