//! What everybody has: flows, and the sums of their rates.
//!
//! The [`Ledger`] counts by subject, by direction (what a subject sends and what it receives) and
//! by subnet. A flow is counted once however often it is refreshed or repeated, moves when its
//! subject changes, and is released when its state is deleted.
//!
//! # Admitted and committed
//!
//! What is [admitted](Ledger::admit) is counted at once, so that two requests at the same time
//! cannot both have the last place. It is tentative until the PCM says that the resources are
//! allocated ([`commit`](Ledger::commit)). A change of a committed flow counts, as long as it is
//! tentative, the larger of both. When admission fails elsewhere ([`refuse`](Ledger::refuse)), what
//! was tentative is taken back, and a committed reservation stays as it was (RFC 2205 section 3.1.8
//! leaves it in place). With a PCM that never commits everything stays tentative, and a refused
//! flow is gone.
//!
//! # Handed over
//!
//! All of it but what is not decided yet can be [written](Ledger::handed_over) and [read
//! back](Ledger::take_over) by the next version of the LPM. Flows are counted then as they were,
//! whatever limits hold now.

mod accounts;
mod amount;
mod check;
mod entry;
mod expected;
mod expired;
mod flows;
mod handed_over;
#[cfg(test)]
mod tests;
mod wording;

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use lpm_api::lpm_rsvp::{FilterSpec, Session};
use lpm_api::{LpmPolicyError, Metric, Priority};
use smallvec::SmallVec;

use crate::policy::{Limits, Policy};
use crate::subject::Subject;
use accounts::Accounts;
use check::exceeded;
use entry::{Entry, Share, shares};
use expected::Expected;
use expired::Expired;
use flows::{Flows, Spot};
use lpm_api::{Direction, FlowKey};

pub use accounts::{Held, SubnetId};
pub(crate) use amount::Amounts;
pub use amount::Traffic;
pub(crate) use expected::Ticket;
pub use handed_over::{FORMAT, Unusable};
pub(crate) use wording::Wording;

/// Which subject holds which flow, and how much each holds.
#[derive(Debug)]
pub struct Ledger {
    flows: Flows,
    accounts: Accounts,
    /// Flows whose time is up.
    expired: Expired,
    /// The subnets of every policy there was, by name.
    subnets: HashMap<String, SubnetId>,
    /// Flows that were asked for and are not decided on yet.
    expected: Expected,
    /// Flows that may be counted otherwise than before, where that is wanted.
    changes: Option<Vec<FlowKey>>,
}

/// A request for a flow.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The flow.
    pub flow: FlowKey,
    /// Whose it is to be.
    pub subject: &'a Subject,
    /// The policy that the subject is of.
    pub policy: &'a Policy,
    /// Where the request came in.
    pub subnet: Option<SubnetId>,
    /// What it asks for.
    pub traffic: Traffic,
    /// The priority that it gets.
    pub priority: Priority,
    /// When it was received.
    pub received: SystemTime,
}

/// For whom a flow is counted, by the label of the account, and how much.
pub(crate) type Counted = SmallVec<[(String, Amounts); 1]>;

/// A claim that is to be reserved elsewhere, apart from subject and policy.
#[derive(Debug)]
pub(crate) struct Reservation {
    /// The account, by a name that is the same in every process.
    pub(crate) label: String,
    /// What the flow counts there then.
    pub(crate) amounts: Amounts,
    pub(crate) flow: FlowKey,
    share: Share,
    priority: Priority,
    received: SystemTime,
}

impl Ledger {
    /// A ledger in which nobody has anything.
    #[must_use]
    pub fn new() -> Self {
        Self {
            flows: Flows::default(),
            accounts: Accounts::new(),
            expired: Expired::default(),
            subnets: HashMap::new(),
            expected: Expected::default(),
            changes: None,
        }
    }

    /// Keeps a list of the flows that are counted otherwise, from now on.
    pub(crate) fn keep_changes(&mut self) {
        self.changes = Some(Vec::new());
    }

