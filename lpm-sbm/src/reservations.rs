//! Reservations: what next hops ask for, merged, and its share of an interface's bandwidth.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use foldhash::{HashMap, HashMapExt};
use lpm_api::{CommitDecision, FlowKey, Interface, Priority};
use lpm_rsvp::{FilterSpec, ServiceRequest, Session};
use smallvec::SmallVec;

use crate::answer::Resources;
use crate::bandwidth::{InterfaceName, PoolConfig, PoolKey, Pools, rate};
use crate::ranks::{Ranks, Standing};
use crate::refusal::Refusal;
use crate::state::Senders;

/// What next hops share resources for: a session on an interface, and, where every sender has a
/// reservation of its own (FF), one sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ReservationKey {
    pool: PoolKey,
    session: Session,
    sender: Option<FilterSpec>,
}

impl ReservationKey {
    pub(crate) fn session(&self) -> Session {
        self.session
    }
}

/// What a next hop asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) service: ServiceRequest,
    pub(crate) senders: Senders,
    /// The priority that policy gave it.
    pub(crate) priority: Priority,
}

/// What happened to a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Allocated,
    Modified,
    Unchanged,
    Released,
}

impl Change {
    /// What is said of the resources.
    pub(crate) fn resources(self) -> Resources {
        match self {
            Self::Allocated => Resources::Allocated,
            Self::Modified => Resources::Modified,
            Self::Unchanged | Self::Released => Resources::Unchanged,
        }
    }

    /// What policy is told.
    pub(crate) fn decision(self) -> Option<CommitDecision> {
        match self {
            Self::Allocated => Some(CommitDecision::ResourcesAllocated),
            Self::Modified => Some(CommitDecision::ResourcesModified),
            Self::Unchanged | Self::Released => None,
        }
    }
}

/// All reservations.
pub(crate) struct Reservations {
    pools: Pools,
    /// What is large in boxes: a table is half empty now and then.
    reservations: HashMap<Box<ReservationKey>, Box<Reservation>>,
    ranks: BTreeMap<PoolKey, Ranks<ReservationKey>>,
}

struct Reservation {
    /// By flow, in the order of the keys; never empty, and all of one service. Nearly always there
    /// is one, for which a map would take two kilobytes.
    requests: SmallVec<[(FlowKey, Request); 1]>,
    /// How many of the requests name each sender; `None` is any. Empty as long as there is but one.
    senders: BTreeMap<Option<FilterSpec>, usize>,
    merged: ServiceRequest,
}

impl Reservations {
    pub(crate) fn new(pools: Pools) -> Self {
        Self {
            pools,
            reservations: HashMap::new(),
            ranks: BTreeMap::new(),
        }
    }

    /// The reservation that a Resv on this interface has a part in.
    pub(crate) fn key(&self, interface: &Interface, flow: &FlowKey) -> ReservationKey {
        ReservationKey {
            pool: self.pools.key(interface),
            session: flow.session(),
            sender: flow.sender(),
        }
    }

    /// Whether the flow has asked for just this already, and has it.
    pub(crate) fn has(&self, key: &ReservationKey, flow: &FlowKey, request: &Request) -> bool {
        let reservation = self.reservations.get(key);
        reservation.is_some_and(|reservation| reservation.request(flow) == Some(request))
    }

    /// Finds room for a request, in place of what the flow has asked for there until now: names the
    /// flows that have to give way first.
    pub(crate) fn room_for(
        &self,
        key: &ReservationKey,
        flow: &FlowKey,
        request: &Request,
    ) -> Result<Vec<FlowKey>, Refusal> {
        self.pools.check_flow(key.pool, rate(&request.service))?;
        let reservation = self.reservations.get(key);
        let merged = reservation.map_or(Some(request.service), |reservation| {
            reservation.merged_with(flow, request)
        });
        let asked = rate(&merged.ok_or(Refusal::ServiceConflict)?);
        let own = reservation.map_or(0, |reservation| rate(&reservation.merged));
        match self.pools.free(key.pool, own) {
            Some(free) if asked > free => self.preempt(key, request.priority, asked, free),
            _ => Ok(Vec::new()),
        }
    }

    /// Puts a request in that there is room for, in place of what the flow has asked for there.
    pub(crate) fn put(&mut self, key: ReservationKey, flow: FlowKey, request: Request) -> Change {
        let before = self.standing(&key);
        let change = match self.reservations.get_mut(&key) {
            Some(reservation) => reservation.put(flow, request),
            None => {
                let reservation = Reservation::new(flow, request);
                self.reservations
                    .insert(Box::new(key), Box::new(reservation));
                Change::Allocated
            }
        };
        self.count(key, before);
        change
    }

