//! How much everybody has: an account per subject, found by name.

use std::hash::BuildHasher;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use lpm_api::Direction;
use serde::{Deserialize, Serialize};

use super::amount::Amounts;
use crate::policy::Policy;
use crate::slots::Slots;
use crate::subject::Subject;

/// The place of an account, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct AccountId(NonZeroU32);

/// A subnet, by the place of its name in the ledger's list: the same in every policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SubnetId(pub(super) u16);

/// What is held in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// How many flows.
    pub flows: u32,
    /// Their token rates together, in bytes per second.
    pub rate: u64,
    /// Their peak rates together, in bytes per second.
    pub peak_rate: u64,
}

/// What is held in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Both {
    sends: Held,
    receives: Held,
}

/// One subject's account.
#[derive(Debug)]
struct Account {
    name: Arc<[u8]>,
    /// That of the name.
    hash: u64,
    kind: Kind,
    /// Kept when nothing is held: a policy remembers the place.
    kept: bool,
    /// How many requests wait that it may be for.
    holds: u32,
    everywhere: Both,
    /// On the subnets that anything is held on.
    subnets: Vec<(SubnetId, Both)>,
}

/// Users, applications and the unlisted have names of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    User,
    Application,
    Unlisted,
    Unauthenticated,
}

/// Everybody's accounts.
#[derive(Debug)]
pub(super) struct Accounts {
    accounts: Slots<Account>,
    by_name: [HashTable<AccountId>; 3],
    hasher: RandomState,
}

/// The account that all the unauthenticated share.
const UNAUTHENTICATED: AccountId = AccountId(NonZeroU32::MIN);

impl Accounts {
    pub(super) fn new() -> Self {
        let unauthenticated = Account {
            name: Arc::from([]),
            hash: 0,
            kind: Kind::Unauthenticated,
            kept: true,
            holds: 0,
            everywhere: Both::default(),
            subnets: Vec::new(),
        };
        let mut accounts = Slots::default();
        accounts.insert(unauthenticated);
        Self {
            accounts,
            by_name: Default::default(),
            hasher: RandomState::default(),
        }
    }

    /// The account of a subject of this policy, opened if need be. One that nothing was added to
    /// is to be given back with [`close_if_unused`](Self::close_if_unused).
    pub(super) fn open(&mut self, subject: &Subject, policy: &Policy) -> AccountId {
        let (member, kind) = match subject {
            Subject::User(place) => (policy.users().member(*place), Kind::User),
            Subject::Application(place) => {
                (policy.applications().member(*place), Kind::Application)
            }
            Subject::Directory(profile) => {
                return self.named(Kind::User, &profile.name, || Arc::clone(&profile.name));
            }
            Subject::Unlisted(name) => {
                let name = name.as_bytes();
                return self.named(Kind::Unlisted, name, || name.into());
            }
            Subject::Unauthenticated => return UNAUTHENTICATED,
        };
        // The ledger's lock orders these: only its holder reads and writes them.
        if let Some(id) = NonZeroU32::new(member.account.load(Ordering::Relaxed)) {
            return AccountId(id);
        }
        let id = self.named(kind, &member.name, || Arc::clone(&member.name));
        self.accounts[id.place()].kept = true;
        member.account.store(id.0.get(), Ordering::Relaxed);
        id
    }

    /// The account of this name, opened if need be; to be given back as one that is
    /// [opened](Self::open).
    pub(super) fn open_named(&mut self, kind: Kind, name: &[u8]) -> AccountId {
        if kind == Kind::Unauthenticated {
            return UNAUTHENTICATED;
        }
        self.named(kind, name, || name.into())
    }

    /// Whose an account is: what opens it again.
    pub(super) fn name(&self, id: AccountId) -> (Kind, &[u8]) {
        let account = &self.accounts[id.place()];
        (account.kind, &account.name)
    }

    pub(super) fn close_if_unused(&mut self, id: AccountId) {
        // It may have been closed before.
        let Some(account) = self.accounts.get(id.place()) else {
            return;
        };
        if account.kept || account.holds > 0 || account.everywhere != Both::default() {
            return;
        }
        let names = &mut self.by_name[account.kind as usize];
        if let Ok(found) = names.find_entry(account.hash, |other| *other == id) {
            found.remove();
        }
        self.accounts.remove(id.place());
    }

    /// Keeps an account open until it is let go as often.
    pub(super) fn hold(&mut self, id: AccountId) {
        self.accounts[id.place()].holds += 1;
    }

    pub(super) fn let_go(&mut self, id: AccountId) {
        let account = &mut self.accounts[id.place()];
        account.holds = account.holds.saturating_sub(1);
    }