    /// The flows that may be counted otherwise since this was last called.
    pub(crate) fn take_changes(&mut self) -> Vec<FlowKey> {
        self.changes
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// What is counted for a flow: for whom, and how much.
    pub(crate) fn counted(&self, flow: &FlowKey) -> Counted {
        let shares = self.flows.get(flow).map_or([None; 2], Entry::shares);
        let mut counted = Counted::new();
        for share in shares.into_iter().flatten() {
            let label = self.accounts.label(share.account, flow.direction());
            counted.push((label, share.amounts));
        }
        counted
    }

    /// A flow was asked for, and is decided on later.
    pub(crate) fn expect(&mut self, flow: FlowKey) -> Ticket {
        self.expected.expect(flow)
    }

    /// It is decided on now. `false` if the flow is not wanted any more: its state was deleted in
    /// the meantime.
    pub(crate) fn is_still_wanted(&mut self, ticket: Ticket) -> bool {
        self.expected.settle(ticket)
    }

    /// What of this claim must be reserved elsewhere before it may be admitted; `None` if it is
    /// counted already. The account stays open until [`admit_reserved`](Self::admit_reserved) or
    /// [`give_up`](Self::give_up).
    pub(crate) fn reserve(&mut self, claim: &Claim<'_>) -> Option<Reservation> {
        let account = self.accounts.open(claim.subject, claim.policy);
        let share = Share {
            account,
            subnet: claim.subnet,
            amounts: Amounts::of(claim.traffic),
        };
        let known = self.flows.get(&claim.flow);
        if known.is_some_and(|entry| entry.is_counted_as(share)) {
            return None;
        }
        let committed = known.and_then(|entry| entry.committed);
        let amounts = match committed {
            Some(committed) if committed.account == account => {
                committed.amounts.larger(share.amounts)
            }
            _ => share.amounts,
        };
        self.accounts.hold(account);
        Some(Reservation {
            label: self.accounts.label(account, claim.flow.direction()),
            amounts,
            flow: claim.flow,
            share,
            priority: claim.priority,
            received: claim.received,
        })
    }

    /// Counts a flow that was reserved elsewhere.
    ///
    /// # Errors
    /// As [`admit`](Self::admit).
    pub(crate) fn admit_reserved(
        &mut self,
        reservation: &Reservation,
        senders: impl Iterator<Item = FilterSpec>,
        limits: &Limits,
    ) -> Result<(), LpmPolicyError> {
        let Reservation {
            flow,
            share,
            priority,
            received,
            ..
        } = *reservation;
        self.accounts.let_go(share.account);
        let spot = self.flows.spot(&flow);
        let admitted = self.admit_share(flow, spot, share, priority, received, senders, limits);
        self.note(&flow);
        admitted
    }

    /// A flow that was to be reserved elsewhere is not to be counted.
    pub(crate) fn give_up(&mut self, reservation: &Reservation) {
        self.accounts.let_go(reservation.share.account);
        self.accounts.close_if_unused(reservation.share.account);
        self.note(&reservation.flow);
    }

    fn note(&mut self, flow: &FlowKey) {
        if let Some(changes) = &mut self.changes {
            changes.push(*flow);
        }
    }

    /// The ids of a policy's subnets, in its order. A subnet is the same as one of an earlier
    /// policy that had its name.
    pub fn subnet_ids(&mut self, policy: &Policy) -> Vec<SubnetId> {
        let subnets = policy.subnets().iter();
        subnets.map(|it| self.subnet_id(&it.name)).collect()
    }

    fn subnet_id(&mut self, name: &str) -> SubnetId {
        // Beyond 65 536 different names the last ones share an account.
        let next = SubnetId(u16::try_from(self.subnets.len()).unwrap_or(u16::MAX));
        *self.subnets.entry(name.to_owned()).or_insert(next)
    }

    /// Counts a flow for a subject, as it is asked for now. One that is counted so already stays
    /// as it is; one that another subject held moves.
    ///
    /// `senders` are those of a shared explicit reservation; they replace the ones of before.
    ///
    /// # Errors
    /// A limit that the claim would exceed. Nothing has changed then, except that a flow whose
    /// time is up is gone. What a claim does not add to is not checked: a flow may be refreshed,
    /// and ask for less, also where the limit has become lower in the meantime.
    pub fn admit(
        &mut self,
        claim: &Claim<'_>,
        senders: impl Iterator<Item = FilterSpec>,
        limits: &Limits,
    ) -> Result<(), LpmPolicyError> {
        self.admit_said(claim, senders, limits, None)
    }

    /// The same, for this message, which is kept once it comes a second time: then it is counted
    /// [again](Self::again) without being read.
    pub(crate) fn admit_said(
        &mut self,
        claim: &Claim<'_>,
        senders: impl Iterator<Item = FilterSpec>,
        limits: &Limits,
        wording: Option<Wording<'_>>,
    ) -> Result<(), LpmPolicyError> {
        let account = self.accounts.open(claim.subject, claim.policy);
        let share = Share {
            account,
            subnet: claim.subnet,
            amounts: Amounts::of(claim.traffic),
        };
        let spot = self.flows.spot(&claim.flow);
        let known = self.flows.at_mut(spot);
        let is_new = known.is_none() && self.expired.is_empty();
        if let Some(entry) = known {
            if entry.is_counted_as(share) && !entry.is_over(claim.received, limits) {
                entry.set_senders(senders);
                entry.priority = claim.priority;
                if let Some(mut wording) = wording {
                    wording.until = entry.lasts_until(limits);
                    self.flows.keep_wording(spot, &wording);
                }
                return Ok(());
            }
        }
        let duration = match is_new {
            true => Ok(()),
            false => self.check_duration(&claim.flow, claim.received, limits),
        };
        let admitted = duration.and_then(|()| {
            let (flow, priority) = (claim.flow, claim.priority);
            self.admit_share(flow, spot, share, priority, claim.received, senders, limits)
        });
        self.accounts.close_if_unused(account);
        admitted
    }

    /// What the flow of this message is admitted with, if it is counted for the last message like
    /// it, and nothing has changed since: it is then counted as it was.
    pub(crate) fn again(
        &self,
        wording: &Wording<'_>,
        received: impl FnOnce() -> SystemTime,
    ) -> Option<(Direction, Priority)> {
        let (flow, entry, kept) = self.flows.said(wording)?;
        kept.holds_at(received)
            .then_some((flow.direction(), entry.priority))
    }

    /// What messages ask for is not what it was: none is counted again without being read.
    pub(crate) fn forget_wordings(&mut self) {
        self.flows.forget_wordings();
    }

    /// Counts a flow, which was looked for, as this share, unless that exceeds a limit.
    #[expect(clippy::too_many_arguments, reason = "what is kept of a flow")]
    fn admit_share(
        &mut self,
        flow: FlowKey,
        spot: Spot,
        share: Share,
        priority: Priority,
        received: SystemTime,
        senders: impl Iterator<Item = FilterSpec>,
        limits: &Limits,
    ) -> Result<(), LpmPolicyError> {
        let direction = flow.direction();
        let known = self.flows.at(spot);
        if known.is_some_and(|entry| entry.is_counted_as(share)) {
            if let Some(entry) = self.flows.at_mut(spot) {
                entry.set_senders(senders);
                entry.priority = priority;
            }
            return Ok(());
        }

        let before = known.map_or([None; 2], Entry::shares);
        let committed = known.and_then(|entry| entry.committed);
        let after = shares(committed, Some(share));
        let held_before = self.held_by(share, direction);
        self.recount(&flow, before, after);
        if let Err(error) = exceeded(limits, held_before, self.held_by(share, direction)) {
            self.recount(&flow, after, before);
            self.accounts.close_if_unused(share.account);
            return Err(error);
        }

        if let Some(entry) = self.flows.at_mut(spot) {
            entry.tentative = Some(share);
            entry.priority = priority;
            entry.set_senders(senders);
            self.close_unused(before);
        } else {
            let mut entry = Entry {
                committed: None,
                tentative: Some(share),
                since: received,
                priority,
                senders: Vec::new(),
            };
            entry.set_senders(senders);
            self.flows.begin(flow, spot, entry);
        }
        Ok(())
    }

    /// The priority that a flow was admitted with.
    pub(crate) fn priority(&self, flow: &FlowKey) -> Option<Priority> {
        Some(self.flows.get(flow)?.priority)
    }

    /// The highest priority of the reservations of a session for any of these senders, or for all
    /// where there are none.
    pub(crate) fn highest_priority(
        &self,
        session: Session,
        senders: impl Iterator<Item = FilterSpec> + Clone,
    ) -> Option<Priority> {
        let any = senders.clone().next().is_none();
        let is_for = |flow: &FlowKey, entry: &Entry| match flow.sender() {
            Some(sender) => senders.clone().any(|it| it == sender),
            None => {
                entry.senders.is_empty() || senders.clone().any(|it| entry.senders.contains(&it))
            }
        };
        let of_session = FlowKey::shared(session, Ipv4Addr::UNSPECIFIED.into());
        self.flows
            .of_session(&of_session)
            .filter(|flow| flow.direction() == Direction::Receives)
            .filter_map(|flow| Some((flow, self.flows.get(&flow)?)))
            .filter(|(flow, entry)| any || is_for(flow, entry))
            .map(|(_, entry)| entry.priority)
            .max()
    }

    /// What was admitted is reserved, with `traffic` where the PCM says so, or else as it was
    /// asked for. A flow that is not counted is passed over.
    pub fn commit(&mut self, flow: &FlowKey, traffic: Option<Traffic>) {
        let Some(entry) = self.flows.get_mut(flow) else {
            return;
        };
        let before = entry.shares();
        let Some(mut share) = entry.tentative.or(entry.committed) else {
            return;
        };
        if let Some(traffic) = traffic {
            share.amounts = Amounts::of(traffic);
        }
        entry.committed = Some(share);
        entry.tentative = None;
        self.recount(flow, before, [Some(share), None]);
        self.close_unused(before);
    }

    /// What was admitted is not to be after all. What is committed stays, anything else is gone.
    pub fn refuse(&mut self, flow: &FlowKey) {
        self.expected.forget(flow);
        let Some(entry) = self.flows.get_mut(flow) else {
            return;
        };
        let before = entry.shares();
        entry.tentative = None;
        let after = entry.shares();
        if entry.committed.is_none() {
            self.flows.remove(flow);
        }
        self.recount(flow, before, after);
        self.close_unused(before);
    }

    /// Releases a flow; one that was never counted is passed over.
    pub fn release(&mut self, flow: &FlowKey) {
        self.expected.forget(flow);
        self.expired.forget(flow);
        self.take_out(flow);
    }

    /// A flow's time is up: it is released, and if it was refused for that, its refreshes go on
    /// being refused.
    pub fn expire(&mut self, flow: &FlowKey) {
        self.expected.forget(flow);
        self.take_out(flow);
    }

    /// Takes senders out of a shared explicit reservation, which ends with its last one. Any
    /// other reservation is passed over: it has no list of senders.
    pub fn release_senders(&mut self, flow: &FlowKey, senders: impl Iterator<Item = FilterSpec>) {
        let Some(entry) = self.flows.get_mut(flow) else {
            self.release(flow);
            return;
        };
        if entry.senders.is_empty() {
            return;
        }
        let mut gone: Vec<FilterSpec> = senders.collect();
        gone.sort_unstable();
        entry
            .senders
            .retain(|sender| gone.binary_search(sender).is_err());
        if entry.senders.is_empty() {
            self.release(flow);
        }
    }

    /// A sender is gone: releases its Path and everything that was reserved for it (RFC 2205
    /// section 3.1.5), whoever holds it. A wildcard reservation ends with the session's last Path.
    pub fn release_path(&mut self, path: &FlowKey) {
        self.expected.forget_sender(path);
        let was_known = self.flows.contains(path);
        let mut ended: SmallVec<[FlowKey; 4]> = self.flows.of_sender(path).collect();

        let others_send = self
            .flows
            .of_session(path)
            .any(|flow| flow.direction() == Direction::Sends && flow != *path);
        let start = path.start_of_session();
        let shared: SmallVec<[FlowKey; 4]> = self.flows.of_sender(&start).collect();
        for flow in shared {
            let Some(entry) = self.flows.get_mut(&flow) else {
                continue;
            };
            let ends = if entry.senders.is_empty() {
                was_known && !others_send
            } else {
                entry
                    .senders
                    .retain(|sender| Some(*sender) != path.sender());
                entry.senders.is_empty()
            };
            if ends {
                ended.push(flow);
            }
        }

        self.expired.forget(path);
        for flow in &ended {
            self.release(flow);
        }
    }

    /// All of it but what is not decided yet, for another ledger to [take over](Self::take_over);
    /// `None` where there is nothing.
    #[must_use]
    pub fn handed_over(&self) -> Option<Vec<u8>> {
        handed_over::write(&self.flows, &self.accounts, &self.subnets, &self.expired)
    }

    /// Counts what another ledger [handed over](Self::handed_over), beside what is counted already.
    ///
    /// # Errors
    /// It is not what a ledger writes; then nothing has changed.
    pub fn take_over(&mut self, state: &[u8]) -> Result<(), Unusable> {
        let written = handed_over::read(state)?;
        let subnets = written.subnets.iter();
        let subnets: Vec<_> = subnets.map(|name| self.subnet_id(name)).collect();
        let accounts = written.open(&mut self.accounts);
        for (flow, entry) in written.flows(&accounts, &subnets) {
            let spot = self.flows.spot(&flow);
            if self.flows.at(spot).is_none() {
                self.recount(&flow, [None; 2], entry.shares());
                self.flows.begin(flow, spot, entry);
            }
        }
        for it in &written.expired {
            self.expired.take_over(it.flow, it.since, it.last_asked);
        }
        for account in accounts {
            self.accounts.let_go(account);
            self.accounts.close_if_unused(account);
        }
        Ok(())
    }

    /// What a subject holds in one direction: on a subnet, or everywhere.
    pub fn held(
        &mut self,
        subject: &Subject,
        policy: &Policy,
        subnet: Option<SubnetId>,
        direction: Direction,
    ) -> Held {
        let account = self.accounts.open(subject, policy);
        let held = self.accounts.held(account, subnet, direction);
        self.accounts.close_if_unused(account);
        held
    }

    /// Whether the flow may last as long as it has. When it may not any more, it is gone, and its
    /// refreshes are refused until its state is deleted or nobody has asked for a while.
    pub(crate) fn check_duration(
        &mut self,
        flow: &FlowKey,
        received: SystemTime,
        limits: &Limits,
    ) -> Result<(), LpmPolicyError> {
        let since = match self.flows.get(flow) {
            Some(entry) => entry.since,
            None => match self.expired.since(flow, received) {
                Some(since) => since,
                None => return Ok(()),
            },
        };
        let lasts = received.duration_since(since).unwrap_or_default();
        match limits.flow_duration.map(Duration::from).exceeded_by(lasts) {
            None => {
                self.expired.forget(flow);
                Ok(())
            }
            Some(scope) => {
                self.take_out(flow);
                self.expired.remember(*flow, since, received);
                Err(LpmPolicyError::Limit(Metric::FlowDuration, scope))
            }
        }
    }

    fn take_out(&mut self, flow: &FlowKey) {
        if let Some(entry) = self.flows.remove(flow) {
            let before = entry.shares();
            self.recount(flow, before, [None; 2]);
            self.close_unused(before);
        }
    }

    /// Counts other shares in place of those that were counted.
    fn recount(&mut self, flow: &FlowKey, before: [Option<Share>; 2], after: [Option<Share>; 2]) {
        let direction = flow.direction();
        self.note(flow);
        for share in before.into_iter().flatten() {
            self.accounts
                .subtract(share.account, share.subnet, direction, share.amounts);
        }
        for share in after.into_iter().flatten() {
            self.accounts
                .add(share.account, share.subnet, direction, share.amounts);
        }
    }

    fn close_unused(&mut self, shares: [Option<Share>; 2]) {
        for share in shares.into_iter().flatten() {
            self.accounts.close_if_unused(share.account);
        }
    }

    /// What the account of a share holds: everywhere, and on the share's subnet.
    fn held_by(&self, share: Share, direction: Direction) -> [Held; 2] {
        let held = |subnet| self.accounts.held(share.account, subnet, direction);
        [held(None), held(share.subnet)]
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new()
    }
}
