//! What all next hops together want of a previous hop (RFC 2209, RESV REFRESH).

use std::net::IpAddr;
use std::time::Duration;

use foldhash::{HashSet, HashSetExt};
use lpm_rsvp::{FilterSpec, Message, ObjectIndex, ResvStyle, ServiceRequest, class};
use smallvec::SmallVec;

use super::output::Route;
use super::state::{Blockade, PassedOn, PathState, ResvState, SessionState, Wanted};
use super::wire::object;
use crate::state::Senders;

/// The reservations of a session by their senders, so that those for one are found among thousands.
pub(crate) struct BySender<'a> {
    /// In the order of senders; `None`, which comes first, for any.
    resvs: Vec<(Option<&'a FilterSpec>, &'a ResvState)>,
    /// Those in force, likewise.
    blockades: Vec<&'a Blockade>,
}

impl<'a> BySender<'a> {
    /// Of the reservations that count.
    pub(crate) fn new(
        session: &'a SessionState,
        now: Duration,
        counts: impl Fn(&ResvState) -> bool,
    ) -> Self {
        let mut resvs = Vec::new();
        for resv in session.resvs.values().filter(|resv| counts(resv)) {
            match &resv.senders[..] {
                [] => resvs.push((None, resv)),
                senders => resvs.extend(senders.iter().map(|sender| (Some(sender), resv))),
            }
        }
        // What is for one sender stays in the order of next hops.
        resvs.sort_by_key(|(sender, _)| *sender);
        let blockades = session.blockades.iter();
        let mut blockades: Vec<_> = blockades.filter(|blockade| blockade.until > now).collect();
        blockades.sort_by_key(|blockade| blockade.sender);
        Self { resvs, blockades }
    }

    /// The reservations for a sender, whose data goes this way.
    fn matching(
        &self,
        sender: &FilterSpec,
        path: &PathState,
    ) -> impl Iterator<Item = &'a ResvState> {
        let by = path.route;
        let of = [None, Some(sender)].map(|sender| run(&self.resvs, |(other, _)| *other, sender));
        let resvs = of.into_iter().flatten().map(|(_, resv)| *resv);
        resvs.filter(move |resv| by == Some(Route::Out(resv.interface.index)))
    }

    /// Whether nothing that is asked of a previous hop for these senders is left of it.
    pub(crate) fn is_all_blockaded(
        &self,
        mut paths: impl Iterator<Item = (&'a FilterSpec, &'a PathState)>,
        previous_hop: IpAddr,
    ) -> bool {
        paths.all(|(sender, path)| {
            let mut resvs = self.matching(sender, path);
            resvs.all(|resv| self.is_blockaded(resv, sender, previous_hop))
        })
    }

    /// Whether a request for a sender is left out of what is asked of a previous hop, since one
    /// that is not greater failed there.
    fn is_blockaded(&self, resv: &ResvState, sender: &FilterSpec, previous_hop: IpAddr) -> bool {
        let of = [None, Some(*sender)];
        let of = of.map(|sender| run(&self.blockades, |blockade| blockade.sender, sender));
        of.into_iter().flatten().any(|blockade| {
            blockade.previous_hop == previous_hop && !is_greater(&blockade.service, &resv.service)
        })
    }

    /// The least upper bound of the requests that are not blockaded. Where all are, the least of
    /// them.
    fn merged(
        &self,
        resvs: &[&ResvState],
        sender: &FilterSpec,
        path: &PathState,
    ) -> Option<ServiceRequest> {
        let is_free = |resv: &&&ResvState| !self.is_blockaded(resv, sender, path.hop.address);
        let free = resvs.iter().filter(is_free).map(|resv| resv.service);
        let merge = |a: ServiceRequest, b: ServiceRequest| a.merge(&b).unwrap_or(a);
        free.reduce(merge).or_else(|| {
            let all = resvs.iter().map(|resv| resv.service);
            all.reduce(|a, b| if is_greater(&a, &b) { b } else { a })
        })
    }
}

