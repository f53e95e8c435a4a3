//! Reservation state (RFC 2209: RESV and RTEAR MESSAGE ARRIVES).

use std::net::IpAddr;
use std::time::Duration;

use lpm_api::{Decision, DeleteReason, FlowKey, Interface};
use lpm_rsvp::{FilterSpec, FlowDescriptor, Message, MessageType, ResvStyle, RsvpHop, Session};

use super::deadlines::Due;
use super::output::{DropReason, Packet, Routes, Ruling};
use super::receive::{hop_of, session_of};
use super::reject::{CONFLICTING_DESTINATION_PORTS, UNKNOWN_STYLE};
use super::reliable::{is_from_capable, is_out_of_order};
use super::said::{Shared, said_with};
use super::state::ResvState;
use super::waiting::Channel;
use crate::message_ids::StateId;
use crate::node::{Node, end, time};
use crate::refusal::Refusal;
use crate::reservations::Request;
use crate::state::Senders;

/// Error codes of RFC 2205, appendix B, that are no refusals of what policy has accepted.
const NO_PATH: u16 = 3;
const NO_SENDER: u16 = 4;
const CONFLICTING_STYLE: u16 = 5;

impl<R: Routes> Node<R> {
    pub(super) fn resv_came(
        &mut self,
        now: Duration,
        channel: Channel,
        packet: &Packet<'_>,
        message: &Message<'_>,
    ) -> Result<(), DropReason> {
        let session = session_of(message)?;
        let hop = hop_of(message)?;
        let interface = self.outgoing_interface(packet, hop, session)?;
        let style = message.style().ok_or(DropReason::Malformed)?;
        if let ResvStyle::Unknown(_) = style {
            self.resv_error(packet.bytes, interface, hop, 0, UNKNOWN_STYLE, 0);
            return Ok(());
        }
        let kept = self.sessions.get(&session);
        let Some(kept) = kept.filter(|kept| !kept.paths.is_empty()) else {
            let code = match self.has_other_ports(session) {
                true => CONFLICTING_DESTINATION_PORTS,
                false => NO_PATH,
            };
            self.resv_errors(message, interface, hop, code, 0);
            return Ok(());
        };
        let id = StateId::of(message);
        let mut flows = message.flow_descriptors();
        let is_late = flows.any(|descriptor| {
            let flow = FlowKey::of(message, &descriptor);
            let resv = flow.and_then(|flow| kept.resvs.get(&flow));
            resv.is_some_and(|resv| is_out_of_order(resv.id.get(), id))
        });
        if is_late {
            return Err(DropReason::OutOfOrder);
        }
        let other = kept.resvs.values().find(|resv| resv.style != style);
        if let Some(other) = other.map(|resv| resv.style) {
            let value = u16::try_from(other.option_vector()).unwrap_or_default();
            self.resv_errors(message, interface, hop, CONFLICTING_STYLE, value);
            return Ok(());
        }
        if message.resv_confirm().is_none() && self.is_refresh(message, interface) {
            for descriptor in message.flow_descriptors() {
                self.refresh_resv(now, (packet, message, id), &descriptor);
            }
            return Ok(());
        }
        self.ask(Some(channel), packet, session, interface)
    }

    /// The interface that a Resv asks for resources on: what this node called it in its Path.
    pub(super) fn outgoing_interface(
        &self,
        packet: &Packet<'_>,
        hop: RsvpHop,
        session: Session,
    ) -> Result<Interface, DropReason> {
        let index = match hop.logical_interface {
            0 => packet.interface,
            index => index,
        };
        let interface = self.interface(index, session.address());
        interface.ok_or(DropReason::LogicalInterface)
    }

    /// Whether a message says only what is kept.
    fn is_refresh(&self, message: &Message<'_>, interface: Interface) -> bool {
        let session = message.session().map(|session| session.with_flags(0));
        let Some(kept) = session.and_then(|session| self.sessions.get(&session)) else {
            return false;
        };
        // In ascending order.
        let senders: Vec<_> = kept.senders_by(interface.index).copied().collect();
        let shared = Shared::of(message);
        message.flow_descriptors().all(|descriptor| {
            let Some(flow) = FlowKey::of(message, &descriptor) else {
                return false;
            };
            let is_there = |sender: &FilterSpec| senders.binary_search(sender).is_ok();
            let resv = kept.resvs.get(&flow);
            resv.is_some_and(|resv| {
                resv.interface == interface
                    && resv.said == said_with(message, &shared, &descriptor, is_there)
            })
        })
    }

