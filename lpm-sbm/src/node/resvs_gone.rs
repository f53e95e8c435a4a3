//! Reservation state ends: torn down, refused, or without a sender.

use std::time::Duration;

use lpm_api::{DeleteReason, FlowKey};
use lpm_rsvp::{FilterSpec, Message, MessageType, ObjectIndex, Session};

use super::deadlines::Due;
use super::output::{DropReason, Packet, Routes, Ruling};
use super::receive::{hop_of, session_of};
use super::reliable::is_out_of_order;
use super::said::said;
use super::state::PathState;
use crate::message_ids::StateId;
use crate::node::Node;

impl<R: Routes> Node<R> {
    pub(super) fn resv_tear(
        &mut self,
        now: Duration,
        packet: &Packet<'_>,
        message: &Message<'_>,
    ) -> Result<(), DropReason> {
        let session = session_of(message)?;
        let hop = hop_of(message)?;
        let interface = self.outgoing_interface(packet, hop, session)?;
        let id = StateId::of(message);
        let flows: Vec<_> = message
            .flow_descriptors()
            .filter_map(|descriptor| {
                let flow = FlowKey::of(message, &descriptor)?;
                let torn: Vec<FilterSpec> = descriptor.filters().collect();
                let kept = self.sessions.get(&session)?.resvs.get(&flow)?;
                let is_meant = Some(kept.style) == message.style();
                is_meant.then_some((flow, torn, is_out_of_order(kept.id.get(), id)))
            })
            .collect();
        if flows.is_empty() {
            return Err(DropReason::NoState);
        }
        if flows.iter().any(|(_, _, is_late)| *is_late) {
            return Err(DropReason::OutOfOrder);
        }
        self.tell_torn(session, packet, interface);
        for (flow, torn, _) in flows {
            let reason = DeleteReason::ReceivedResvTear;
            self.record(MessageType::ResvTear, flow, Ruling::Removed(reason));
            if torn.is_empty() || !self.leave_out(flow, &torn) {
                self.remove_resv(&flow, None);
            }
        }
        self.update_upstream(now, session, true);
        self.clear(session);
        Ok(())
    }

    /// Takes senders out of a reservation, and says whether others are left in it. If not, nothing
    /// is changed.
    fn leave_out(&mut self, flow: FlowKey, gone: &[FilterSpec]) -> bool {
        let Some(resv) = self.resv(&flow) else {
            return false;
        };
        let mut left = resv.senders.clone();
        left.retain(|sender| !gone.contains(sender));
        if left.is_empty() {
            return false;
        }
        let mut index = ObjectIndex::new();
        let narrowed = Message::parse(&resv.said, &mut index)
            .ok()
            .and_then(|message| {
                let descriptor = message.flow_descriptors().next()?;
                Some(said(&message, &descriptor, |sender| left.contains(sender)))
            });
        resv.senders = left.clone();
        let interface = resv.interface;
        if let Some(narrowed) = narrowed {
            let (old, new) = (resv.said.len(), narrowed.len());
            resv.said = narrowed;
            self.bytes = self.bytes - old + new;
        }
        self.narrow_bandwidth(&flow, interface, left);
        true
    }

    /// Removes a reservation; LPMs are told for this reason, if they do not know. Whether there was
    /// one.
    pub(super) fn remove_resv(&mut self, flow: &FlowKey, told: Option<DeleteReason>) -> bool {
        let kept = self.sessions.get_mut(&flow.session());
        let Some(resv) = kept.and_then(|kept| kept.resvs.remove(flow)) else {
            return false;
        };
        self.deadlines.remove(resv.look, Due::Resv(*flow));
        self.message_ids.change(flow, resv.id.get(), None);
        self.flows -= 1;
        self.bytes -= resv.said.len();
        self.give_bandwidth_back(flow, resv.interface);
        if let Some(reason) = told {
            self.tell_gone(flow.session(), &resv.said, resv.interface, reason);
            self.record(MessageType::Resv, *flow, Ruling::Removed(reason));
        }
        true
    }

    /// A sender is gone: reservations that are for it alone go, too (RFC 2205 §3.1.5).
    pub(super) fn sender_is_gone(
        &mut self,
        session: Session,
        sender: FilterSpec,
        path: &PathState,
        reason: DeleteReason,
    ) {
        let Some(kept) = self.sessions.get(&session) else {
            return;
        };
        let resvs = kept.resvs.iter();
        let resvs: Vec<_> = resvs
            .filter(|(_, resv)| resv.is_for(&sender, path))
            .map(|(flow, resv)| (*flow, resv.senders.is_empty(), resv.interface.index))
            .collect();
        for (flow, is_for_any, interface) in resvs {
            let has_others = if is_for_any {
                let kept = self.sessions.get(&session);
                kept.is_some_and(|kept| kept.senders_by(interface).next().is_some())
            } else {
                self.leave_out(flow, &[sender])
            };
            if !has_others {
                self.remove_resv(&flow, Some(reason));
            }
        }
    }
}