/// Those of a list in the order of their keys that have this one.
fn run<T, K: Ord>(list: &[T], key: impl Fn(&T) -> K, wanted: K) -> &[T] {
    let start = list.partition_point(|item| key(item) < wanted);
    let rest = list.get(start..).unwrap_or_default();
    let end = rest.partition_point(|item| key(item) <= wanted);
    rest.get(..end).unwrap_or_default()
}

/// What is to be asked of the previous hop of these senders of a session, by the reservations that
/// are in force; `None` for nothing.
pub(crate) fn wanted(
    session: &SessionState,
    in_force: &BySender<'_>,
    paths: &[(&FilterSpec, &PathState)],
) -> Option<Wanted> {
    let mut style = None;
    let mut flows: SmallVec<[(ServiceRequest, Senders); 1]> = SmallVec::new();
    let mut scope = Vec::new();
    let mut passed_on = PassedOn::new();
    let (mut passed, mut objects) = (HashSet::new(), HashSet::new());
    for &(sender, path) in paths {
        let resvs: Vec<_> = in_force.matching(sender, path).collect();
        let Some(service) = in_force.merged(&resvs, sender, path) else {
            continue;
        };
        for resv in resvs {
            style.get_or_insert(resv.style);
            if passed.insert(std::ptr::from_ref(resv)) {
                pass_on(resv, &mut objects, &mut passed_on);
            }
            if resv.scope.is_empty() || resv.scope.contains(&sender.address()) {
                scope.push(sender.address());
            }
        }
        match (style, flows.first_mut()) {
            (Some(ResvStyle::FixedFilter), _) | (_, None) => {
                flows.push((service, Senders::from_elem(*sender, 1)));
            }
            (_, Some((shared, senders))) => {
                // Services that do not merge are refused before they get here.
                *shared = shared.merge(&service).unwrap_or(*shared);
                senders.push(*sender);
            }
        }
    }
    let style = style?;
    let has_others = paths.len() != session.paths.len();
    if style == ResvStyle::WildcardFilter {
        flows.iter_mut().for_each(|(_, senders)| senders.clear());
        if has_others && scope.is_empty() {
            return None;
        }
    }
    // Shared trees aside, more than one previous hop means that each is told which senders are its
    // own.
    if style != ResvStyle::WildcardFilter || !has_others {
        scope.clear();
    }
    scope.sort_unstable();
    scope.dedup();
    let (_, path) = paths.first()?;
    // It is kept, and vectors begin with room for four.
    flows.shrink_to_fit();
    passed_on.shrink_to_fit();
    Some(Wanted {
        style,
        flows,
        scope: scope.into(),
        logical_interface: path.hop.logical_interface,
        passed_on,
    })
}

/// Whether a request is strictly greater than another one.
pub(crate) fn is_greater(one: &ServiceRequest, other: &ServiceRequest) -> bool {
    one != other
        && match (one, other) {
            (ServiceRequest::ControlledLoad(a), ServiceRequest::ControlledLoad(b)) => {
                a.substitutes(b)
            }
            (ServiceRequest::Guaranteed(a, r), ServiceRequest::Guaranteed(b, s)) => {
                a.substitutes(b) && r.substitutes(s)
            }
            _ => false,
        }
}

/// Takes what of a Resv goes on to the previous hop, each different object once.
fn pass_on(resv: &ResvState, objects: &mut HashSet<Box<[u8]>>, passed_on: &mut PassedOn) {
    let mut index = ObjectIndex::new();
    let Ok(message) = Message::parse(&resv.said, &mut index) else {
        return;
    };
    for entry in message.entries() {
        if entry.class == class::POLICY_DATA || entry.class >= 192 {
            let object = object(&message, entry);
            if objects.insert(object.into()) {
                passed_on.push(object.into());
            }
        }
    }
}
