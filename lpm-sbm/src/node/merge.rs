//! What all next hops together want of a previous hop (RFC 2209, RESV REFRESH).

use std::net::IpAddr;
use std::time::Duration;

use lpm_rsvp::{FilterSpec, Message, ObjectIndex, ResvStyle, ServiceRequest, class};
use smallvec::SmallVec;

use super::state::{PassedOn, PathState, ResvState, SessionState, Wanted};
use super::wire::object;
use crate::state::Senders;

/// What is to be asked of the previous hop of these senders of a session; `None` for nothing.
pub(crate) fn wanted(
    session: &SessionState,
    paths: &[(&FilterSpec, &PathState)],
    now: Duration,
) -> Option<Wanted> {
    let mut style = None;
    let mut flows: SmallVec<[(ServiceRequest, Senders); 1]> = SmallVec::new();
    let mut scope = Vec::new();
    let mut passed_on = PassedOn::new();
    for &(sender, path) in paths {
        let resvs: Vec<_> = matching(session, sender, path).collect();
        let Some(service) = merged(&resvs, session, sender, path, now) else {
            continue;
        };
        for resv in resvs {
            style.get_or_insert(resv.style);
            pass_on(resv, &mut passed_on);
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
    scope.shrink_to_fit();
    passed_on.shrink_to_fit();
    Some(Wanted {
        style,
        flows,
        scope,
        logical_interface: path.hop.logical_interface,
        passed_on,
    })
}

/// The reservations for a sender that are in force.
fn matching<'a>(
    session: &'a SessionState,
    sender: &'a FilterSpec,
    path: &'a PathState,
) -> impl Iterator<Item = &'a ResvState> {
    let resvs = session.resvs.values();
    resvs.filter(move |resv| resv.is_reserved && resv.is_for(sender, path))
}

/// The least upper bound of the requests that are not blockaded. Where all are, the least of them.
fn merged(
    resvs: &[&ResvState],
    session: &SessionState,
    sender: &FilterSpec,
    path: &PathState,
    now: Duration,
) -> Option<ServiceRequest> {
    let is_free = |resv: &&&ResvState| !is_blockaded(session, resv, sender, path.hop.address, now);
    let free = resvs.iter().filter(is_free);
    let free = free.map(|resv| resv.service);
    let merge = |a: ServiceRequest, b: ServiceRequest| a.merge(&b).unwrap_or(a);
    free.reduce(merge).or_else(|| {
        let all = resvs.iter().map(|resv| resv.service);
        all.reduce(|a, b| if is_greater(&a, &b) { b } else { a })
    })
}

/// Whether a request for a sender is left out of what is asked of a previous hop, since one that is
/// not greater failed there.
pub(crate) fn is_blockaded(
    session: &SessionState,
    resv: &ResvState,
    sender: &FilterSpec,
    previous_hop: IpAddr,
    now: Duration,
) -> bool {
    session.blockades.iter().any(|blockade| {
        blockade.previous_hop == previous_hop
            && blockade.sender.is_none_or(|own| own == *sender)
            && blockade.until > now
            && !is_greater(&blockade.service, &resv.service)
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
fn pass_on(resv: &ResvState, passed_on: &mut PassedOn) {
    let mut index = ObjectIndex::new();
    let Ok(message) = Message::parse(&resv.said, &mut index) else {
        return;
    };
    for entry in message.entries() {
        if entry.class == class::POLICY_DATA || entry.class >= 192 {
            let object = object(&message, entry);
            if !passed_on.iter().any(|other| **other == *object) {
                passed_on.push(object.into());
            }
        }
    }
}
