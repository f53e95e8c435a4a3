//! One flow in the ledger.

use std::time::SystemTime;

use lpm_api::Priority;
use lpm_api::lpm_rsvp::FilterSpec;
use lpm_sample::rule::Limit;

use super::accounts::{AccountId, SubnetId};
use super::amount::Amounts;
use crate::policy::Limits;

/// A flow that is counted: as it is reserved, as it is asked for, or both.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) committed: Option<Share>,
    pub(super) tentative: Option<Share>,
    /// When it was first admitted.
    pub(super) since: SystemTime,
    /// The priority it was last admitted with.
    pub(super) priority: Priority,
    /// The senders of a shared explicit (SE) reservation, sorted; empty for every other flow.
    pub(super) senders: Vec<FilterSpec>,
}

/// What is counted, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) account: AccountId,
    pub(super) subnet: Option<SubnetId>,
    pub(super) amounts: Amounts,
}

impl Entry {
    /// What is counted for this flow.
    pub(super) fn shares(&self) -> [Option<Share>; 2] {
        shares(self.committed, self.tentative)
    }

    /// Whether it has lasted longer than it may.
    pub(super) fn is_over(&self, now: SystemTime, limits: &Limits) -> bool {
        let Limit::AtMost(most, _) = limits.flow_duration else {
            return false;
        };
        now.duration_since(self.since).unwrap_or_default() > most.into()
    }

    /// The last time at which it has not; `None` if there is none.
    pub(super) fn lasts_until(&self, limits: &Limits) -> Option<SystemTime> {
        let Limit::AtMost(most, _) = limits.flow_duration else {
            return None;
        };
        self.since.checked_add(most.into())
    }

    pub(super) fn is_counted_as(&self, share: Share) -> bool {
        self.tentative.or(self.committed) == Some(share)
    }

    pub(super) fn set_senders(&mut self, senders: impl Iterator<Item = FilterSpec>) {
        self.senders.clear();
        self.senders.extend(senders);
        self.senders.sort_unstable();
        self.senders.dedup();
    }
}

/// What is counted for a flow: of a reservation and its change the larger, where both are counted
/// in the same place, else both.
pub(super) fn shares(committed: Option<Share>, tentative: Option<Share>) -> [Option<Share>; 2] {
    match (committed, tentative) {
        (Some(committed), Some(tentative))
            if (committed.account, committed.subnet) == (tentative.account, tentative.subnet) =>
        {
            let amounts = committed.amounts.larger(tentative.amounts);
            [
                Some(Share {
                    amounts,
                    ..tentative
                }),
                None,
            ]
        }
        both => both.into(),
    }
}
