//! A message as `lpmapi.h` lays it out: `RSVP_MSG_OBJS`, and the copies of objects it points to.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::net::IpAddr;

use lpm_api::Interface;
use lpm_rsvp::{FlowDescriptor, Message, ObjectEntry, ObjectId, class};

use super::header::{FlowDesc, MessageObjects, Object, size_of_structure};
use super::lent::{Area, Lent, Plan};
use super::order::To;

/// The first object of a message for which the header has no structure: IPv6, RSVP-TE, and whatever
/// else came later.
pub(super) fn unknown_object(message: &Message<'_>) -> Option<ObjectId> {
    let is_unknown = |entry: &&ObjectEntry| match entry.class {
        class::SESSION => !matches!(entry.c_type, 1 | 3),
        class::FILTER_SPEC | class::SENDER_TEMPLATE => !matches!(entry.c_type, 1 | 4),
        class::RSVP_HOP | class::ERROR_SPEC | class::SCOPE | class::STYLE | class::POLICY_DATA => {
            entry.c_type != 1
        }
        class::FLOWSPEC | class::SENDER_TSPEC | class::ADSPEC => entry.c_type != 2,
        _ => false,
    };
    let entry = message.entries().iter().find(is_unknown)?;
    Some(entry.object(message.bytes()).id())
}

/// Copies of a message's objects, each in host order.
pub(super) struct Copies<'m> {
    message: Message<'m>,
    /// By offset.
    made: BTreeMap<u16, Area>,
}

impl<'m> Copies<'m> {
    pub(super) const fn of(message: Message<'m>) -> Self {
        Self {
            message,
            made: BTreeMap::new(),
        }
    }

    /// The object of this entry; one that several point to is copied once.
    fn entry(&mut self, plan: &mut Plan, entry: &ObjectEntry) -> Area {
        let bytes = self.message.bytes();
        let copy = || {
            let start = usize::from(entry.offset);
            let end = start + usize::from(entry.length);
            put(plan, bytes.get(start..end).unwrap_or_default(), entry.class)
        };
        *self.made.entry(entry.offset).or_insert_with(copy)
    }

    /// The first object of a class.
    pub(super) fn first(&mut self, plan: &mut Plan, class: u8) -> Option<Area> {
        let mut entries = self.message.entries().iter();
        let entry = entries.find(|entry| entry.class == class)?;
        Some(self.entry(plan, entry))
    }

    /// The senders of a flow.
    fn senders(&mut self, plan: &mut Plan, flow: &FlowDescriptor<'_>) -> Vec<Area> {
        let is_sender = |entry: &&ObjectEntry| {
            matches!(entry.class, class::FILTER_SPEC | class::SENDER_TEMPLATE)
        };
        let entries = flow.filter_entries().iter().filter(is_sender);
        entries.map(|entry| self.entry(plan, entry)).collect()
    }

    /// What a flow asks for.
    pub(super) fn traffic(&mut self, plan: &mut Plan, flow: u16) -> Option<Area> {
        let flow = self.message.flow_descriptors().nth(flow.into())?;
        Some(self.entry(plan, flow.traffic_entry()?))
    }

    /// The senders of one flow, or of all of them.
    pub(super) fn list_of_senders(&mut self, plan: &mut Plan, flow: Option<u16>) -> List {
        let is_concerned =
            |found: &FlowDescriptor<'_>| flow.is_none_or(|flow| found.index() == flow);
        let flows = self.message.flow_descriptors().filter(is_concerned);
        let senders = flows.flat_map(|flow| self.senders(plan, &flow)).collect();
        List::of(plan, senders)
    }
}

/// A list of pointers to objects.
pub(super) struct List {
    objects: Vec<Area>,
    at: Area,
}

impl List {
    fn of(plan: &mut Plan, objects: Vec<Area>) -> Self {
        let at = plan.room_for::<*mut Object>(objects.len());
        Self { objects, at }
    }

    pub(super) fn count(&self) -> c_int {
        count(self.objects.len())
    }

    pub(super) fn pointer(&self, lent: &Lent) -> *mut *mut Object {
        let objects = self.objects.iter();
        lent.write(
            self.at,
            objects.map(|object| lent.pointer::<Object>(*object)),
        );
        lent.pointer(self.at)
    }
}

