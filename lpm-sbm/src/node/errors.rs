//! Error messages and confirmations: those that this node makes, and those that it passes on (RFC
//! 2209: PERR, RERR and RESV CONFIRM ARRIVES).

use std::net::IpAddr;
use std::time::Duration;

use lpm_api::{Decision, FlowKey, Interface};
use lpm_rsvp::build::refusal;
use lpm_rsvp::{
    FilterSpec, Message, MessageType, ObjectIndex, ResvStyle, RsvpHop, ServiceRequest, Session,
    class,
};

use super::deadlines::{Due, Neighbour};
use super::merge::{BySender, is_greater};
use super::output::{Datagram, DropReason, Output, Packet, Route, Routes, TTL};
use super::policy::{combined, objects_of, with_policy};
use super::receive::session_of;
use super::said::is_between_neighbours;
use super::state::{Blockade, PathState};
use super::waiting::Target;
use super::wire::{Writer, finished, object};
use crate::node::Node;

/// Admission control failure (RFC 2205, appendix B).
const ADMISSION_CONTROL: u8 = 1;

impl<R: Routes> Node<R> {
    /// Tells the previous hop of a Path that it is refused.
    pub(super) fn path_error(
        &mut self,
        said: &[u8],
        interface: Interface,
        hop: RsvpHop,
        code: u16,
        value: u16,
    ) {
        let mut index = ObjectIndex::new();
        let Ok(message) = Message::parse(said, &mut index) else {
            return;
        };
        let Some(session) = message.session() else {
            return;
        };
        let bytes = refusal(&message, 0, own_hop(interface), code, value, 0).and_then(finished);
        self.send_error(session, interface, hop.address, bytes, Vec::new());
    }

    /// Tells the next hop of each flow of a Resv that it is refused.
    pub(super) fn resv_errors(
        &mut self,
        message: &Message<'_>,
        interface: Interface,
        hop: RsvpHop,
        code: u16,
        value: u16,
    ) {
        let Some(session) = message.session() else {
            return;
        };
        for flow in 0..message.flow_descriptors().count() {
            let bytes = refusal(message, flow, own_hop(interface), code, value, 0);
            let bytes = bytes.and_then(finished);
            self.send_error(session, interface, hop.address, bytes, Vec::new());
        }
    }

    /// Tells the next hop of a flow that it is refused.
    pub(super) fn resv_error(
        &mut self,
        said: &[u8],
        interface: Interface,
        hop: RsvpHop,
        flags: u8,
        code: u16,
        value: u16,
    ) {
        let mut index = ObjectIndex::new();
        let Ok(message) = Message::parse(said, &mut index) else {
            return;
        };
        let Some(session) = message.session() else {
            return;
        };
        let bytes = refusal(&message, 0, own_hop(interface), code, value, flags);
        let bytes = bytes.and_then(finished);
        self.send_error(session, interface, hop.address, bytes, Vec::new());
    }

    /// Sends an error message with what the LPMs put into it.
    pub(super) fn send_error(
        &mut self,
        session: Session,
        interface: Interface,
        to: IpAddr,
        bytes: Option<Vec<u8>>,
        received: Vec<Vec<u8>>,
    ) {
        let Some(bytes) = bytes else {
            return;
        };
        // Whoever floods this node with what is refused is not answered without end.
        if !self.waiting.has_room() {
            self.outputs.push_back(Output::Dropped {
                interface: interface.index,
                source: to,
                reason: DropReason::Busy,
            });
            return;
        }
        let session = session.with_flags(0);
        let datagram = Datagram::to_neighbour(interface, to, bytes.clone());
        let target = Target::Error(session, datagram, received);
        self.ask_outgoing(session, bytes, interface, target);
    }

    /// The LPMs have said what goes into an error message.
    pub(super) fn error_supplied(
        &mut self,
        session: Session,
        datagram: Datagram,
        received: &[Vec<u8>],
        objects: Option<Vec<u8>>,
    ) {
        let Some(objects) = objects else {
            return;
        };
        let policy = combined(&objects, received);
        if let Some(bytes) = with_policy(&datagram.bytes, &policy) {
            let to = Neighbour {
                address: datagram.destination,
                interface: datagram.interface,
            };
            self.send_once(session, Some(to), Datagram { bytes, ..datagram });
        }
    }

    /// Confirms a reservation to a receiver who asked for that.
    pub(super) fn confirm(&mut self, flow: &FlowKey, receiver: IpAddr) {
        let Some(resv) = self.resv(flow) else {
            return;
        };
        let (said, interface) = (resv.said.clone(), resv.interface);
        let mut index = ObjectIndex::new();
        let Ok(message) = Message::parse(&said, &mut index) else {
            return;
        };
        let writer = Writer::new(MessageType::ResvConf, TTL)
            .copy(&message, class::SESSION)
            .error_spec(interface.address, 0, 0, 0)
            .resv_confirm(receiver);
        if let Some(bytes) = flow_of(writer, &message).finish() {
            self.send(Datagram {
                interface: interface.index,
                source: interface.address,
                destination: receiver,
                ttl: TTL,
                router_alert: true,
                bytes,
            });
        }
    }

