//! Bandwidth, and the kernel: what policy has accepted is admitted, reserved, and committed, in
//! this order. Where a step fails those before it are undone.

use std::net::IpAddr;
use std::time::Duration;

use lpm_api::{DeleteReason, FlowKey, Interface};
use lpm_rsvp::{ErrorSpec, MessageType};

use super::output::{Command, News, Notice, Output, Reserved, Routes, Ruling};
use super::state::{Installed, ResvState};
use super::waiting::{Channel, Reserving};
use crate::bandwidth::rate;
use crate::node::Node;
use crate::refusal::Refusal;
use crate::reservations::{Change, Request, ReservationKey};
use crate::state::Senders;

/// Service preempted (RFC 2205, appendix B).
const PREEMPTED: u16 = 12;
/// Traffic control system error.
const TRAFFIC_CONTROL_SYSTEM: u16 = 22;

impl<R: Routes> Node<R> {
    /// Takes bandwidth of an interface.
    pub(super) fn take_bandwidth(
        &mut self,
        now: Duration,
        flow: &FlowKey,
        interface: Interface,
        request: Request,
    ) -> Result<Change, Refusal> {
        let key = self.reservations.key(&interface, flow);
        if self.reservations.has(&key, flow, &request) {
            return Ok(Change::Unchanged);
        }
        for lower in self.reservations.room_for(&key, flow, &request)? {
            self.preempt(now, lower);
        }
        Ok(self.reservations.put(key, *flow, request))
    }

    /// A reservation gives way to one with a higher priority.
    fn preempt(&mut self, now: Duration, flow: FlowKey) {
        let Some(resv) = self.resv(&flow) else {
            return;
        };
        let (said, interface, hop) = (resv.said.clone(), resv.interface, resv.hop);
        // It was committed: that something failed would not end it for LPMs.
        self.remove_resv(&flow, Some(DeleteReason::StateTimeout));
        self.resv_error(&said, interface, hop, 0, PREEMPTED, 0);
        self.update_upstream(now, flow.session(), true);
    }

    pub(super) fn give_bandwidth_back(&mut self, flow: &FlowKey, interface: Interface) {
        let key = self.reservations.key(&interface, flow);
        let change = self.reservations.remove(&key, flow);
        self.commit_others(&key, change);
        self.tell_kernel(&key, interface);
    }

    pub(super) fn narrow_bandwidth(&mut self, flow: &FlowKey, interface: Interface, left: Senders) {
        let key = self.reservations.key(&interface, flow);
        let change = self.reservations.narrow(&key, flow, left);
        self.commit_others(&key, change);
        self.tell_kernel(&key, interface);
    }

    /// Tells LPMs that a reservation has changed by what left it.
    fn commit_others(&mut self, key: &ReservationKey, change: Change) {
        if let Some((flow, _)) = self.reservations.first(key) {
            self.commit(flow, change);
        }
    }

    fn commit(&mut self, flow: FlowKey, change: Change) {
        let Some(decision) = change.decision() else {
            return;
        };
        let Some(resv) = self.resv(&flow) else {
            return;
        };
        let (bytes, interface) = (resv.said.to_vec(), resv.interface);
        let key = self.reservations.key(&interface, &flow);
        if let Some(merged) = self.reservations.merged(&key) {
            self.outputs.push_back(Output::Tell(Notice {
                session: flow.session(),
                bytes,
                interface,
                news: News::Committed { decision, merged },
            }));
        }
    }

    /// Has the kernel reserve what a flow has got, and goes on when it has.
    pub(super) fn reserve(
        &mut self,
        channel: Channel,
        flow: FlowKey,
        before: Option<ResvState>,
        change: Change,
        confirm: Option<IpAddr>,
    ) {
        let Some(resv) = self.resv(&flow) else {
            return;
        };
        let (interface, version) = (resv.interface, resv.version);
        let key = self.reservations.key(&interface, &flow);
        let command = self.tell_kernel(&key, interface);
        match command {
            Some(id) => {
                self.waiting.open(channel);
                let reserving = Reserving {
                    flow,
                    version,
                    change,
                    before,
                    confirm,
                    channel,
                };
                self.waiting.reserve(id, reserving);
            }
            None => {
                self.commit(flow, change);
                self.waiting.in_force(channel, (flow, version, confirm));
            }
        }
    }