    fn refresh_resv(
        &mut self,
        now: Duration,
        (packet, message, id): (&Packet<'_>, &Message<'_>, Option<StateId>),
        descriptor: &FlowDescriptor<'_>,
    ) {
        let timers = self.timers;
        let Some(flow) = FlowKey::of(message, descriptor) else {
            return;
        };
        if let Some(resv) = self.resv(&flow) {
            let old = resv.id.replace(id);
            resv.is_capable = is_from_capable(packet, message);
            resv.life = timers
                .start(message.time_values(), time(now))
                .continuing(resv.life);
            let is_sooner = end(resv.life) < resv.look;
            self.message_ids.change(&flow, old, id);
            if is_sooner {
                self.look_at_resv(flow);
            }
        }
    }

    /// Sets when a reservation is looked at.
    pub(super) fn look_at_resv(&mut self, flow: FlowKey) {
        if let Some(resv) = self.resv(&flow) {
            let (old, new) = (resv.look, end(resv.life));
            resv.look = new;
            self.deadlines.remove(old, Due::Resv(flow));
            self.deadlines.add(new, Due::Resv(flow));
        }
    }

    pub(super) fn resv_decided(
        &mut self,
        now: Duration,
        channel: Channel,
        packet: &Packet<'_>,
        message: &Message<'_>,
        decisions: &[Decision],
    ) {
        let (Some(session), Some(hop)) = (message.session(), message.hop()) else {
            return;
        };
        let session = session.with_flags(0);
        let Ok(interface) = self.outgoing_interface(packet, hop, session) else {
            return;
        };
        let kept = self.sessions.get(&session);
        let known = kept.map(|kept| kept.senders_by(interface.index).copied().collect());
        // In ascending order.
        let known: Vec<FilterSpec> = known.unwrap_or_default();
        let scope = message.scope().map(|scope| scope.addresses().collect());
        let of_all = OfAll {
            shared: Shared::of(message),
            known,
            scope: scope.unwrap_or_default(),
            confirm: message.resv_confirm().map(|confirm| confirm.receiver),
            id: StateId::of(message),
        };
        let mut is_gone = false;
        for (descriptor, decision) in message.flow_descriptors().zip(
            decisions
                .iter()
                .copied()
                .chain(std::iter::repeat(Decision::DontCare)),
        ) {
            let Some(flow) = FlowKey::of(message, &descriptor) else {
                continue;
            };
            match decision {
                Decision::Accept(_) => {
                    let asked = Asked {
                        packet,
                        message,
                        descriptor: &descriptor,
                        of_all: &of_all,
                        flow,
                        interface,
                        hop,
                        decision,
                    };
                    self.resv_accepted(now, channel, &asked);
                }
                denied => {
                    self.record(MessageType::Resv, flow, Ruling::Denied(denied));
                    // To LPMs the request is gone; what they granted before is still theirs to
                    // forget.
                    is_gone |= self.remove_resv(&flow, Some(DeleteReason::StateTimeout));
                    if let Decision::Reject(reason) = denied {
                        let said = said_with(message, &of_all.shared, &descriptor, |_| true);
                        let (code, value) = (reason.code(), reason.value());
                        self.resv_error(&said, interface, hop, 0, code, value);
                    }
                }
            }
        }
        if is_gone {
            self.update_upstream(now, session, true);
        }
    }

