//! Path state (RFC 2209: PATH and PTEAR MESSAGE ARRIVES, PATH REFRESH).

use std::time::Duration;

use lpm_api::{Decision, DeleteReason, FlowKey, Interface};
use lpm_rsvp::build::{AdSpecNode, GuaranteedTerms, Overrides};
use lpm_rsvp::intserv::HopParameters;
use lpm_rsvp::{FilterSpec, Message, MessageType, ObjectIndex, Session, class};

use super::deadlines::{Due, Moment};
use super::names::Owner;
use super::output::{Datagram, Decided, DropReason, Output, Packet, Route, Routes, Ruling};
use super::policy::{combined, objects_of, with_policy};
use super::receive::{hop_of, sender_of, session_of};
use super::reject::{CONFLICTING_DESTINATION_PORTS, CONFLICTING_SENDER_PORTS};
use super::reliable::{is_from_capable, is_out_of_order};
use super::said::said;
use super::state::{Outgoing, PathState};
use super::waiting::{Channel, Target};
use super::wire::{Writer, object};
use crate::message_ids::StateId;
use crate::node::{Node, end, time};
use crate::refusal::Refusal;

impl<R: Routes> Node<R> {
    pub(super) fn path(
        &mut self,
        now: Duration,
        channel: Channel,
        packet: &Packet<'_>,
        message: &Message<'_>,
    ) -> Result<(), DropReason> {
        let descriptor = message.flow_descriptors().next();
        let descriptor = descriptor.ok_or(DropReason::Malformed)?;
        let session = session_of(message)?;
        let sender = sender_of(message)?;
        let interface = self.interface(packet.interface, session.address());
        let interface = interface.ok_or(DropReason::Interface)?;
        let said = said(message, &descriptor, |_| true);
        let timers = self.timers;
        let has_room = self.waiting.has_room();
        let path = self.path_of(session, &sender);
        if path
            .as_ref()
            .is_some_and(|path| is_out_of_order(path.id.get(), StateId::of(message)))
        {
            return Err(DropReason::OutOfOrder);
        }
        if let Some(path) = path.filter(|path| path.said == said && path.interface == interface) {
            let new = StateId::of(message);
            let old = path.id.replace(new);
            path.is_capable = is_from_capable(packet, message);
            path.life = timers
                .start(message.time_values(), time(now))
                .continuing(path.life);
            // Its way has become another one: what goes on says how far it came.
            let way = (packet.ttl, packet.ttl != message.header().send_ttl);
            let is_moved = has_room && (path.ttl, path.is_non_rsvp) != way;
            if is_moved {
                (path.ttl, path.is_non_rsvp) = way;
            }
            let is_sooner = end(path.life) < path.look;
            self.message_ids
                .change(&FlowKey::path(session, sender), old, new);
            if is_sooner {
                self.look_at_path(session, sender);
            }
            if is_moved {
                self.forward_path(session, sender);
            }
            return Ok(());
        }
        let conflict = if self.has_other_ports(session) {
            Some(CONFLICTING_DESTINATION_PORTS)
        } else if self.has_other_sender_port(session, &sender) {
            Some(CONFLICTING_SENDER_PORTS)
        } else {
            None
        };
        if let Some(code) = conflict {
            self.path_error(&said, interface, hop_of(message)?, code, 0);
            return Ok(());
        }
        self.ask(Some(channel), packet, session, interface)
    }

    pub(super) fn path_of(
        &mut self,
        session: Session,
        sender: &FilterSpec,
    ) -> Option<&mut PathState> {
        let session = self.sessions.get_mut(&session.with_flags(0))?;
        session.paths.get_mut(sender)
    }