    /// A ResvConf came in: it goes on to its receiver.
    pub(super) fn confirmation(
        &mut self,
        packet: &Packet<'_>,
        message: &Message<'_>,
    ) -> Result<(), DropReason> {
        let confirm = message.resv_confirm().ok_or(DropReason::Malformed)?;
        if self.is_own(confirm.receiver) {
            return Ok(());
        }
        let ttl = packet.ttl.checked_sub(1).filter(|ttl| *ttl > 0);
        let ttl = ttl.ok_or(DropReason::TtlExhausted)?;
        let Some(Route::Out(interface)) = self.routes.route(confirm.receiver, packet.source) else {
            return Err(DropReason::NoState);
        };
        let mut bytes = passed_on(message);
        if let Some(send_ttl) = bytes.get_mut(4) {
            *send_ttl = ttl;
        }
        let bytes = finished(bytes).ok_or(DropReason::Malformed)?;
        self.send(Datagram {
            interface,
            source: packet.source,
            destination: confirm.receiver,
            ttl,
            router_alert: true,
            bytes,
        });
        Ok(())
    }

    /// A PathErr or a ResvErr came in: LPMs are asked whether it goes on.
    pub(super) fn error(
        &mut self,
        packet: &Packet<'_>,
        message: &Message<'_>,
    ) -> Result<(), DropReason> {
        let session = session_of(message)?;
        let kept = self.sessions.get(&session).ok_or(DropReason::NoState)?;
        let is_about_nothing = match message.message_type() {
            MessageType::PathErr => {
                let sender = message.sender_template();
                !sender.is_some_and(|sender| kept.paths.contains_key(&sender))
            }
            _ => kept.resvs.is_empty(),
        };
        if is_about_nothing {
            return Err(DropReason::NoState);
        }
        let interface = self.interface(packet.interface, session.address());
        let interface = interface.ok_or(DropReason::Interface)?;
        self.ask(None, packet, session, interface)
    }

    /// LPMs have decided on an error message. It goes on unless they drop it: it is no request that
    /// could be refused.
    pub(super) fn error_decided(
        &mut self,
        now: Duration,
        packet: &Packet<'_>,
        message: &Message<'_>,
        decisions: &[Decision],
    ) {
        if decisions.contains(&Decision::DropMessage) {
            return;
        }
        match message.message_type() {
            MessageType::PathErr => self.pass_path_error(message),
            _ => self.pass_resv_error(now, packet, message),
        }
    }

    fn pass_path_error(&mut self, message: &Message<'_>) {
        let (Some(session), Some(sender)) = (message.session(), message.sender_template()) else {
            return;
        };
        let kept = self.sessions.get(&session.with_flags(0));
        let Some(path) = kept.and_then(|kept| kept.paths.get(&sender)) else {
            return;
        };
        let (interface, hop) = (path.interface, path.hop);
        let mut writer = Writer::new(MessageType::PathErr, TTL);
        for entry in message.entries() {
            if entry.class != class::POLICY_DATA && !is_between_neighbours(entry.class) {
                writer = writer.raw(object(message, entry));
            }
        }
        let received = objects_of(message);
        self.send_error(session, interface, hop.address, writer.finish(), received);
    }

    fn pass_resv_error(&mut self, now: Duration, packet: &Packet<'_>, message: &Message<'_>) {
        let (Some(session), Some(error), Some(hop)) =
            (message.session(), message.error_spec(), message.hop())
        else {
            return;
        };
        let session = session.with_flags(0);
        let Some(descriptor) = message.flow_descriptors().next() else {
            return;
        };
        let service = descriptor.flow_spec().and_then(|spec| spec.service().ok());
        let senders: Vec<FilterSpec> = descriptor.filters().collect();
        let is_admission = error.code == ADMISSION_CONTROL;
        if let Some(service) = service.filter(|_| is_admission) {
            self.blockade(now, session, hop.address, &senders, service);
        }
        let is_in_place = error.flags & lpm_rsvp::ErrorSpec::IN_PLACE != 0;
        let Some(kept) = self.sessions.get(&session) else {
            return;
        };
        let is_concerned = |own: &[FilterSpec]| {
            let any = senders.is_empty() || own.is_empty();
            any || own.iter().any(|sender| senders.contains(sender))
        };
        let is_guilty = |own: &ServiceRequest| {
            let is_lesser = service.is_some_and(|failed| is_greater(&failed, own));
            !(is_admission && is_in_place && is_lesser)
        };
        let concerned = kept.resvs.values().filter(|resv| {
            resv.interface.index != packet.interface
                && is_concerned(&resv.senders)
                && is_guilty(&resv.service)
        });
        let concerned: Vec<_> = concerned
            .map(|resv| {
                (
                    resv.interface,
                    resv.hop,
                    self.scope_out(session, message, resv.interface),
                )
            })
            .collect();
        for (interface, next_hop, scope) in concerned {
            let is_wildcard = message.style() == Some(ResvStyle::WildcardFilter);
            if is_wildcard && message.scope().is_some() && scope.is_empty() {
                continue;
            }
            let writer = Writer::new(MessageType::ResvErr, TTL)
                .copy(message, class::SESSION)
                .own_hop(interface)
                .copy(message, class::ERROR_SPEC)
                .scope(&scope);
            let bytes = flow_of(writer, message).finish();
            let received = objects_of(message);
            self.send_error(session, interface, next_hop.address, bytes, received);
        }
    }