    /// The kernel has done what a command asked for, or cannot.
    pub fn reserved(&mut self, now: Duration, id: u64, is_done: bool) {
        self.names.now = now;
        let Some(reserving) = self.waiting.reserved(id) else {
            return;
        };
        let flow = reserving.flow;
        let resv = self.resv(&flow);
        let is_current = resv.is_some_and(|resv| resv.version == reserving.version);
        match (is_current, is_done) {
            (true, true) => {
                self.commit(flow, reserving.change);
                let in_force = (flow, reserving.version, reserving.confirm);
                self.waiting.in_force(reserving.channel, in_force);
            }
            (true, false) => self.undo(now, flow, reserving.before),
            (false, _) => {}
        }
        self.close(now, reserving.channel);
    }

    /// One more answer came that a message of a channel waits for. After the last one previous hops
    /// hear of all that it has got, at once, and it is the next one's turn.
    pub(super) fn close(&mut self, now: Duration, channel: Channel) {
        if !self.waiting.close(channel) {
            return;
        }
        let mut confirm = Vec::new();
        let mut of = None;
        for (flow, version, receiver) in self.waiting.all_in_force(channel) {
            let resv = self.resv(&flow);
            if let Some(resv) = resv.filter(|resv| resv.version == version) {
                resv.is_reserved = true;
                of = Some(flow.session());
                confirm.extend(receiver.map(|receiver| (flow, receiver)));
            }
        }
        if let Some(session) = of {
            self.update_and_confirm(now, session, &confirm, true);
        }
        self.go_on(now, channel);
    }

    /// The kernel has not reserved what a flow was to get: it has what it had before.
    fn undo(&mut self, now: Duration, flow: FlowKey, before: Option<ResvState>) {
        let Some(failed) = self.resv(&flow).map(|resv| resv.clone()) else {
            return;
        };
        self.record(MessageType::Resv, flow, Ruling::NotReserved);
        let reason = DeleteReason::AdmissionControlFailed;
        self.tell_gone(flow.session(), &failed.said, failed.interface, reason);
        let in_place = u8::from(before.is_some()) * ErrorSpec::IN_PLACE;
        match before {
            Some(before) => {
                let request = Request {
                    service: before.service,
                    senders: before.senders.clone(),
                    priority: before.priority,
                };
                if before.interface != failed.interface {
                    self.give_bandwidth_back(&flow, failed.interface);
                }
                let interface = before.interface;
                let key = self.reservations.key(&interface, &flow);
                self.put_resv(flow, before);
                self.reservations.put(key, flow, request);
                self.tell_kernel(&key, interface);
            }
            None => {
                self.remove_resv(&flow, None);
            }
        }
        let code = TRAFFIC_CONTROL_SYSTEM;
        self.resv_error(
            &failed.said,
            failed.interface,
            failed.hop,
            in_place,
            code,
            0,
        );
        self.update_upstream(now, flow.session(), true);
        self.clear(flow.session());
    }

    /// Tells the kernel what a reservation is now, if that has changed. The number of the command.
    fn tell_kernel(&mut self, key: &ReservationKey, interface: Interface) -> Option<u64> {
        let reserved = self.wanted_of(key);
        let old = self.installed.get(key);
        let is_told = match (old, &reserved) {
            (None, None) => true,
            (Some(old), Some(new)) => {
                old.senders[..] == new.senders[..] && old.service == new.service
            }
            _ => false,
        };
        if is_told {
            return None;
        }
        let (reservation, index) = match old {
            Some(old) => (old.number, old.interface),
            None => (self.number(), interface.index),
        };
        match &reserved {
            Some(reserved) => {
                let installed = Box::new(Installed {
                    number: reservation,
                    interface: index,
                    senders: reserved.senders.as_slice().into(),
                    service: reserved.service,
                });
                self.installed.insert(Box::new(*key), installed);
            }
            None => drop(self.installed.remove(key)),
        }
        Some(self.command(reservation, index, reserved))
    }

    /// Has the kernel do this about a reservation. The number of the command.
    fn command(&mut self, reservation: u64, interface: u32, wanted: Option<Reserved>) -> u64 {
        let id = self.number();
        self.outputs.push_back(Output::Reserve(Command {
            id,
            reservation,
            interface,
            wanted,
        }));
        id
    }

    /// What the kernel is to have for a reservation; nothing for one that takes no bandwidth.
    fn wanted_of(&self, key: &ReservationKey) -> Option<Reserved> {
        let service = self.reservations.merged(key)?;
        (rate(&service) > 0).then(|| Reserved {
            session: key.session(),
            senders: self.reservations.senders(key),
            service,
        })
    }

    /// Gives everything back that the kernel was told to reserve.
    pub(super) fn unreserve_all(&mut self) {
        let mut installed: Vec<_> = self
            .installed
            .drain()
            .map(|(_, installed)| installed)
            .collect();
        installed.sort_unstable_by_key(|installed| std::cmp::Reverse(installed.number));
        for installed in installed {
            self.command(installed.number, installed.interface, None);
        }
    }
}