    pub(super) fn path_decided(
        &mut self,
        now: Duration,
        packet: &Packet<'_>,
        message: &Message<'_>,
        decision: Decision,
    ) {
        let Some((descriptor, sender, hop)) = message
            .flow_descriptors()
            .next()
            .zip(message.sender_template())
            .zip(message.hop())
            .map(|((descriptor, sender), hop)| (descriptor, sender, hop))
        else {
            return;
        };
        let Some(session) = message.session().map(|session| session.with_flags(0)) else {
            return;
        };
        let Some(interface) = self.interface(packet.interface, session.address()) else {
            return;
        };
        let flow = FlowKey::path(session, sender);
        let said = said(message, &descriptor, |_| true);
        let Decision::Accept(priority) = decision else {
            self.record(MessageType::Path, flow, Ruling::Denied(decision));
            // To LPMs the request is gone; what they granted before is still theirs to forget.
            self.remove_path(now, session, sender, Some(DeleteReason::StateTimeout));
            if let Decision::Reject(reason) = decision {
                let (code, value) = (reason.code(), reason.value());
                self.path_error(&said, interface, hop, code, value);
            }
            return;
        };
        let mut life = self.timers.start(message.time_values(), time(now));
        let old = self.path_of(session, &sender);
        let old_size = old.as_ref().map(|old| old.said.len());
        if let Some(old) = old {
            life = life.continuing(old.life);
        } else if !self.has_room(said.len()) {
            let refusal = Refusal::TableFull;
            self.record(MessageType::Path, flow, Ruling::Refused(refusal));
            self.tell_gone(
                session,
                &said,
                interface,
                DeleteReason::AdmissionControlFailed,
            );
            let (code, value) = (refusal.error_code(), refusal.error_value());
            self.path_error(&said, interface, hop, code, value);
            return;
        }
        self.record(MessageType::Path, flow, Ruling::Granted(priority));
        let route = self.routes.route(session.address(), sender.address());
        let refresh_at = Moment::from(self.next_refresh(now));
        let look = refresh_at.min(end(life));
        let version = self.number();
        self.bytes = self.bytes - old_size.unwrap_or_default() + said.len();
        self.flows += usize::from(old_size.is_none());
        let state = PathState {
            said,
            interface,
            hop,
            ttl: packet.ttl,
            is_non_rsvp: packet.ttl != message.header().send_ttl,
            is_capable: is_from_capable(packet, message),
            id: StateId::of(message).into(),
            life,
            route,
            outgoing: None,
            name: None,
            refresh_at,
            look,
            version,
        };
        let kept = self.sessions.entry(session).or_default();
        let id = state.id.get();
        let old = kept.paths.insert(sender, state);
        self.message_ids
            .change(&flow, old.as_ref().and_then(|old| old.id.get()), id);
        if let Some(mut old) = old {
            self.deadlines.remove(old.look, Due::Path(session, sender));
            self.names.forget(old.name);
            // Until the LPMs were asked again a teardown has to go where it went.
            if let Some(new) = self.path_of(session, &sender) {
                new.outgoing = old.outgoing.take();
            }
        }
        self.deadlines.add(look, Due::Path(session, sender));
        self.forward_path(session, sender);
        self.update_upstream(now, session, true);
    }

    /// Has a Path go on, with what the LPMs put into it.
    pub(super) fn forward_path(&mut self, session: Session, sender: FilterSpec) {
        let Some(path) = self.path_of(session, &sender) else {
            return;
        };
        let version = path.version;
        let Some((bytes, out)) = self.outgoing_path(session, &sender) else {
            if let Some(path) = self.path_of(session, &sender) {
                path.outgoing = None;
                let name = path.name.take();
                self.names.forget(name);
            }
            return;
        };
        self.ask_outgoing(session, bytes, out, Target::Path(session, sender, version));
    }

