//! How many flows everybody has.
//!
//! The [`Ledger`] counts flows by subject and by direction: those a subject sends (Path) and those
//! it receives (Resv). A flow is counted once however often it is refreshed, moves when its
//! subject changes, and is released when its state is deleted.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use lpm_api::Scope;
use lpm_api::lpm_rsvp::FilterSpec;

use crate::identity::Subject;
use crate::name::Name;
use crate::policy::{Limit, Policy};
use lpm_api::{Direction, FlowKey};

/// Which subject holds which flow, and how many each holds.
#[derive(Debug)]
pub struct Ledger {
    /// Sorted by session, then sender: what ends with a sender stands together.
    flows: BTreeMap<FlowKey, Entry>,
    accounts: Accounts,
}

/// A flow that is counted.
#[derive(Debug)]
struct Entry {
    subject: Subject<Arc<[u8]>>,
    /// The senders of a shared explicit (SE) reservation, sorted; empty for every other flow.
    senders: Vec<FilterSpec>,
}

impl Ledger {
    /// An empty ledger for the subjects of a policy.
    pub fn new(policy: &Policy) -> Ledger {
        Ledger {
            flows: BTreeMap::new(),
            accounts: Accounts::new(policy),
        }
    }

    /// Counts a flow for `subject`, unless it is counted for it already.
    ///
    /// `senders` are those of a shared explicit reservation; they replace the ones of before.
    /// A flow that another subject held moves.
    ///
    /// # Errors
    /// The scope of the limit, when the subject has `most` flows in this direction without this
    /// one. Nothing has changed then.
    pub fn count(
        &mut self,
        flow: FlowKey,
        senders: impl Iterator<Item = FilterSpec>,
        subject: &Subject<Name>,
        most: Limit<u32>,
    ) -> Result<(), Scope> {
        let direction = flow.direction();
        if let Some(entry) = self.flows.get_mut(&flow) {
            if !entry.subject.is(subject) {
                let new = self.accounts.open(subject, direction, most)?;
                self.accounts.close(&entry.subject, direction);
                entry.subject = new;
            }
            entry.set_senders(senders);
        } else {
            let subject = self.accounts.open(subject, direction, most)?;
            let mut entry = Entry {
                subject,
                senders: Vec::new(),
            };
            entry.set_senders(senders);
            self.flows.insert(flow, entry);
        }
        Ok(())
    }

    /// Releases a flow; one that was never counted is passed over.
    pub fn release(&mut self, flow: &FlowKey) {
        if let Some(entry) = self.flows.remove(flow) {
            self.accounts.close(&entry.subject, flow.direction());
        }
    }

    /// Takes senders out of a shared explicit reservation, which ends with its last one. Any
    /// other reservation is passed over: it has no list of senders.
    pub fn release_senders(&mut self, flow: &FlowKey, senders: impl Iterator<Item = FilterSpec>) {
        let Some(entry) = self.flows.get_mut(flow) else {
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
        let was_known = self.flows.contains_key(path);
        let mut ended: Vec<FlowKey> = self
            .flows
            .range(path..)
            .map(|(flow, _)| *flow)
            .take_while(|flow| flow.is_of_session(path) && flow.sender() == path.sender())
            .collect();

        let start = path.start_of_session();
        let others_send = self
            .flows
            .range(start..)
            .take_while(|(flow, _)| flow.is_of_session(path))
            .any(|(flow, _)| flow.direction() == Direction::Sends && flow != path);
        let shared = self
            .flows
            .range_mut(start..)
            .take_while(|(flow, _)| flow.is_of_session(path) && flow.sender().is_none());
        for (flow, entry) in shared {
            let ends = if entry.senders.is_empty() {
                was_known && !others_send
            } else {
                entry
                    .senders
                    .retain(|sender| Some(*sender) != path.sender());
                entry.senders.is_empty()
            };
            if ends {
                ended.push(*flow);
            }
        }

        for flow in &ended {
            self.release(flow);
        }
    }

    /// How many flows a subject has in one direction.
    pub fn flows(&self, subject: &Subject<Name>, direction: Direction) -> u32 {
        self.accounts.held(subject)[direction]
    }
}

impl Entry {
    fn set_senders(&mut self, senders: impl Iterator<Item = FilterSpec>) {
        self.senders.clear();
        self.senders.extend(senders);
        self.senders.sort_unstable();
        self.senders.dedup();
    }
}

/// How many flows a subject has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Held {
    sends: u32,
    receives: u32,
}

