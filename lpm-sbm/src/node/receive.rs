//! Messages that come in, and the answers about them.

use std::time::Duration;

use lpm_api::Decision;
use lpm_rsvp::{
    FilterSpec, Message, MessageType, ObjectIndex, RsvpHop, Session, SessionPort, SourceSelector,
};

use super::output::{About, DropReason, News, Notice, Output, Packet, Question, Routes};
use super::waiting::{Asked, Channel, Held, Target};
use crate::node::Node;

impl<R: Routes> Node<R> {
    /// Takes in a datagram.
    pub fn receive(&mut self, now: Duration, packet: &Packet<'_>) {
        self.names.now = now;
        self.look_at(now, packet);
        self.acknowledge_all();
    }

    fn look_at(&mut self, now: Duration, packet: &Packet<'_>) {
        if let Err(reason) = self.take_in(now, packet) {
            self.dropped(packet, reason);
        }
    }

    fn take_in(&mut self, now: Duration, packet: &Packet<'_>) -> Result<(), DropReason> {
        if !self.interfaces.contains_key(&packet.interface) {
            return Err(DropReason::Interface);
        }
        let mut index = ObjectIndex::new();
        let message = match Message::parse(packet.bytes, &mut index) {
            Ok(message) => message,
            Err(fault) => {
                self.reject(packet, &fault);
                return Err(DropReason::Malformed);
            }
        };
        let message_type = message.message_type();
        if !message_type.needs_router_alert() && !self.is_own(packet.destination) {
            return Err(DropReason::NotForUs);
        }
        if message_type == MessageType::Bundle {
            for bytes in message.bundled() {
                let bytes = bytes.map_err(|_| DropReason::Malformed)?;
                let is_bundle = bytes.get(1) == Some(&MessageType::Bundle.number());
                // RFC 2961 §3.1: no bundle in a bundle.
                if is_bundle {
                    return Err(DropReason::Malformed);
                }
                self.look_at(now, &Packet { bytes, ..*packet });
            }
            return Ok(());
        }
        if message.hop().is_some_and(|hop| self.is_own(hop.address)) {
            return Err(DropReason::Loop);
        }
        self.acknowledged(now, packet, &message);
        let taken = match message_type {
            MessageType::Ack => return Ok(()),
            MessageType::Srefresh => self.summary_came(now, packet, &message),
            _ => self.of_session(now, packet, &message),
        };
        // That there is nothing left to tear down is an answer, too.
        if matches!(taken, Ok(()) | Err(DropReason::NoState)) {
            self.acknowledge(packet, &message);
        }
        taken
    }

    /// Takes in a message about a session.
    fn of_session(
        &mut self,
        now: Duration,
        packet: &Packet<'_>,
        message: &Message<'_>,
    ) -> Result<(), DropReason> {
        let session = message.session().ok_or(DropReason::Unsupported)?;
        check_ports(message, session)?;
        let channel = match message.message_type() {
            MessageType::Path | MessageType::PathTear => {
                Channel::Path(session.with_flags(0), sender_of(message)?)
            }
            MessageType::Resv | MessageType::ResvTear => {
                Channel::Resv(session.with_flags(0), hop_of(message)?.address)
            }
            MessageType::PathErr | MessageType::ResvErr => return self.error(packet, message),
            MessageType::ResvConf => return self.confirmation(packet, message),
            _ => return Err(DropReason::Unsupported),
        };
        if let Some(announced) = self.timers.too_long(message.time_values()) {
            self.outputs.push_back(Output::Bounded {
                interface: packet.interface,
                source: packet.source,
                announced,
            });
        }
        match self.waiting.line_up(channel, packet) {
            Some(true) => Ok(()),
            Some(false) => Err(DropReason::Busy),
            None => self.turn(now, channel, packet, message),
        }
    }

    /// It is the turn of a message of a channel.
    fn turn(
        &mut self,
        now: Duration,
        channel: Channel,
        packet: &Packet<'_>,
        message: &Message<'_>,
    ) -> Result<(), DropReason> {
        match message.message_type() {
            MessageType::Path => self.path(now, channel, packet, message),
            MessageType::PathTear => self.path_tear(now, packet, message),
            MessageType::Resv => self.resv_came(now, channel, packet, message),
            _ => self.resv_tear(now, packet, message),
        }
    }

    /// Goes on with the messages of a channel.
    pub(super) fn go_on(&mut self, now: Duration, channel: Channel) {
        while let Some(held) = self.waiting.next(channel) {
            let packet = held.packet();
            let mut index = ObjectIndex::new();
            // It was parsed before.
            let Ok(message) = Message::parse(packet.bytes, &mut index) else {
                continue;
            };
            if let Err(reason) = self.turn(now, channel, &packet, &message) {
                self.dropped(&packet, reason);
            }
        }
    }