    /// Policy accepts a flow of a Resv: takes bandwidth for it, and has the kernel reserve.
    fn resv_accepted(&mut self, now: Duration, channel: Channel, asked: &Asked<'_>) {
        let (message, flow, interface) = (asked.message, asked.flow, asked.interface);
        let Decision::Accept(priority) = asked.decision else {
            return;
        };
        let style = message.style().unwrap_or(ResvStyle::WildcardFilter);
        let Some(kept) = self.sessions.get(&flow.session()) else {
            return;
        };
        let of_all = asked.of_all;
        let is_known = |sender: &FilterSpec| of_all.known.binary_search(sender).is_ok();
        let mut senders: Senders = match style {
            ResvStyle::WildcardFilter => Senders::new(),
            _ => asked.descriptor.filters().collect(),
        };
        senders.retain(|sender| is_known(sender));
        senders.sort_unstable();
        senders.dedup();
        let said_whole = || said_with(message, &of_all.shared, asked.descriptor, |_| true);
        let told_gone = DeleteReason::AdmissionControlFailed;
        if of_all.known.is_empty() || (senders.is_empty() && style != ResvStyle::WildcardFilter) {
            let said = said_whole();
            self.record(MessageType::Resv, flow, Ruling::Refused(Refusal::NoSender));
            self.tell_gone(flow.session(), &said, interface, told_gone);
            self.resv_error(&said, interface, asked.hop, 0, NO_SENDER, 0);
            return;
        }
        let flow_spec = asked.descriptor.flow_spec();
        let service = flow_spec.and_then(|flow_spec| flow_spec.service().ok());
        let before = kept.resvs.get(&flow).cloned();
        let said = said_with(message, &of_all.shared, asked.descriptor, is_known);
        let result = match service {
            None => Err(Refusal::BadFlowSpec),
            Some(_) if before.is_none() && !self.has_room(said.len()) => Err(Refusal::TableFull),
            Some(service) => {
                let request = Request {
                    service,
                    senders: senders.clone(),
                    priority,
                };
                self.take_bandwidth(now, &flow, interface, request)
                    .map(|change| (service, change))
            }
        };
        let (service, change) = match result {
            Ok(result) => result,
            Err(refusal) => {
                let said = said_whole();
                self.record(MessageType::Resv, flow, Ruling::Refused(refusal));
                self.tell_gone(flow.session(), &said, interface, told_gone);
                let in_place = u8::from(before.is_some()) * lpm_rsvp::ErrorSpec::IN_PLACE;
                let (code, value) = (refusal.error_code(), refusal.error_value());
                self.resv_error(&said, interface, asked.hop, in_place, code, value);
                return;
            }
        };
        self.record(MessageType::Resv, flow, Ruling::Granted(priority));
        let mut life = self.timers.start(message.time_values(), time(now));
        if let Some(before) = &before {
            life = life.continuing(before.life);
        }
        let version = self.number();
        self.put_resv(
            flow,
            ResvState {
                said,
                senders,
                interface,
                hop: asked.hop,
                style,
                service,
                priority,
                scope: of_all.scope.clone(),
                is_capable: is_from_capable(asked.packet, message),
                id: of_all.id.into(),
                life,
                look: end(life),
                is_reserved: before.as_ref().is_some_and(|before| before.is_reserved),
                version,
            },
        );
        // A change of the interface leaves what was reserved on the other one behind.
        if let Some(old) = before.as_ref().filter(|old| old.interface != interface) {
            self.give_bandwidth_back(&flow, old.interface);
        }
        self.reserve(channel, flow, before, change, of_all.confirm);
    }

    pub(super) fn put_resv(&mut self, flow: FlowKey, state: ResvState) {
        self.flows += 1;
        self.bytes += state.said.len();
        let (look, id) = (state.look, state.id.get());
        let kept = self.sessions.entry(flow.session()).or_default();
        let old = kept.resvs.insert(flow, state);
        self.message_ids
            .change(&flow, old.as_ref().and_then(|old| old.id.get()), id);
        if let Some(old) = old {
            self.flows -= 1;
            self.bytes -= old.said.len();
            self.deadlines.remove(old.look, Due::Resv(flow));
        }
        self.deadlines.add(look, Due::Resv(flow));
    }
}

/// What is the same for all flows of a Resv, of which there may be a thousand.
struct OfAll<'a> {
    shared: Shared<'a>,
    /// The senders whose data goes out by the interface, in ascending order.
    known: Vec<FilterSpec>,
    scope: Box<[IpAddr]>,
    /// Whom to confirm.
    confirm: Option<IpAddr>,
    id: Option<StateId>,
}

/// A flow of a Resv that policy has accepted.
struct Asked<'a> {
    packet: &'a Packet<'a>,
    message: &'a Message<'a>,
    descriptor: &'a FlowDescriptor<'a>,
    of_all: &'a OfAll<'a>,
    flow: FlowKey,
    interface: Interface,
    hop: RsvpHop,
    decision: Decision,
}
