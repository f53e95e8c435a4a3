//! Interfaces and routes that change.

use std::collections::BTreeMap;
use std::time::Duration;

use foldhash::{HashMap, HashMapExt};
use lpm_api::DeleteReason;

use super::deadlines::Due;
use super::output::{NodeInterface, Route, Routes};
use crate::node::Node;

/// W of RFC 2205 §3.6: how long to wait until routes have settled.
const SETTLE: Duration = Duration::from_secs(2);

impl<R: Routes> Node<R> {
    /// The interfaces that RSVP runs on are these now. Reservations on others are gone, and so are
    /// those on interfaces that other bandwidth is configured for, by their addresses now.
    pub fn set_interfaces(
        &mut self,
        now: Duration,
        interfaces: impl IntoIterator<Item = NodeInterface>,
    ) {
        let interfaces = interfaces.into_iter();
        let interfaces: BTreeMap<_, _> = interfaces
            .map(|interface| (interface.index, interface))
            .collect();
        let old = std::mem::replace(&mut self.interfaces, interfaces).into_iter();
        let changed = old.filter(|(index, old)| self.interfaces.get(index) != Some(old));
        self.changed_interfaces
            .extend(changed.map(|(index, _)| index));
        let pools = self.reservations.pools();
        let entries = self.interfaces.values().filter_map(|interface| {
            let entry = pools.entry_of(interface.index, &interface.addresses)?;
            Some((interface.index, entry))
        });
        let entries: BTreeMap<_, _> = entries.collect();
        let mut gone = Vec::new();
        for kept in self.sessions.values() {
            for (flow, resv) in kept.resvs.iter() {
                let index = &resv.interface.index;
                let is_same = entries.get(index) == pools.entries().get(index);
                if !is_same || !self.interfaces.contains_key(index) {
                    gone.push(*flow);
                }
            }
        }
        gone.sort_unstable();
        for flow in gone {
            self.remove_resv(&flow, Some(DeleteReason::StateTimeout));
            self.update_upstream(now, flow.session(), true);
        }
        self.reservations.set_entries(entries);
        self.routes_changed(now);
    }

    /// Routes have changed: Paths follow them once they have settled (RFC 2205 §3.6).
    pub fn routes_changed(&mut self, now: Duration) {
        if self.repair_at.is_none() {
            let at = now + SETTLE;
            self.repair_at = Some(at);
            self.deadlines.add(at, Due::Repair);
        }
    }

    /// Sends the Paths whose route is another one than before that way, and those whose interface
    /// was gone in between, or has other addresses: nobody there may know of them.
    pub(super) fn repair(&mut self, now: Duration) {
        self.repair_at = None;
        let interfaces = std::mem::take(&mut self.changed_interfaces);
        self.names.doubt_paths();
        let mut routes = HashMap::new();
        let mut changed = Vec::new();
        for (session, kept) in &self.sessions {
            for (sender, path) in kept.paths.iter() {
                let ends = (session.address(), sender.address());
                let route = *routes
                    .entry(ends)
                    .or_insert_with(|| self.routes.route(ends.0, ends.1));
                let is_same = route == path.route
                    && !matches!(route, Some(Route::Out(index)) if interfaces.contains(&index));
                if !is_same {
                    changed.push((*session, *sender, route));
                }
            }
        }
        changed.sort_unstable_by_key(|(session, sender, _)| (*session, *sender));
        for (session, sender, route) in changed {
            let version = self.number();
            let kept = self.sessions.get_mut(&session);
            if let Some(path) = kept.and_then(|kept| kept.paths.get_mut(&sender)) {
                path.route = route;
                path.version = version;
            }
            self.forward_path(session, sender);
            // The previous hop keeps its reservation until the new way has one.
            self.update_upstream(now, session, false);
        }
    }
}