    /// Asks whether a message is granted; messages of its channel wait.
    pub(super) fn ask(
        &mut self,
        channel: Option<Channel>,
        packet: &Packet<'_>,
        session: Session,
        interface: lpm_api::Interface,
    ) -> Result<(), DropReason> {
        if !self.waiting.has_room() {
            return Err(DropReason::Busy);
        }
        if let Some(channel) = channel {
            self.waiting.open(channel);
        }
        let id = self.number();
        self.waiting.ask(id, Asked::Received(Held::from(packet)));
        self.outputs.push_back(Output::Ask(Question {
            id,
            session: session.with_flags(0),
            about: About::Received {
                bytes: packet.bytes.to_vec(),
                interface,
                received: packet.received,
                integrity_verified: packet.integrity_verified,
            },
        }));
        Ok(())
    }

    /// The LPMs have decided: one decision for each flow descriptor of the message. Whatever they
    /// do not grant they have been told to forget.
    pub fn decided(&mut self, now: Duration, id: u64, decisions: &[Decision]) {
        self.names.now = now;
        let Some(Asked::Received(held)) = self.waiting.answered(id) else {
            return;
        };
        let packet = held.packet();
        let mut index = ObjectIndex::new();
        let Ok(message) = Message::parse(packet.bytes, &mut index) else {
            return;
        };
        let Some(session) = message.session() else {
            return;
        };
        let session = session.with_flags(0);
        match message.message_type() {
            MessageType::Path => {
                let decision = decisions.first().copied().unwrap_or(Decision::DontCare);
                if let Some(sender) = message.sender_template() {
                    self.path_decided(now, &packet, &message, decision);
                    let channel = Channel::Path(session, sender);
                    self.close(now, channel);
                }
            }
            MessageType::Resv => {
                if let Some(hop) = message.hop() {
                    let channel = Channel::Resv(session, hop.address);
                    self.resv_decided(now, channel, &packet, &message, decisions);
                    self.close(now, channel);
                }
            }
            _ => self.error_decided(now, &packet, &message, decisions),
        }
    }

    /// The LPMs have said what goes into a message: POLICY_DATA objects, or `None` if it does not
    /// go out.
    pub fn supplied(&mut self, now: Duration, id: u64, objects: Option<Vec<u8>>) {
        self.names.now = now;
        let Some(Asked::Outgoing(target)) = self.waiting.answered(id) else {
            return;
        };
        match target {
            Target::Path(session, sender, version) => {
                self.path_supplied(now, session, sender, version, objects);
            }
            Target::Upstream(session, neighbour, version, confirm) => {
                self.upstream_supplied(now, session, neighbour, version, confirm, objects);
            }
            Target::Error(session, datagram, received) => {
                self.error_supplied(session, datagram, &received, objects);
            }
        }
    }

    /// Asks what goes into a message.
    pub(super) fn ask_outgoing(
        &mut self,
        session: Session,
        bytes: Vec<u8>,
        interface: lpm_api::Interface,
        target: Target,
    ) {
        let id = self.number();
        self.waiting.ask(id, Asked::Outgoing(target));
        let room =
            u32::from(u16::MAX).saturating_sub(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.outputs.push_back(Output::Ask(Question {
            id,
            session,
            about: About::Outgoing {
                bytes,
                interface,
                room,
            },
        }));
    }

    /// Tells the LPMs of a teardown that came in.
    pub(super) fn tell_torn(
        &mut self,
        session: Session,
        packet: &Packet<'_>,
        interface: lpm_api::Interface,
    ) {
        self.outputs.push_back(Output::Tell(Notice {
            session,
            bytes: packet.bytes.to_vec(),
            interface,
            news: News::Torn {
                received: packet.received,
            },
        }));
    }
}

/// The session that a message has to name, as state is found by it.
pub(super) fn session_of(message: &Message<'_>) -> Result<Session, DropReason> {
    let session = message.session().ok_or(DropReason::Malformed)?;
    Ok(session.with_flags(0))
}

/// The hop that a message has to come from.
pub(super) fn hop_of(message: &Message<'_>) -> Result<RsvpHop, DropReason> {
    message.hop().ok_or(DropReason::Malformed)
}

/// The sender that a message has to be about.
pub(super) fn sender_of(message: &Message<'_>) -> Result<FilterSpec, DropReason> {
    message.sender_template().ok_or(DropReason::Malformed)
}

/// Where the destination has no port the senders have none (RFC 2205 §3.2).
fn check_ports(message: &Message<'_>, session: Session) -> Result<(), DropReason> {
    if session.port() != SessionPort::Port(0) {
        return Ok(());
    }
    let mut senders = message.flow_descriptors().flat_map(|flow| flow.filters());
    let has_port = senders.any(|sender| !matches!(sender.selector(), SourceSelector::Port(0)));
    if has_port {
        Err(DropReason::Ports)
    } else {
        Ok(())
    }
}