    /// Takes a flow's request out.
    pub(crate) fn remove(&mut self, key: &ReservationKey, flow: &FlowKey) -> Change {
        let before = self.standing(key);
        let Some(reservation) = self.reservations.get_mut(key) else {
            return Change::Unchanged;
        };
        let change = reservation.remove(flow);
        if change == Change::Released {
            self.reservations.remove(key);
        }
        self.count(*key, before);
        change
    }

    /// Leaves only these senders, in ascending order, to a flow's request.
    pub(crate) fn narrow(
        &mut self,
        key: &ReservationKey,
        flow: &FlowKey,
        senders: Senders,
    ) -> Change {
        // It takes as much as before.
        match self.reservations.get_mut(key) {
            Some(reservation) => reservation.narrow(flow, senders),
            None => Change::Unchanged,
        }
    }

    fn standing(&self, key: &ReservationKey) -> Option<Standing> {
        let reservation = self.reservations.get(key)?;
        Some(Standing {
            priority: reservation.priority()?,
            rate: rate(&reservation.merged),
        })
    }

    /// Counts what a reservation takes of its pool now, instead of what it took before.
    fn count(&mut self, key: ReservationKey, before: Option<Standing>) {
        let after = self.standing(&key);
        let rate = |standing: Option<Standing>| standing.map_or(0, |standing| standing.rate);
        self.pools.change(key.pool, rate(before), rate(after));
        if self.may_preempt(key.pool) {
            let ranks = self.ranks.entry(key.pool).or_default();
            ranks.change(key, before, after);
        }
    }

    fn may_preempt(&self, pool: PoolKey) -> bool {
        self.pools.config(pool).is_some_and(|pool| pool.preemption)
    }

    /// The pools.
    pub(crate) fn pools(&self) -> &Pools {
        &self.pools
    }

    /// Takes other numbers for the same interfaces; whether they are the same.
    pub(crate) fn set_bandwidth(&mut self, interfaces: &[(InterfaceName, PoolConfig)]) -> bool {
        self.pools.replace(interfaces)
    }

    /// Takes other entries of interfaces. Nothing may be reserved on those that have another one.
    pub(crate) fn set_entries(&mut self, entries: BTreeMap<u32, usize>) {
        self.pools.set_entries(entries);
    }

    /// Notes that a message came in on an interface.
    pub(crate) fn is_used(&mut self, interface: &Interface) {
        self.pools.is_used(interface);
    }

    /// What is reserved.
    pub(crate) fn merged(&self, key: &ReservationKey) -> Option<ServiceRequest> {
        self.reservations
            .get(key)
            .map(|reservation| reservation.merged)
    }

    /// The senders that a reservation is for; none for any.
    pub(crate) fn senders(&self, key: &ReservationKey) -> Vec<FilterSpec> {
        let reservation = self.reservations.get(key);
        let requests = reservation.map_or(&[][..], |reservation| &reservation.requests);
        if requests
            .iter()
            .any(|(_, request)| request.senders.is_empty())
        {
            return Vec::new();
        }
        let named = requests.iter().flat_map(|(_, request)| &request.senders);
        named
            .copied()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }

    /// Some flow of a reservation, and what is reserved.
    pub(crate) fn first(&self, key: &ReservationKey) -> Option<(FlowKey, ServiceRequest)> {
        let reservation = self.reservations.get(key)?;
        let (flow, _) = reservation.requests.first()?;
        Some((*flow, reservation.merged))
    }

    /// The flows that give way so that a reservation can take `asked`, of which `free` is free:
    /// those of the lowest priorities, and no more than it takes.
    fn preempt(
        &self,
        key: &ReservationKey,
        priority: Priority,
        asked: u64,
        free: u64,
    ) -> Result<Vec<FlowKey>, Refusal> {
        let Some(ranks) = self.ranks.get(&key.pool) else {
            return Err(Refusal::Bandwidth { asked, free });
        };
        let own = self.standing(key).filter(|own| own.priority < priority);
        let own = own.map_or(0, |own| own.rate);
        let lower = ranks.taken_below(priority) - u128::from(own);
        let most = free.saturating_add(u64::try_from(lower).unwrap_or(u64::MAX));
        if asked > most {
            return Err(Refusal::Bandwidth { asked, free: most });
        }
        let mut free = free;
        let mut flows = Vec::new();
        for lower in ranks.below(priority).filter(|lower| lower != key) {
            if free >= asked {
                break;
            }
            if let Some(reservation) = self.reservations.get(&lower) {
                free = free.saturating_add(rate(&reservation.merged));
                flows.extend(reservation.requests.iter().map(|(flow, _)| *flow));
            }
        }
        Ok(flows)
    }
}