impl std::ops::Index<Direction> for Held {
    type Output = u32;

    fn index(&self, direction: Direction) -> &u32 {
        match direction {
            Direction::Sends => &self.sends,
            Direction::Receives => &self.receives,
        }
    }
}

impl std::ops::IndexMut<Direction> for Held {
    fn index_mut(&mut self, direction: Direction) -> &mut u32 {
        match direction {
            Direction::Sends => &mut self.sends,
            Direction::Receives => &mut self.receives,
        }
    }
}

/// Everybody's counts.
#[derive(Debug)]
struct Accounts {
    users: Vec<Held>,
    applications: Vec<Held>,
    /// Only those who hold a flow.
    unlisted: HashMap<Arc<[u8]>, Held>,
    unauthenticated: Held,
}

impl Accounts {
    fn new(policy: &Policy) -> Accounts {
        Accounts {
            users: vec![Held::default(); policy.users().len()],
            applications: vec![Held::default(); policy.applications().len()],
            unlisted: HashMap::new(),
            unauthenticated: Held::default(),
        }
    }

    fn held(&self, subject: &Subject<Name>) -> Held {
        match subject {
            Subject::User(user) => self.users[*user],
            Subject::Application(application) => self.applications[*application],
            Subject::Unlisted(name) => self
                .unlisted
                .get(name.as_bytes())
                .copied()
                .unwrap_or_default(),
            Subject::Unauthenticated => self.unauthenticated,
        }
    }

    /// Counts one flow more, unless that would be above `most`.
    fn open(
        &mut self,
        subject: &Subject<Name>,
        direction: Direction,
        most: Limit<u32>,
    ) -> Result<Subject<Arc<[u8]>>, Scope> {
        let with_this = self.held(subject)[direction].saturating_add(1);
        if let Some(scope) = most.exceeded_by(with_this) {
            return Err(scope);
        }
        let subject = self.own(subject);
        self.account(&subject)[direction] = with_this;
        Ok(subject)
    }

    /// Counts one flow less.
    fn close(&mut self, subject: &Subject<Arc<[u8]>>, direction: Direction) {
        let held = self.account(subject);
        held[direction] = held[direction].saturating_sub(1);
        let nothing = *held == Held::default();
        if let Subject::Unlisted(name) = subject {
            if nothing {
                self.unlisted.remove(name);
            }
        }
    }

    /// The subject as it is kept: the names of the unlisted are stored once.
    fn own(&self, subject: &Subject<Name>) -> Subject<Arc<[u8]>> {
        match subject {
            Subject::User(user) => Subject::User(*user),
            Subject::Application(application) => Subject::Application(*application),
            Subject::Unlisted(name) => Subject::Unlisted(
                self.unlisted
                    .get_key_value(name.as_bytes())
                    .map_or_else(|| name.as_bytes().into(), |(name, _)| Arc::clone(name)),
            ),
            Subject::Unauthenticated => Subject::Unauthenticated,
        }
    }