    /// The account's name in one direction, the same in every process.
    pub(super) fn label(&self, id: AccountId, direction: Direction) -> String {
        let account = &self.accounts[id.place()];
        let kind = match account.kind {
            Kind::User => "user",
            Kind::Application => "application",
            Kind::Unlisted => "unlisted",
            Kind::Unauthenticated => "unauthenticated",
        };
        let direction = match direction {
            Direction::Sends => "sends",
            Direction::Receives => "receives",
        };
        format!(
            "{kind}:{direction}:{}",
            String::from_utf8_lossy(&account.name)
        )
    }

    /// What an account holds on a subnet, or everywhere.
    pub(super) fn held(
        &self,
        id: AccountId,
        subnet: Option<SubnetId>,
        direction: Direction,
    ) -> Held {
        let account = &self.accounts[id.place()];
        let both = match subnet {
            None => account.everywhere,
            Some(subnet) => account
                .subnets
                .iter()
                .find(|(it, _)| *it == subnet)
                .map(|(_, both)| *both)
                .unwrap_or_default(),
        };
        both.in_direction(direction)
    }

    pub(super) fn add(
        &mut self,
        id: AccountId,
        subnet: Option<SubnetId>,
        direction: Direction,
        amounts: Amounts,
    ) {
        let account = &mut self.accounts[id.place()];
        account.everywhere.of(direction).add(amounts);
        let Some(subnet) = subnet else { return };
        match account.subnets.iter_mut().find(|(it, _)| *it == subnet) {
            Some((_, both)) => both.of(direction).add(amounts),
            None => {
                let mut both = Both::default();
                both.of(direction).add(amounts);
                account.subnets.push((subnet, both));
            }
        }
    }

    pub(super) fn subtract(
        &mut self,
        id: AccountId,
        subnet: Option<SubnetId>,
        direction: Direction,
        amounts: Amounts,
    ) {
        let account = &mut self.accounts[id.place()];
        account.everywhere.of(direction).subtract(amounts);
        let Some(subnet) = subnet else { return };
        if let Some(at) = account.subnets.iter().position(|(it, _)| *it == subnet) {
            let both = &mut account.subnets[at].1;
            both.of(direction).subtract(amounts);
            if *both == Both::default() && !account.kept {
                account.subnets.swap_remove(at);
            }
        }
    }

    /// The account of this name, opened under what `owned` gives if there is none.
    fn named(&mut self, kind: Kind, name: &[u8], owned: impl FnOnce() -> Arc<[u8]>) -> AccountId {
        let hash = self.hasher.hash_one(name);
        let (names, accounts) = (&mut self.by_name[kind as usize], &mut self.accounts);
        let is_it = |id: &AccountId| *accounts[id.place()].name == *name;
        if let Some(id) = names.find(hash, is_it) {
            return *id;
        }
        let id = AccountId::at(accounts.insert(Account {
            name: owned(),
            hash,
            kind,
            kept: false,
            holds: 0,
            everywhere: Both::default(),
            subnets: Vec::new(),
        }));
        names.insert_unique(hash, id, |id| accounts[id.place()].hash);
        id
    }

    /// How many accounts are open, that of the unauthenticated included.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.accounts.len()
    }
}

impl AccountId {
    /// The account in this place.
    fn at(place: u32) -> Self {
        let number = place.checked_add(1).and_then(NonZeroU32::new);
        Self(number.expect("an account takes more than 16 bytes: memory ends before u32"))
    }

    fn place(self) -> u32 {
        self.0.get() - 1
    }
}

impl Both {
    fn in_direction(self, direction: Direction) -> Held {
        match direction {
            Direction::Sends => self.sends,
            Direction::Receives => self.receives,
        }
    }

    fn of(&mut self, direction: Direction) -> &mut Held {
        match direction {
            Direction::Sends => &mut self.sends,
            Direction::Receives => &mut self.receives,
        }
    }
}

/// The sums wrap around: whatever is taken away was added before, so they are right again as soon
/// as they fit. They do not fit only above 400 000 flows of the highest rate there is.
impl Held {
    fn add(&mut self, amounts: Amounts) {
        self.flows = self.flows.wrapping_add(1);
        self.rate = self.rate.wrapping_add(amounts.rate);
        self.peak_rate = self.peak_rate.wrapping_add(amounts.peak_rate);
    }

    fn subtract(&mut self, amounts: Amounts) {
        self.flows = self.flows.wrapping_sub(1);
        self.rate = self.rate.wrapping_sub(amounts.rate);
        self.peak_rate = self.peak_rate.wrapping_sub(amounts.peak_rate);
    }
}
