//! What previous hops are asked for (RFC 2209: RESV REFRESH).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use lpm_api::FlowKey;
use lpm_rsvp::{FilterSpec, Message, MessageType, ObjectIndex, ResvStyle, RsvpHop, Session, class};

use super::deadlines::{Due, Moment, Neighbour};
use super::merge::{BySender, wanted};
use super::names::Owner;
use super::output::{Datagram, Routes, TTL};
use super::policy::{combined, is_policy, with_policy};
use super::state::{PathState, SessionState, Upstream, Wanted};
use super::waiting::Target;
use super::wire::Writer;
use crate::node::Node;

impl<R: Routes> Node<R> {
    /// Tells previous hops what is wanted of them now, as far as that has changed. What is wanted
    /// no more is torn down if `is_torn`, and else left to time out there.
    pub(super) fn update_upstream(&mut self, now: Duration, session: Session, is_torn: bool) {
        self.update_and_confirm(now, session, &[], is_torn);
    }

    /// Likewise. A receiver who asks for a confirmation of a flow gets it where nothing more is
    /// asked for the flow: else it goes along.
    pub(super) fn update_and_confirm(
        &mut self,
        now: Duration,
        session: Session,
        confirm: &[(FlowKey, IpAddr)],
        is_torn: bool,
    ) {
        let Some(kept) = self.sessions.get(&session) else {
            return;
        };
        let mut asked = BTreeSet::new();
        for (hop, new) in changed(kept, now) {
            let Some(kept) = self.sessions.get(&session) else {
                return;
            };
            let old = kept.upstream.get(&hop).map(|upstream| &upstream.wanted);
            let gone = gone(kept, hop, old, new.as_ref());
            if let Some((style, gone)) = gone.filter(|_| is_torn) {
                self.tear_upstream(session, hop, style, &gone);
            }
            match new {
                Some(new) => {
                    asked.insert(hop);
                    let confirm = confirm.first().map(|(_, receiver)| *receiver);
                    self.ask_upstream(now, session, hop, new, confirm);
                }
                None if is_torn => self.forget_upstream(session, hop),
                None => {}
            }
        }
        for (flow, receiver) in confirm {
            let path = flow
                .sender()
                .and_then(|sender| self.path_of(session, &sender));
            let goes_along = match path {
                Some(path) => asked.contains(&path.previous_hop()),
                None => !asked.is_empty(),
            };
            if !goes_along {
                self.confirm(flow, *receiver);
            }
        }
    }

    /// Has a Resv go to a previous hop, with what the LPMs put into it.
    fn ask_upstream(
        &mut self,
        now: Duration,
        session: Session,
        hop: Neighbour,
        wanted: Wanted,
        confirm: Option<IpAddr>,
    ) {
        let version = self.number();
        let look = Moment::from(self.next_refresh(now));
        let bytes = self.resv_bytes(session, hop, &wanted, None);
        let Some(kept) = self.sessions.get_mut(&session) else {
            return;
        };
        let upstream = Upstream {
            wanted,
            outgoing: None,
            name: None,
            look,
            version,
        };
        let due = Due::Upstream(session, hop);
        if let Some(old) = kept.upstream.insert(hop, upstream) {
            self.deadlines.remove(old.look, due);
            self.names.forget(old.name);
        }
        self.deadlines.add(look, due);
        if let Some((bytes, interface)) = bytes.zip(self.interface(hop.interface, hop.address)) {
            let target = Target::Upstream(session, hop, version, confirm);
            self.ask_outgoing(session, bytes, interface, target);
        }
    }