    fn account(&mut self, subject: &Subject<Arc<[u8]>>) -> &mut Held {
        match subject {
            Subject::User(user) => &mut self.users[*user],
            Subject::Application(application) => &mut self.applications[*application],
            Subject::Unlisted(name) => self.unlisted.entry(Arc::clone(name)).or_default(),
            Subject::Unauthenticated => &mut self.unauthenticated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lpm_api::lpm_rsvp::Session;
    use proptest::prelude::*;
    use std::net::{IpAddr, Ipv4Addr};

    const POLICY: &str = "
        [default]
        priority = 1
        [[user]]
        id = 'a'
        [[user]]
        id = 'b'
        [[application]]
        id = 'c'
    ";
    const TWO: Limit<u32> = Limit::AtMost(2, Scope::GlobalUser);

    fn ledger() -> Ledger {
        Ledger::new(&Policy::parse("test", POLICY).unwrap())
    }

    fn session(number: u8) -> Session {
        Session::new(Ipv4Addr::new(10, 0, 0, number + 1), 17, 5004).unwrap()
    }

    fn sender(number: u8) -> FilterSpec {
        FilterSpec::new(Ipv4Addr::new(10, 1, 0, 1), 4000 + u16::from(number))
    }

    fn hop(number: u8) -> IpAddr {
        Ipv4Addr::new(10, 2, 0, number).into()
    }

    fn subjects() -> Vec<Subject<Name>> {
        vec![
            Subject::User(0),
            Subject::User(1),
            Subject::Application(0),
            Subject::Unlisted(Name::id("d")),
            Subject::Unlisted(Name::id("e")),
            Subject::Unauthenticated,
        ]
    }

    #[test]
    fn a_refresh_counts_once_and_a_full_account_may_refresh() {
        let (mut ledger, user) = (ledger(), Subject::User(0));
        for _ in 0..3 {
            for number in 0..2 {
                let flow = FlowKey::path(session(0), sender(number));
                assert_eq!(ledger.count(flow, [].into_iter(), &user, TWO), Ok(()));
            }
        }
        let third = FlowKey::path(session(0), sender(2));
        assert_eq!(
            ledger.count(third, [].into_iter(), &user, TWO),
            Err(Scope::GlobalUser)
        );
        ledger.release(&FlowKey::path(session(0), sender(0)));
        assert_eq!(ledger.count(third, [].into_iter(), &user, TWO), Ok(()));
        assert_eq!(ledger.flows(&user, Direction::Sends), 2);
    }

    #[test]
    fn sending_and_receiving_are_counted_apart() {
        let (mut ledger, user) = (ledger(), Subject::User(0));
        let path = FlowKey::path(session(0), sender(0));
        let resv = FlowKey::distinct(session(0), sender(0), hop(0));
        ledger.count(path, [].into_iter(), &user, TWO).unwrap();
        ledger.count(resv, [].into_iter(), &user, TWO).unwrap();
        assert_eq!(ledger.flows(&user, Direction::Sends), 1);
        assert_eq!(ledger.flows(&user, Direction::Receives), 1);
    }

    #[test]
    fn flags_of_a_session_do_not_make_another_flow() {
        let (mut ledger, user) = (ledger(), Subject::User(0));
        let policed = session(0).with_flags(Session::E_POLICE);
        ledger
            .count(
                FlowKey::path(policed, sender(0)),
                [].into_iter(),
                &user,
                TWO,
            )
            .unwrap();
        ledger.release_path(&FlowKey::path(session(0), sender(0)));
        assert_eq!(ledger.flows(&user, Direction::Sends), 0);
    }

    #[test]
    fn a_wildcard_reservation_ends_with_the_last_path() {
        let (mut ledger, user) = (ledger(), Subject::User(0));
        let wildcard = FlowKey::shared(session(0), hop(0));
        ledger.count(wildcard, [].into_iter(), &user, TWO).unwrap();
        ledger.release_path(&FlowKey::path(session(0), sender(2)));
        for number in 0..2 {
            let path = FlowKey::path(session(0), sender(number));
            ledger.count(path, [].into_iter(), &user, TWO).unwrap();
        }
        ledger.release_path(&FlowKey::path(session(0), sender(0)));
        assert_eq!(ledger.flows(&user, Direction::Receives), 1);
        ledger.release_path(&FlowKey::path(session(0), sender(1)));
        assert_eq!(ledger.flows(&user, Direction::Receives), 0);
    }

    #[test]
    fn the_unlisted_are_forgotten_with_their_last_flow() {
        let mut ledger = ledger();
        let stranger = Subject::Unlisted(Name::id("stranger"));
        let flow = FlowKey::path(session(0), sender(0));
        ledger.count(flow, [].into_iter(), &stranger, TWO).unwrap();
        assert_eq!(ledger.accounts.unlisted.len(), 1);
        ledger.release(&flow);
        assert_eq!(ledger.accounts.unlisted.len(), 0);
        let none = Limit::AtMost(0, Scope::GlobalDefault);
        assert_eq!(
            ledger.count(flow, [].into_iter(), &stranger, none),
            Err(Scope::GlobalDefault)
        );
        assert_eq!(ledger.accounts.unlisted.len(), 0);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Count {
            flow: FlowKey,
            senders: Vec<FilterSpec>,
            subject: usize,
        },
        Release(FlowKey),
        ReleaseSenders(FlowKey, Vec<FilterSpec>),
        ReleasePath(FlowKey),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let sessions = (0..2u8).prop_map(session);
        let senders = (0..3u8).prop_map(sender);
        let hops = (0..2u8).prop_map(hop);
        let list = prop::collection::vec(senders.clone(), 0..4);
        let unshared = prop_oneof![
            (sessions.clone(), senders.clone()).prop_map(|(s, f)| FlowKey::path(s, f)),
            (sessions.clone(), senders.clone(), hops.clone())
                .prop_map(|(s, f, h)| FlowKey::distinct(s, f, h)),
        ];
        let shared = (sessions.clone(), hops).prop_map(|(s, h)| FlowKey::shared(s, h));
        let flow = prop_oneof![unshared.clone(), shared.clone()];
        let count = prop_oneof![
            unshared.prop_map(|flow| (flow, Vec::new())),
            (shared.clone(), list.clone()),
        ];
        let step = prop_oneof![
            4 => (count, 0..subjects().len()).prop_map(|((flow, senders), subject)| {
                Step::Count { flow, senders, subject }
            }),
            1 => flow.prop_map(Step::Release),
            1 => (shared, list).prop_map(|(flow, senders)| Step::ReleaseSenders(flow, senders)),
            1 => (sessions, senders).prop_map(|(s, f)| Step::ReleasePath(FlowKey::path(s, f))),
        ];
        prop::collection::vec(step, 0..60)
    }

    /// The same rules, with nothing kept but a list: every count is taken afresh.
    #[derive(Default)]
    struct Model(Vec<(FlowKey, Vec<FilterSpec>, usize)>);

    impl Model {
        fn flows(&self, subject: usize, direction: Direction) -> usize {
            let held = |(flow, _, holder): &&(FlowKey, _, usize)| {
                *holder == subject && flow.direction() == direction
            };
            self.0.iter().filter(held).count()
        }

        fn apply(&mut self, step: &Step) -> bool {
            match step {
                Step::Count {
                    flow,
                    senders,
                    subject,
                } => {
                    let known = self.0.iter().any(|(f, _, s)| f == flow && s == subject);
                    if !known && self.flows(*subject, flow.direction()) >= 2 {
                        return false;
                    }
                    self.0.retain(|(f, ..)| f != flow);
                    self.0.push((*flow, senders.clone(), *subject));
                }
                Step::Release(flow) => self.0.retain(|(f, ..)| f != flow),
                Step::ReleaseSenders(flow, gone) => self.0.retain_mut(|(f, senders, _)| {
                    if f != flow || senders.is_empty() {
                        return true;
                    }
                    senders.retain(|one| !gone.contains(one));
                    !senders.is_empty()
                }),
                Step::ReleasePath(path) => {
                    let is_path =
                        |f: &FlowKey| f.is_of_session(path) && f.direction() == Direction::Sends;
                    let was_last = self.0.iter().any(|(f, ..)| f == path)
                        && self.0.iter().filter(|(f, ..)| is_path(f)).count() == 1;
                    self.0.retain_mut(|(f, senders, _)| {
                        if !f.is_of_session(path) {
                            return true;
                        }
                        match f.sender() {
                            Some(one) => Some(one) != path.sender(),
                            None if senders.is_empty() => !was_last,
                            None => {
                                senders.retain(|one| Some(*one) != path.sender());
                                !senders.is_empty()
                            }
                        }
                    });
                }
            }
            true
        }
    }

    proptest! {
        #[test]
        fn counts_are_exact_after_any_steps(steps in steps()) {
            let (mut ledger, mut model) = (ledger(), Model::default());
            let subjects = subjects();
            for step in &steps {
                let counted = match step {
                    Step::Count { flow, senders, subject } => ledger
                        .count(*flow, senders.iter().copied(), &subjects[*subject], TWO)
                        .is_ok(),
                    Step::Release(flow) => { ledger.release(flow); true }
                    Step::ReleaseSenders(flow, senders) => {
                        ledger.release_senders(flow, senders.iter().copied());
                        true
                    }
                    Step::ReleasePath(path) => { ledger.release_path(path); true }
                };
                prop_assert_eq!(counted, model.apply(step), "{:?}", step);
                prop_assert_eq!(ledger.flows.len(), model.0.len());
                for (number, subject) in subjects.iter().enumerate() {
                    for direction in [Direction::Sends, Direction::Receives] {
                        let expected = model.flows(number, direction);
                        prop_assert_eq!(ledger.flows(subject, direction) as usize, expected);
                    }
                }
            }
        }
    }
}