    /// The Path that goes on, without policy data, and where to.
    fn outgoing_path(&self, session: Session, sender: &FilterSpec) -> Option<(Vec<u8>, Interface)> {
        let path = self.sessions.get(&session)?.paths.get(sender)?;
        let Some(Route::Out(index)) = path.route else {
            return None;
        };
        let out = self.interface(index, session.address())?;
        let ttl = path.ttl.checked_sub(1).filter(|ttl| *ttl > 0)?;
        let mut index = ObjectIndex::new();
        let message = Message::parse(&path.said, &mut index).ok()?;
        let updated = self.ad_spec(out).update(&message);
        let mut index = ObjectIndex::new();
        let message = match &updated {
            Ok(updated) => Message::parse(updated, &mut index).ok()?,
            // What cannot be read goes on as it is: it is not RSVP's (RFC 2205 §3.10).
            Err(_) => message,
        };
        let mut writer = Writer::new(MessageType::Path, ttl);
        for entry in message.entries() {
            writer = match entry.class {
                class::RSVP_HOP => writer.own_hop(out),
                class::TIME_VALUES => writer.time_values(self.refresh_ms()),
                class::POLICY_DATA => writer,
                class::ADSPEC if path.is_non_rsvp => {
                    let mut object = object(&message, entry).to_vec();
                    // The break bit of the general parameters (RFC 2210 §3.3.3).
                    if let Some(flags) = object.get_mut(9) {
                        *flags |= 0x80;
                    }
                    writer.raw(&object)
                }
                _ => writer.raw(object(&message, entry)),
            };
        }
        Some((writer.finish()?, out))
    }