    /// The senders in the SCOPE of a message whose data goes out by this interface.
    fn scope_out(
        &self,
        session: Session,
        message: &Message<'_>,
        interface: Interface,
    ) -> Vec<IpAddr> {
        let Some((scope, kept)) = message.scope().zip(self.sessions.get(&session)) else {
            return Vec::new();
        };
        let own: Vec<_> = kept
            .senders_by(interface.index)
            .map(FilterSpec::address)
            .collect();
        let mut out: Vec<_> = scope
            .addresses()
            .filter(|address| own.contains(address))
            .collect();
        out.sort_unstable();
        out
    }

    /// A request failed upstream: until it is forgotten, what is not less than it is left out of
    /// what is asked there (RFC 2205 §3.5).
    fn blockade(
        &mut self,
        now: Duration,
        session: Session,
        previous_hop: IpAddr,
        senders: &[FilterSpec],
        service: ServiceRequest,
    ) {
        let until = now + self.config.refresh * self.config.blockade_periods;
        // To the second, so that a flood of these leaves few times to look.
        let until = Duration::from_secs(until.as_secs() + u64::from(until.subsec_nanos() > 0));
        let Some(kept) = self.sessions.get_mut(&session) else {
            return;
        };
        let is_from = |path: &PathState| path.hop.address == previous_hop;
        // Only what is asked of this previous hop can have failed there.
        let mut failed: Vec<_> = match senders {
            [] => {
                let is_asked = kept.paths.values().any(is_from);
                is_asked.then_some(None).into_iter().collect()
            }
            senders => {
                let is_asked = |sender: &&FilterSpec| kept.paths.get(sender).is_some_and(is_from);
                senders.iter().filter(is_asked).copied().map(Some).collect()
            }
        };
        if failed.is_empty() {
            return;
        }
        failed.sort_unstable();
        failed.dedup();
        kept.blockades.retain(|old| {
            let is_replaced =
                old.previous_hop == previous_hop && failed.binary_search(&old.sender).is_ok();
            old.until > now && !is_replaced
        });
        kept.blockades
            .extend(failed.into_iter().map(|sender| Blockade {
                sender,
                previous_hop,
                service,
                until,
            }));
        self.deadlines.add(until, Due::Blockade(session));
        if !self.is_all_blockaded(now, session, previous_hop) {
            self.update_upstream(now, session, true);
        }
    }

    /// Whether nothing would be left to ask a previous hop for.
    fn is_all_blockaded(&self, now: Duration, session: Session, previous_hop: IpAddr) -> bool {
        let Some(kept) = self.sessions.get(&session) else {
            return true;
        };
        let all = BySender::new(kept, now, |_| true);
        all.is_all_blockaded(kept.paths.iter(), previous_hop)
    }
}

/// This node as the hop of what goes out by an interface.
fn own_hop(interface: Interface) -> RsvpHop {
    RsvpHop {
        address: interface.address,
        logical_interface: interface.index,
    }
}

/// The style and the flow descriptors of a message.
fn flow_of(writer: Writer, message: &Message<'_>) -> Writer {
    let flows = message.entries().iter().filter(|entry| {
        matches!(
            entry.class,
            class::STYLE | class::FLOWSPEC | class::FILTER_SPEC
        )
    });
    flows.fold(writer, |writer, entry| writer.raw(object(message, entry)))
}

/// The bytes of a message without what is between neighbours.
fn passed_on(message: &Message<'_>) -> Vec<u8> {
    let header = message.bytes().get(..8).unwrap_or_default();
    let objects = message.entries().iter();
    let kept = objects.filter(|entry| !is_between_neighbours(entry.class));
    kept.fold(header.to_vec(), |mut bytes, entry| {
        bytes.extend_from_slice(object(message, entry));
        bytes
    })
}
