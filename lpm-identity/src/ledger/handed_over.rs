//! The ledger as bytes, for the LPM that takes the place of this one, which may be another build of
//! it.
//!
//! JSON, so that a later version may add to it: what is unknown is passed over. What changes
//! otherwise takes another number of the [`FORMAT`]. Accounts and subnets go by their names, since
//! their places are another's in another process or policy. The reader trusts nothing: it takes
//! over all of it or, where any of it cannot be, nothing.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::SystemTime;

use lpm_api::lpm_rsvp::FilterSpec;
use lpm_api::{FlowKey, Priority};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};
use serde::{Deserialize, Serialize};

use super::accounts::{AccountId, Accounts, Kind, SubnetId};
use super::amount::Amounts;
use super::entry::{Entry, Share};
use super::expired;
use super::flows::Flows;
use crate::whole::UNBOUNDED;

/// The version of what [`Ledger::handed_over`](super::Ledger::handed_over) writes.
pub const FORMAT: u32 = 1;

/// In names, beside what is not ASCII.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

/// State that cannot be taken over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// It is not what this LPM writes.
    #[error("the state is not what this LPM writes: {0}")]
    Format(#[from] serde_json::Error),
    /// Something in it cannot be.
    #[error("the state says of the flow that is number {flow} in it: {what}")]
    Flow {
        /// Its place, from 0.
        flow: usize,
        /// What cannot be.
        what: &'static str,
    },
}

/// What a ledger has.
#[derive(Serialize, Deserialize)]
pub(super) struct Written {
    accounts: Vec<Account>,
    /// The names of subnets.
    pub(super) subnets: Vec<String>,
    flows: Vec<Flow>,
    /// Flows whose time is up.
    pub(super) expired: Vec<Expired>,
}

#[derive(Serialize, Deserialize)]
struct Account {
    kind: Kind,
    name: String,
}

#[derive(Serialize, Deserialize)]
struct Flow {
    flow: FlowKey,
    committed: Option<Counted>,
    tentative: Option<Counted>,
    since: SystemTime,
    priority: u16,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    senders: Vec<FilterSpec>,
}

/// Rates in bytes/s; accounts and subnets by their places in the lists.
#[derive(Serialize, Deserialize)]
struct Counted {
    account: usize,
    subnet: Option<usize>,
    rate: u64,
    peak_rate: u64,
}

/// A flow whose time is up.
#[derive(Serialize, Deserialize)]
pub(super) struct Expired {
    pub(super) flow: FlowKey,
    pub(super) since: SystemTime,
    pub(super) last_asked: SystemTime,
}

/// What the ledger with these parts has; `None` where that is nothing.
pub(super) fn write(
    flows: &Flows,
    accounts: &Accounts,
    subnets: &HashMap<String, SubnetId>,
    expired: &expired::Expired,
) -> Option<Vec<u8>> {
    let mut account_places = Places::default();
    let mut subnet_places = Places::default();
    let mut counted = |share: Share| Counted {
        account: account_places.of(share.account),
        subnet: share.subnet.map(|subnet| subnet_places.of(subnet)),
        rate: share.amounts.rate,
        peak_rate: share.amounts.peak_rate,
    };
    let flows = flows.iter().map(|(flow, entry)| Flow {
        flow: *flow,
        committed: entry.committed.map(&mut counted),
        tentative: entry.tentative.map(&mut counted),
        since: since_epoch(entry.since),
        priority: entry.priority.value(),
        senders: entry.senders.clone(),
    });
    let flows: Vec<_> = flows.collect();
    let expired = expired.iter().map(|(flow, since, last_asked)| Expired {
        flow: *flow,
        since: since_epoch(since),
        last_asked: since_epoch(last_asked),
    });
    let expired: Vec<_> = expired.collect();
    if flows.is_empty() && expired.is_empty() {
        return None;
    }
    let account = |id: &AccountId| {
        let (kind, name) = accounts.name(*id);
        let name = percent_encode(name, ESCAPED).to_string();
        Account { kind, name }
    };
    let names: HashMap<SubnetId, &String> = subnets.iter().map(|(name, id)| (*id, name)).collect();
    let subnet = |id: &SubnetId| {
        names
            .get(id)
            .map_or_else(String::new, |name| (*name).clone())
    };
    let written = Written {
        accounts: account_places.in_order.iter().map(account).collect(),
        subnets: subnet_places.in_order.iter().map(subnet).collect(),
        flows,
        expired,
    };
    // Nothing in it cannot be written.
    serde_json::to_vec(&written).ok()
}