    /// What this node adds to ADSPECs.
    fn ad_spec(&self, out: Interface) -> AdSpecNode {
        let mtu = self
            .interfaces
            .get(&out.index)
            .map_or(u32::MAX, |interface| interface.mtu);
        let pool = self.reservations.pools();
        let pool = pool.config(pool.key(&out));
        // Where nothing is configured there is as much as anybody asks for.
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let bandwidth = pool.map_or(f32::MAX, |pool| pool.bandwidth as f32 / 8.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates"
        )]
        let delay = (f64::from(mtu) / f64::from(bandwidth) * 1e6) as u32;
        let terms = GuaranteedTerms {
            c: mtu,
            d: delay,
            reshapes: false,
        };
        AdSpecNode::new(HopParameters {
            bandwidth,
            latency: u32::MAX,
            mtu,
        })
        .controlled_load(Overrides::default())
        .guaranteed(terms, Overrides::default())
    }

    /// The LPMs have said what goes into the Path of a sender.
    pub(super) fn path_supplied(
        &mut self,
        now: Duration,
        session: Session,
        sender: FilterSpec,
        version: u64,
        objects: Option<Vec<u8>>,
    ) {
        let is_current = |path: &&mut PathState| path.version == version;
        let Some(path) = self.path_of(session, &sender).filter(is_current) else {
            return;
        };
        path.outgoing = None;
        let name = path.name.take();
        self.names.forget(name);
        if let Some(objects) = objects {
            self.make_outgoing(session, sender, &objects);
            self.refresh_path(now, session, sender);
        }
    }

    /// Makes what is sent from time to time, with the POLICY_DATA that LPMs want in it.
    fn make_outgoing(&mut self, session: Session, sender: FilterSpec, supplied: &[u8]) {
        let Some((bytes, out)) = self.outgoing_path(session, &sender) else {
            return;
        };
        let Some(path) = self.path_of(session, &sender) else {
            return;
        };
        let mut index = ObjectIndex::new();
        let received = Message::parse(&path.said, &mut index);
        let received = received.map(|message| objects_of(&message));
        let policy = combined(supplied, received.unwrap_or_default());
        let Some(bytes) = with_policy(&bytes, &policy) else {
            return;
        };
        path.outgoing = Some(Outgoing {
            interface: out.index,
            ttl: path.ttl.saturating_sub(1),
            bytes: bytes.into(),
        });
    }

    /// Sends the Path of a sender on, and again after a while.
    pub(super) fn refresh_path(&mut self, now: Duration, session: Session, sender: FilterSpec) {
        let refresh_at = self.next_refresh(now);
        let Some(path) = self.path_of(session, &sender) else {
            return;
        };
        path.refresh_at = refresh_at.into();
        let outgoing = path.outgoing.as_ref();
        let datagram = outgoing.map(|outgoing| outgoing.datagram(session, &sender));
        if let Some((datagram, name)) = datagram.map(|datagram| (datagram, path.name)) {
            let to = self.next_hop(session, &sender);
            let name = self.send_state(datagram, Owner::Path(session, sender), to, name);
            if let Some(path) = self.path_of(session, &sender) {
                path.name = name;
            }
        }
        self.look_at_path(session, sender);
    }

    /// Sets when the sender is looked at.
    pub(super) fn look_at_path(&mut self, session: Session, sender: FilterSpec) {
        let session = session.with_flags(0);
        let Some(path) = self.path_of(session, &sender) else {
            return;
        };
        let (old, new) = (path.look, path.refresh_at.min(end(path.life)));
        if new != old {
            path.look = new;
            self.deadlines.remove(old, Due::Path(session, sender));
            self.deadlines.add(new, Due::Path(session, sender));
        }
    }

    pub(super) fn path_tear(
        &mut self,
        now: Duration,
        packet: &Packet<'_>,
        message: &Message<'_>,
    ) -> Result<(), DropReason> {
        let session = session_of(message)?;
        let sender = sender_of(message)?;
        let hop = hop_of(message)?;
        let path = self.path_of(session, &sender).ok_or(DropReason::NoState)?;
        if path.hop.address != hop.address {
            return Err(DropReason::NoState);
        }
        if is_out_of_order(path.id.get(), StateId::of(message)) {
            return Err(DropReason::OutOfOrder);
        }
        let interface = path.interface;
        self.tell_torn(session, packet, interface);
        let flow = FlowKey::path(session, sender);
        let reason = DeleteReason::ReceivedPathTear;
        self.record(MessageType::PathTear, flow, Ruling::Removed(reason));
        self.remove_path(now, session, sender, None);
        Ok(())
    }

    /// Removes a sender and what depends on it, and says so downstream. LPMs are told for this
    /// reason, if they do not know.
    pub(super) fn remove_path(
        &mut self,
        now: Duration,
        session: Session,
        sender: FilterSpec,
        told: Option<DeleteReason>,
    ) {
        let next_hop = self.next_hop(session, &sender);
        let kept = self.sessions.get_mut(&session);
        let Some(path) = kept.and_then(|kept| kept.paths.remove(&sender)) else {
            return;
        };
        self.names.forget(path.name);
        self.message_ids
            .change(&FlowKey::path(session, sender), path.id.get(), None);
        self.deadlines.remove(path.look, Due::Path(session, sender));
        self.flows -= 1;
        self.bytes -= path.said.len();
        if let Some(reason) = told {
            self.tell_gone(session, &path.said, path.interface, reason);
            let flow = FlowKey::path(session, sender);
            self.record(MessageType::Path, flow, Ruling::Removed(reason));
        }
        if let Some(datagram) = self.tear_of(session, &sender, &path) {
            self.send_once(session, next_hop, datagram);
        }
        let reason = told.unwrap_or(DeleteReason::ReceivedPathTear);
        self.sender_is_gone(session, sender, &path, reason);
        self.update_upstream(now, session, true);
        self.clear(session);
    }

    /// The PathTear to where the Path of a sender went.
    fn tear_of(&self, session: Session, sender: &FilterSpec, path: &PathState) -> Option<Datagram> {
        let sent = path.outgoing.as_ref()?;
        let out = self.interface(sent.interface, session.address())?;
        let mut index = ObjectIndex::new();
        let message = Message::parse(&path.said, &mut index).ok()?;
        let bytes = Writer::new(MessageType::PathTear, sent.ttl)
            .copy(&message, class::SESSION)
            .own_hop(out)
            .copy(&message, class::SENDER_TEMPLATE)
            .copy(&message, class::SENDER_TSPEC)
            .finish()?;
        Some(Datagram {
            bytes,
            ..sent.datagram(session, sender)
        })
    }

    /// Puts on record what became of a flow.
    pub(super) fn record(&mut self, message: MessageType, flow: FlowKey, outcome: Ruling) {
        self.outputs.push_back(Output::Record(Decided {
            message,
            session: flow.session(),
            flow: Some(flow),
            outcome,
        }));
    }
}