/// `RSVP_MSG_OBJS` of a message.
pub(super) struct Objects {
    at: Area,
    message_type: c_int,
    session: Option<Area>,
    hop: Option<Area>,
    style: Option<Area>,
    scope: Option<Area>,
    /// What each asks for, and its sender.
    flows: Vec<(Option<Area>, Option<Area>)>,
    flows_at: Area,
    policy_data: List,
    error_spec: Option<Area>,
    adspec: Option<Area>,
    /// How many of `flows` are one flow to the PCM: the senders that share a reservation (SE).
    pub(super) groups: Vec<usize>,
}

impl Objects {
    pub(super) fn of(plan: &mut Plan, message: Message<'_>) -> Self {
        let mut copies = Copies::of(message);
        let (mut flows, mut groups) = (Vec::new(), Vec::new());
        for flow in message.flow_descriptors() {
            let traffic = flow.traffic_entry();
            let traffic = traffic.map(|entry| copies.entry(plan, entry));
            let senders = copies.senders(plan, &flow);
            groups.push(senders.len().max(1));
            match senders.is_empty() {
                // All senders (WF).
                true => flows.push((traffic, None)),
                false => flows.extend(senders.into_iter().map(|sender| (traffic, Some(sender)))),
            }
        }
        let is_policy_data = |entry: &&ObjectEntry| entry.class == class::POLICY_DATA;
        let policy_data = message.entries().iter().filter(is_policy_data);
        let policy_data = policy_data.map(|entry| copies.entry(plan, entry)).collect();
        Self {
            at: plan.room_for::<MessageObjects>(1),
            message_type: message_type(&message),
            session: copies.first(plan, class::SESSION),
            hop: copies.first(plan, class::RSVP_HOP),
            style: copies.first(plan, class::STYLE),
            scope: copies.first(plan, class::SCOPE),
            flows_at: plan.room_for::<FlowDesc>(flows.len()),
            flows,
            policy_data: List::of(plan, policy_data),
            error_spec: copies.first(plan, class::ERROR_SPEC),
            adspec: copies.first(plan, class::ADSPEC),
            groups,
        }
    }

    /// How many decisions the LPM is to give.
    pub(super) fn decision_count(&self) -> usize {
        self.flows.len()
    }

    pub(super) fn pointer(&self, lent: &Lent) -> *mut MessageObjects {
        let flows = self.flows.iter().map(|(traffic, sender)| FlowDesc {
            traffic: lent.pointer_if(*traffic),
            sender: lent.pointer_if(*sender),
        });
        lent.write(self.flows_at, flows);
        let objects = MessageObjects {
            message_type: self.message_type,
            session: lent.pointer_if(self.session),
            from_hop: lent.pointer_if(self.hop),
            to_hop: std::ptr::null_mut(),
            style: lent.pointer_if(self.style),
            scope: lent.pointer_if(self.scope),
            flow_count: count(self.flows.len()),
            flows: lent.pointer(self.flows_at),
            policy_data_count: self.policy_data.count(),
            policy_data: self.policy_data.pointer(lent),
            error_spec: lent.pointer_if(self.error_spec),
            adspec: lent.pointer_if(self.adspec),
        };
        lent.write(self.at, [objects]);
        lent.pointer(self.at)
    }
}

/// An interface of the host, as an RSVP_HOP whose LIH is the SNMP ifIndex; 0.0.0.0 for one without
/// an IPv4 address.
pub(super) fn interface(plan: &mut Plan, interface: Interface) -> Area {
    let address = match interface.address {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(_) => [0; 4],
    };
    let mut hop = [0, 12, class::RSVP_HOP, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    hop[4..8].copy_from_slice(&address);
    hop[8..].copy_from_slice(&interface.index.to_be_bytes());
    put(plan, &hop, class::RSVP_HOP)
}

/// An object in network order.
pub(super) fn put(plan: &mut Plan, object: &[u8], class: u8) -> Area {
    let mut object = object.to_vec();
    To::Host.object(&mut object);
    plan.put(&object, size_of_structure(class))
}

/// `MSG_TYPE`: the number in the message's header.
pub(super) fn message_type(message: &Message<'_>) -> c_int {
    message.bytes().get(1).copied().unwrap_or_default().into()
}

/// A message has no more objects than fit.
pub(super) fn count(count: usize) -> c_int {
    c_int::try_from(count).unwrap_or(c_int::MAX)
}