/// What another ledger has [written](write), checked.
pub(super) fn read(state: &[u8]) -> Result<Written, Unusable> {
    let written: Written = serde_json::from_slice(state)?;
    written.check()?;
    Ok(written)
}

impl Written {
    /// Opens the accounts, and [holds](Accounts::hold) them.
    pub(super) fn open(&self, accounts: &mut Accounts) -> Vec<AccountId> {
        let open = |Account { kind, name }: &Account| {
            let name: Vec<u8> = percent_decode_str(name).collect();
            let account = accounts.open_named(*kind, &name);
            accounts.hold(account);
            account
        };
        self.accounts.iter().map(open).collect()
    }

    /// The flows, in terms of the accounts that were opened and of what the subnets are called
    /// here.
    pub(super) fn flows<'w>(
        &'w self,
        accounts: &'w [AccountId],
        subnets: &'w [SubnetId],
    ) -> impl Iterator<Item = (FlowKey, Entry)> + use<'w> {
        let share = |counted: &Counted| Share {
            account: accounts[counted.account],
            subnet: counted.subnet.map(|subnet| subnets[subnet]),
            amounts: counted.amounts(),
        };
        self.flows.iter().filter_map(move |flow| {
            let mut entry = Entry {
                committed: flow.committed.as_ref().map(share),
                tentative: flow.tentative.as_ref().map(share),
                since: flow.since,
                priority: Priority::new(flow.priority)?,
                senders: Vec::new(),
            };
            entry.set_senders(flow.senders.iter().copied());
            Some((flow.flow, entry))
        })
    }

    fn check(&self) -> Result<(), Unusable> {
        let mut known = BTreeSet::new();
        for (number, flow) in self.flows.iter().enumerate() {
            self.check_flow(flow, &mut known)
                .map_err(|what| Unusable::Flow { flow: number, what })?;
        }
        Ok(())
    }

    fn check_flow(&self, flow: &Flow, known: &mut BTreeSet<FlowKey>) -> Result<(), &'static str> {
        let counted = [&flow.committed, &flow.tentative];
        let counted: Vec<_> = counted.into_iter().flatten().collect();
        if counted.is_empty() {
            return Err("it is not counted");
        }
        for counted in counted {
            if counted.account >= self.accounts.len() {
                return Err("its account is not in the list");
            }
            if counted.subnet.is_some_and(|it| it >= self.subnets.len()) {
                return Err("its subnet is not in the list");
            }
            if counted.rate > UNBOUNDED || counted.peak_rate > UNBOUNDED {
                return Err("its rate is too high");
            }
        }
        if !flow.senders.is_empty() && flow.flow.sender().is_some() {
            return Err("it has a list of senders, and is for one sender");
        }
        if !known.insert(flow.flow) {
            return Err("it is there twice");
        }
        match Priority::new(flow.priority) {
            Some(_) => Ok(()),
            None => Err("its priority is none"),
        }
    }
}

impl Counted {
    const fn amounts(&self) -> Amounts {
        Amounts {
            rate: self.rate,
            peak_rate: self.peak_rate,
        }
    }
}

/// Places in a list, in the order in which they are first asked for.
struct Places<T> {
    in_order: Vec<T>,
    by_id: HashMap<T, usize>,
}

impl<T: Copy + Eq + Hash> Places<T> {
    fn of(&mut self, id: T) -> usize {
        *self.by_id.entry(id).or_insert_with(|| {
            self.in_order.push(id);
            self.in_order.len() - 1
        })
    }
}

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self {
            in_order: Vec::new(),
            by_id: HashMap::new(),
        }
    }
}

/// A time before 1970, from a clock that was never set, cannot be written.
fn since_epoch(time: SystemTime) -> SystemTime {
    time.max(SystemTime::UNIX_EPOCH)
}