    /// The LPMs have said what goes into the Resv for a previous hop.
    pub(super) fn upstream_supplied(
        &mut self,
        now: Duration,
        session: Session,
        hop: Neighbour,
        version: u64,
        confirm: Option<IpAddr>,
        objects: Option<Vec<u8>>,
    ) {
        let Some(kept) = self.sessions.get(&session) else {
            return;
        };
        let upstream = kept.upstream.get(&hop);
        let Some(upstream) = upstream.filter(|upstream| upstream.version == version) else {
            return;
        };
        let Some(objects) = objects else {
            return;
        };
        let received = upstream.wanted.passed_on.iter();
        let policy = combined(&objects, received.filter(|object| is_policy(object)));
        let bytes = |confirm| {
            let bytes = self.resv_bytes(session, hop, &upstream.wanted, confirm)?;
            with_policy(&bytes, &policy)
        };
        let (first, later) = (bytes(confirm), bytes(None).map(Vec::into_boxed_slice));
        let sender = upstream.wanted.sender().copied();
        let refresh_at = Moment::from(self.next_refresh(now));
        let first = first.and_then(|first| self.to_hop(hop, first));
        let name = first.and_then(|first| {
            let to = self.capable(session, hop, sender.as_ref());
            self.send_state(first, Owner::Upstream(session, hop), to, None)
        });
        let kept = self.sessions.get_mut(&session);
        if let Some(upstream) = kept.and_then(|kept| kept.upstream.get_mut(&hop)) {
            upstream.outgoing = later;
            upstream.name = name;
            let due = Due::Upstream(session, hop);
            self.deadlines.remove(upstream.look, due);
            upstream.look = refresh_at;
            self.deadlines.add(refresh_at, due);
        }
    }

    /// Asks a previous hop again for what it was asked for.
    pub(super) fn refresh_upstream(&mut self, now: Duration, session: Session, hop: Neighbour) {
        let refresh_at = Moment::from(self.next_refresh(now));
        let kept = self.sessions.get_mut(&session);
        let Some(upstream) = kept.and_then(|kept| kept.upstream.get_mut(&hop)) else {
            return;
        };
        let due = Due::Upstream(session, hop);
        self.deadlines.remove(upstream.look, due);
        self.deadlines.add(refresh_at, due);
        upstream.look = refresh_at;
        let sender = upstream.wanted.sender().copied();
        let (bytes, name) = (
            upstream.outgoing.as_ref().map(|it| it.to_vec()),
            upstream.name,
        );
        if let Some(datagram) = bytes.and_then(|bytes| self.to_hop(hop, bytes)) {
            let to = self.capable(session, hop, sender.as_ref());
            let name = self.send_state(datagram, Owner::Upstream(session, hop), to, name);
            let kept = self.sessions.get_mut(&session);
            if let Some(upstream) = kept.and_then(|kept| kept.upstream.get_mut(&hop)) {
                upstream.name = name;
            }
        }
    }

    fn to_hop(&self, hop: Neighbour, bytes: Vec<u8>) -> Option<Datagram> {
        let interface = self.interface(hop.interface, hop.address)?;
        Some(Datagram::to_neighbour(interface, hop.address, bytes))
    }

    fn forget_upstream(&mut self, session: Session, hop: Neighbour) {
        let kept = self.sessions.get_mut(&session);
        if let Some(upstream) = kept.and_then(|kept| kept.upstream.remove(&hop)) {
            self.deadlines
                .remove(upstream.look, Due::Upstream(session, hop));
            self.names.forget(upstream.name);
        }
    }

    /// The Resv for a previous hop, without policy data.
    fn resv_bytes(
        &self,
        session: Session,
        hop: Neighbour,
        wanted: &Wanted,
        confirm: Option<IpAddr>,
    ) -> Option<Vec<u8>> {
        let mut writer = self
            .header(
                MessageType::Resv,
                session,
                (hop, wanted.sender()),
                wanted.logical_interface,
            )?
            .time_values(self.refresh_ms());
        if let Some(receiver) = confirm {
            writer = writer.resv_confirm(receiver);
        }
        writer = writer.scope(&wanted.scope);
        for object in &wanted.passed_on {
            if !is_policy(object) {
                writer = writer.raw(object);
            }
        }
        writer = writer.style(wanted.style);
        for (service, senders) in &wanted.flows {
            writer = writer.flow_spec(service);
            for sender in senders {
                writer = writer.filter_spec(sender);
            }
        }
        writer.finish()
    }

    /// A message for a previous hop, of which one sender may be known, up to its RSVP_HOP.
    fn header(
        &self,
        message_type: MessageType,
        session: Session,
        (hop, sender): (Neighbour, Option<&FilterSpec>),
        logical_interface: u32,
    ) -> Option<Writer> {
        let own = self.interface(hop.interface, hop.address)?;
        let kept = self.sessions.get(&session)?;
        let is_from = |path: &&PathState| path.previous_hop() == hop;
        let path = sender.and_then(|sender| kept.paths.get(sender));
        let path = path
            .filter(is_from)
            .or_else(|| kept.paths.values().find(is_from))?;
        let mut index = ObjectIndex::new();
        let message = Message::parse(&path.said, &mut index).ok()?;
        let writer = Writer::new(message_type, TTL).copy(&message, class::SESSION);
        Some(writer.hop(RsvpHop {
            address: own.address,
            logical_interface,
        }))
    }