impl Reservation {
    fn new(flow: FlowKey, request: Request) -> Self {
        Self {
            merged: request.service,
            senders: BTreeMap::new(),
            requests: SmallVec::from_buf([(flow, request)]),
        }
    }

    fn find(&self, flow: &FlowKey) -> Result<usize, usize> {
        self.requests.binary_search_by(|(key, _)| key.cmp(flow))
    }

    fn request(&self, flow: &FlowKey) -> Option<&Request> {
        let place = self.find(flow).ok()?;
        self.requests.get(place).map(|(_, request)| request)
    }

    /// The greatest of the requests' priorities.
    fn priority(&self) -> Option<Priority> {
        let requests = self.requests.iter();
        requests.map(|(_, request)| request.priority).max()
    }

    /// All requests merged, with this one in place of the flow's; `None` if they are for different
    /// services.
    fn merged_with(&self, flow: &FlowKey, request: &Request) -> Option<ServiceRequest> {
        let others = self.requests.iter().filter(|(other, _)| other != flow);
        others
            .map(|(_, other)| other.service)
            .try_fold(request.service, |merged, other| merged.merge(&other))
    }

    fn put(&mut self, flow: FlowKey, request: Request) -> Change {
        let merged = self.merged_with(&flow, &request).unwrap_or(request.service);
        if let [(only, old)] = &mut self.requests[..] {
            if *only == flow {
                let is_changed = old.senders != request.senders;
                *old = request;
                return self.changed(merged, is_changed);
            }
        }
        if let [(_, only)] = &self.requests[..] {
            self.senders = only.named().map(|sender| (sender, 1)).collect();
        }
        let mut is_changed = self.count(&request);
        match self.find(&flow) {
            Ok(place) => {
                let old = std::mem::replace(&mut self.requests[place].1, request);
                is_changed |= self.discount(&old);
            }
            Err(place) => self.requests.insert(place, (flow, request)),
        }
        self.changed(merged, is_changed)
    }

    fn remove(&mut self, flow: &FlowKey) -> Change {
        let Ok(place) = self.find(flow) else {
            return Change::Unchanged;
        };
        let (_, request) = self.requests.remove(place);
        let mut services = self.requests.iter().map(|(_, request)| request.service);
        let Some(first) = services.next() else {
            return Change::Released;
        };
        let merged = services.try_fold(first, |merged, other| merged.merge(&other));
        let is_changed = self.discount(&request);
        if self.requests.len() == 1 {
            self.senders.clear();
        }
        self.changed(merged.unwrap_or(first), is_changed)
    }

    fn narrow(&mut self, flow: &FlowKey, senders: Senders) -> Change {
        match self.request(flow) {
            Some(request) => {
                let request = Request {
                    senders,
                    ..request.clone()
                };
                self.put(*flow, request)
            }
            None => Change::Unchanged,
        }
    }

    fn changed(&mut self, merged: ServiceRequest, are_senders_changed: bool) -> Change {
        let is_changed = are_senders_changed || merged != self.merged;
        self.merged = merged;
        if is_changed {
            Change::Modified
        } else {
            Change::Unchanged
        }
    }

    /// Counts the senders of a request, and says whether the reservation had not all of them yet.
    fn count(&mut self, request: &Request) -> bool {
        let mut is_new = false;
        for sender in request.named() {
            let count = self.senders.entry(sender).or_default();
            is_new |= *count == 0;
            *count += 1;
        }
        is_new
    }

    /// Counts the senders of a request no more, and says whether it was the last with some of them.
    fn discount(&mut self, request: &Request) -> bool {
        let mut is_gone = false;
        for sender in request.named() {
            if let Entry::Occupied(mut count) = self.senders.entry(sender) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                    is_gone = true;
                }
            }
        }
        is_gone
    }
}

impl Request {
    /// The senders; `None` for any sender.
    fn named(&self) -> impl Iterator<Item = Option<FilterSpec>> + use<'_> {
        let any = self.senders.is_empty().then_some(None);
        any.into_iter()
            .chain(self.senders.iter().copied().map(Some))
    }
}
