//! What time brings: refreshes, and the end of state that is not refreshed.

use std::time::Duration;

use lpm_api::FlowKey;
use lpm_rsvp::{FilterSpec, Session};

use super::deadlines::{Due, Moment};
use super::output::Routes;
use crate::node::{Node, end};

impl<R: Routes> Node<R> {
    /// Does what is due.
    pub fn tick(&mut self, now: Duration) {
        self.names.now = now;
        while let Some((time, due)) = self.deadlines.take(now.into()) {
            match due {
                Due::Path(session, sender) => self.path_is_due(now, time, session, sender),
                Due::Resv(flow) => self.resv_is_due(now, time, flow),
                Due::Upstream(session, hop) => {
                    let kept = self.sessions.get(&session);
                    let upstream = kept.and_then(|kept| kept.upstream.get(&hop));
                    if upstream.is_some_and(|upstream| upstream.look == time) {
                        self.refresh_upstream(now, session, hop);
                    }
                }
                Due::Blockade(session) => {
                    if let Some(kept) = self.sessions.get_mut(&session) {
                        kept.blockades.retain(|blockade| blockade.until > now);
                        self.update_upstream(now, session, true);
                    }
                }
                Due::Repair => self.repair(now),
                Due::Retry(name) => self.retry(time.into(), name),
                Due::Summary(neighbour) => self.summarize(now, neighbour),
            }
        }
    }

    fn path_is_due(&mut self, now: Duration, time: Moment, session: Session, sender: FilterSpec) {
        let kept = self.sessions.get(&session);
        let Some(path) = kept.and_then(|kept| kept.paths.get(&sender)) else {
            return;
        };
        if path.look != time {
            return;
        }
        if end(path.life) <= now.into() {
            let reason = path.life.deadline().reason;
            self.remove_path(now, session, sender, Some(reason));
        } else if path.refresh_at <= now.into() {
            self.refresh_path(now, session, sender);
        } else {
            self.look_at_path(session, sender);
        }
    }

    fn resv_is_due(&mut self, now: Duration, time: Moment, flow: FlowKey) {
        let Some(resv) = self.resv(&flow) else {
            return;
        };
        if resv.look != time {
            return;
        }
        if end(resv.life) <= now.into() {
            let reason = resv.life.deadline().reason;
            self.remove_resv(&flow, Some(reason));
            self.update_upstream(now, flow.session(), true);
            self.clear(flow.session());
        } else {
            self.look_at_resv(flow);
        }
    }

    /// Ends: tears down everything in the neighbours, and gives what was reserved back. LPMs are
    /// not told of each flow: they are deinitialized.
    pub fn stop(&mut self, now: Duration) {
        self.names.now = now;
        let mut sessions: Vec<_> = self.sessions.keys().copied().collect();
        sessions.sort_unstable();
        for session in sessions {
            self.tear_all_upstream(session);
            let kept = self.sessions.get(&session);
            let senders = kept.map(|kept| kept.paths.keys().copied().collect::<Vec<_>>());
            for sender in senders.unwrap_or_default() {
                self.remove_path(now, session, sender, None);
            }
        }
        self.unreserve_all();
    }
}