    /// Tells a previous hop that nothing is wanted of these senders any more.
    fn tear_upstream(
        &mut self,
        session: Session,
        hop: Neighbour,
        style: ResvStyle,
        senders: &[FilterSpec],
    ) {
        let Some(kept) = self.sessions.get(&session) else {
            return;
        };
        let Some(upstream) = kept.upstream.get(&hop) else {
            return;
        };
        let logical_interface = upstream.wanted.logical_interface;
        let of = (hop, senders.first());
        let Some(writer) = self.header(MessageType::ResvTear, session, of, logical_interface)
        else {
            return;
        };
        let writer = writer.style(style);
        let writer = senders.iter().fold(writer, Writer::filter_spec);
        if let Some((bytes, own)) = writer
            .finish()
            .zip(self.interface(hop.interface, hop.address))
        {
            let datagram = Datagram::to_neighbour(own, hop.address, bytes);
            let to = self.capable(session, hop, senders.first());
            self.send_once(session, to, datagram);
        }
    }

    /// Tears down everything that previous hops were asked for.
    pub(super) fn tear_all_upstream(&mut self, session: Session) {
        let Some(kept) = self.sessions.get(&session) else {
            return;
        };
        let all = kept.upstream.iter();
        let all: Vec<_> = all
            .filter_map(|(hop, upstream)| {
                Some((*hop, gone(kept, *hop, Some(&upstream.wanted), None)?))
            })
            .collect();
        for (hop, (style, senders)) in all {
            self.tear_upstream(session, hop, style, &senders);
            self.forget_upstream(session, hop);
        }
    }
}

/// The previous hops of which something else is wanted than they were asked for, and what.
fn changed(kept: &SessionState, now: Duration) -> Vec<(Neighbour, Option<Wanted>)> {
    if kept.resvs.is_empty() && kept.upstream.is_empty() {
        return Vec::new();
    }
    let mut hops: BTreeMap<Neighbour, Vec<_>> = BTreeMap::new();
    for hop in kept.upstream.keys() {
        hops.entry(*hop).or_default();
    }
    for (sender, path) in kept.paths.iter() {
        let paths = hops.entry(path.previous_hop()).or_default();
        paths.push((sender, path));
    }
    let in_force = BySender::new(kept, now, |resv| resv.is_reserved);
    let hops = hops.into_iter();
    let wanted = hops.map(|(hop, paths)| (hop, wanted(kept, &in_force, &paths)));
    let is_changed = |(hop, new): &(Neighbour, Option<Wanted>)| {
        kept.upstream.get(hop).map(|upstream| &upstream.wanted) != new.as_ref()
    };
    wanted.filter(is_changed).collect()
}

/// What a previous hop that still has the senders is wanted for no more: the style, and the
/// senders, which are none for all. `None` for nothing.
fn gone(
    kept: &SessionState,
    hop: Neighbour,
    old: Option<&Wanted>,
    new: Option<&Wanted>,
) -> Option<(ResvStyle, Vec<FilterSpec>)> {
    let old = old?;
    let is_there = |sender: &FilterSpec| {
        let path = kept.paths.get(sender);
        path.is_some_and(|path| path.previous_hop() == hop)
    };
    if old.style == ResvStyle::WildcardFilter {
        let mut paths = kept.paths.values();
        let is_there = paths.any(|path| path.previous_hop() == hop);
        return (new.is_none() && is_there).then(|| (old.style, Vec::new()));
    }
    let senders = |wanted: &Wanted| {
        let flows = wanted.flows.iter();
        flows
            .flat_map(|(_, senders)| senders.iter().copied())
            .collect::<Vec<_>>()
    };
    let mut left = new.map(senders).unwrap_or_default();
    left.sort_unstable();
    let mut gone = senders(old);
    gone.retain(|sender| is_there(sender) && left.binary_search(sender).is_err());
    (!gone.is_empty()).then_some((old.style, gone))
}
