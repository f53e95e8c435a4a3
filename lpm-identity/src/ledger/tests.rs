use super::*;
use crate::subject::Subject;
use lpm_api::lpm_rsvp::Session;
use lpm_api::{Name, Rate, Scope};
use lpm_sample::rule::Limit;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr};

const POLICY: &str = "
    [default]
    priority = 1
    [[subnet]]
    name = 'lab'
    interfaces = [1]
    [[subnet]]
    name = 'hall'
    interfaces = [2]
    [[user]]
    id = 'a'
    [[user]]
    id = 'b'
    [[application]]
    id = 'c'
";

fn policy() -> Policy {
    Policy::parse("test", POLICY).unwrap()
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

fn path(number: u8) -> FlowKey {
    FlowKey::path(session(0), sender(number))
}

fn subjects() -> Vec<Subject> {
    vec![
        Subject::User(0),
        Subject::User(1),
        Subject::Application(0),
        Subject::Unlisted(Box::new(Name::id("d"))),
        Subject::Unlisted(Box::new(Name::id("e"))),
        Subject::Unauthenticated,
    ]
}

fn rate(bytes_per_second: f64) -> Rate {
    Rate::from_bytes_per_second(bytes_per_second).unwrap()
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn two_flows() -> Limits {
    Limits {
        flows: Limit::AtMost(2, Scope::GlobalUser),
        ..Limits::default()
    }
}

/// A ledger with what its claims need.
struct Office {
    ledger: Ledger,
    policy: Policy,
    subnets: Vec<SubnetId>,
    limits: Limits,
}

impl Office {
    fn new(limits: Limits) -> Self {
        let (mut ledger, policy) = (Ledger::new(), policy());
        let subnets = ledger.subnet_ids(&policy);
        Self {
            ledger,
            policy,
            subnets,
            limits,
        }
    }

    fn claim(
        &mut self,
        flow: FlowKey,
        subject: &Subject,
        subnet: Option<usize>,
        rate: f32,
        seconds: u64,
    ) -> Result<(), LpmPolicyError> {
        let claim = Claim {
            flow,
            subject,
            policy: &self.policy,
            subnet: subnet.map(|place| self.subnets[place]),
            traffic: Traffic {
                rate,
                peak_rate: 2.0 * rate,
            },
            priority: Priority::MIN,
            received: at(seconds),
        };
        self.ledger.admit(&claim, [].into_iter(), &self.limits)
    }

    fn ask(&mut self, flow: FlowKey, rate: f32) -> Result<(), LpmPolicyError> {
        self.claim(flow, &Subject::User(0), None, rate, 0)
    }

    fn held(&mut self, subject: &Subject, direction: Direction) -> Held {
        self.ledger.held(subject, &self.policy, None, direction)
    }

    fn sends(&mut self) -> Held {
        self.held(&Subject::User(0), Direction::Sends)
    }
}

fn over(metric: Metric, scope: Scope) -> Result<(), LpmPolicyError> {
    Err(LpmPolicyError::Limit(metric, scope))
}

#[test]
fn a_refresh_counts_once_and_a_full_account_may_refresh() {
    let mut office = Office::new(two_flows());
    for _ in 0..3 {
        for number in 0..2 {
            assert_eq!(office.ask(path(number), 1.0), Ok(()));
        }
    }
    let full = over(Metric::FlowCount, Scope::GlobalUser);
    assert_eq!(office.ask(path(2), 1.0), full);
    office.ledger.release(&path(0));
    assert_eq!(office.ask(path(2), 1.0), Ok(()));
    assert_eq!(office.sends().flows, 2);
}

#[test]
fn sending_and_receiving_are_counted_apart() {
    let mut office = Office::new(two_flows());
    let resv = FlowKey::distinct(session(0), sender(0), hop(0));
    office.ask(path(0), 1.0).unwrap();
    office.ask(resv, 5.0).unwrap();
    assert_eq!(office.sends().rate, 1);
    assert_eq!(office.held(&Subject::User(0), Direction::Receives).rate, 5);
}

#[test]
fn flags_of_a_session_do_not_make_another_flow() {
    let mut office = Office::new(two_flows());
    let policed = session(0).with_flags(Session::E_POLICE);
    office.ask(FlowKey::path(policed, sender(0)), 1.0).unwrap();
    office.ledger.release_path(&path(0));
    assert_eq!(office.sends(), Held::default());
}

#[test]
fn a_wildcard_reservation_ends_with_the_last_path() {
    let mut office = Office::new(two_flows());
    let wildcard = FlowKey::shared(session(0), hop(0));
    office.ask(wildcard, 1.0).unwrap();
    office.ledger.release_path(&path(2));
    office.ask(path(0), 1.0).unwrap();
    office.ask(path(1), 1.0).unwrap();
    office.ledger.release_path(&path(0));
    let user = Subject::User(0);
    assert_eq!(office.held(&user, Direction::Receives).flows, 1);
    office.ledger.release_path(&path(1));
    assert_eq!(office.held(&user, Direction::Receives).flows, 0);
}

#[test]
fn the_unlisted_are_forgotten_with_their_last_flow() {
    let mut office = Office::new(two_flows());
    let stranger = Subject::Unlisted(Box::new(Name::id("stranger")));
    let open = |office: &Office| office.ledger.accounts.len();
    let before = open(&office);
    office.claim(path(0), &stranger, Some(0), 1.0, 0).unwrap();
    office.claim(path(1), &stranger, Some(1), 1.0, 0).unwrap();
    assert_eq!(open(&office), before + 1);
    office.ledger.release(&path(0));
    office.ledger.release(&path(1));
    assert_eq!(open(&office), before);
    office.limits.flows = Limit::AtMost(0, Scope::GlobalDefault);
    let full = over(Metric::FlowCount, Scope::GlobalDefault);
    assert_eq!(office.claim(path(0), &stranger, None, 1.0, 0), full);
    assert_eq!(open(&office), before);
}

#[test]
fn sums_have_limits_of_their_own() {
    let mut office = Office::new(Limits {
        sum_flow_rate: Limit::AtMost(rate(10.0), Scope::GlobalGroup),
        sum_peak_rate: Limit::AtMost(rate(16.0), Scope::SubnetUser),
        ..Limits::default()
    });
    let lab = |office: &mut Office, number, rate| {
        office.claim(path(number), &Subject::User(0), Some(0), rate, 0)
    };
    assert_eq!(lab(&mut office, 0, 5.0), Ok(()));
    let peak = over(Metric::SumPeakRate, Scope::SubnetUser);
    assert_eq!(lab(&mut office, 1, 4.0), peak, "18 on the subnet");
    let hall =
        |office: &mut Office, rate| office.claim(path(1), &Subject::User(0), Some(1), rate, 0);
    assert_eq!(hall(&mut office, 5.0), Ok(()), "10 here, 10 in all");
    let sum = over(Metric::SumFlowRate, Scope::GlobalGroup);
    assert_eq!(hall(&mut office, 6.0), sum, "11 in all");
    assert_eq!(office.sends().rate, 10);
}

#[test]
fn who_is_above_a_limit_that_was_lowered_may_refresh_and_shrink() {
    let mut office = Office::new(Limits::default());
    office.ask(path(0), 10.0).unwrap();
    office.ask(path(1), 10.0).unwrap();
    office.limits.flows = Limit::AtMost(1, Scope::GlobalUser);
    office.limits.sum_flow_rate = Limit::AtMost(rate(5.0), Scope::GlobalUser);
    assert_eq!(office.ask(path(0), 10.0), Ok(()));
    assert_eq!(office.ask(path(0), 9.0), Ok(()));
    let sum = over(Metric::SumFlowRate, Scope::GlobalUser);
    assert_eq!(office.ask(path(0), 9.5), sum);
}

#[test]
fn a_change_that_is_refused_elsewhere_leaves_what_is_committed() {
    let mut office = Office::new(Limits::default());
    let resv = FlowKey::distinct(session(0), sender(0), hop(0));
    let receives = |office: &mut Office| office.held(&Subject::User(0), Direction::Receives).rate;
    office.ask(resv, 10.0).unwrap();
    office.ledger.commit(&resv, None);
    office.ask(resv, 30.0).unwrap();
    assert_eq!(receives(&mut office), 30);
    office.ledger.refuse(&resv);
    assert_eq!(receives(&mut office), 10);
    office.ask(resv, 4.0).unwrap();
    assert_eq!(receives(&mut office), 10, "until the change is made");
    office.ledger.commit(&resv, None);
    assert_eq!(receives(&mut office), 4);
    office.ledger.refuse(&resv);
    assert_eq!(receives(&mut office), 4);
    office.ledger.release(&resv);
    assert_eq!(receives(&mut office), 0);
}

#[test]
fn what_was_never_committed_is_gone_when_it_is_refused() {
    let mut office = Office::new(Limits::default());
    office.ask(path(0), 10.0).unwrap();
    office.ask(path(0), 30.0).unwrap();
    assert_eq!(office.sends().rate, 30);
    office.ledger.refuse(&path(0));
    assert_eq!(office.sends(), Held::default());
    office.ledger.commit(&path(0), None);
    assert_eq!(office.sends(), Held::default());
}

#[test]
fn a_flow_ends_with_its_time_and_does_not_begin_anew_by_a_refresh() {
    let mut office = Office::new(Limits {
        flow_duration: Limit::AtMost("1 h".parse().unwrap(), Scope::SubnetDefault),
        ..Limits::default()
    });
    let user = Subject::User(0);
    let mut ask = |seconds| {
        let answer = office.claim(path(0), &user, None, 1.0, seconds);
        if answer.is_err() {
            // The PCM tells every LPM of each flow that any of them rejects.
            office.ledger.refuse(&path(0));
        }
        (answer, office.sends().flows)
    };
    let expired = || (over(Metric::FlowDuration, Scope::SubnetDefault), 0);
    assert_eq!(ask(100), (Ok(()), 1));
    assert_eq!(ask(3_700), (Ok(()), 1));
    for refresh in 0..100 {
        assert_eq!(ask(3_701 + 30 * refresh), expired());
    }
    let last = 3_701 + 30 * 99;
    assert_eq!(ask(last + 601), (Ok(()), 1), "nobody asked for ten minutes");
    assert_eq!(ask(last + 601 + 3_601), expired());
    office.ledger.release(&path(0));
    let again = office.claim(path(0), &user, None, 1.0, last + 601 + 3_602);
    assert_eq!(again, Ok(()), "it was torn down");
}

#[test]
fn a_subject_keeps_its_flows_when_the_policy_is_reread() {
    let mut office = Office::new(two_flows());
    office.ask(path(0), 1.0).unwrap();
    office.ask(path(1), 1.0).unwrap();
    let reread = "[default]\npriority = 1\n[[user]]\nid = 'z'\n[[user]]\nid = 'A'\n";
    office.policy = Policy::parse("reread", reread).unwrap();
    let user = Subject::User(1);
    assert_eq!(office.held(&user, Direction::Sends).flows, 2);
    let full = over(Metric::FlowCount, Scope::GlobalUser);
    assert_eq!(office.claim(path(2), &user, None, 1.0, 0), full);
    assert_eq!(office.held(&Subject::User(0), Direction::Sends).flows, 0);
}

#[derive(Clone, Debug)]
enum Step {
    Admit {
        flow: FlowKey,
        senders: Vec<FilterSpec>,
        counted: Counted,
    },
    Commit(FlowKey, Option<u16>),
    Refuse(FlowKey),
    Release(FlowKey),
    ReleaseSenders(FlowKey, Vec<FilterSpec>),
    ReleasePath(FlowKey),
}

/// For whom a flow is counted, where, and with which rate; its peak rate is twice that.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Counted {
    subject: usize,
    subnet: Option<usize>,
    rate: u16,
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
    let asked = prop_oneof![
        unshared.prop_map(|flow| (flow, Vec::new())),
        (shared.clone(), list.clone()),
    ];
    let counted = (0..subjects().len(), prop::option::of(0..2usize), 0..8u16).prop_map(
        |(subject, subnet, rate)| Counted {
            subject,
            subnet,
            rate,
        },
    );
    let step = prop_oneof![
        6 => (asked, counted).prop_map(|((flow, senders), counted)| {
            Step::Admit { flow, senders, counted }
        }),
        2 => (flow.clone(), prop::option::of(0..8u16))
            .prop_map(|(flow, rate)| Step::Commit(flow, rate)),
        1 => flow.clone().prop_map(Step::Refuse),
        1 => flow.prop_map(Step::Release),
        1 => (shared, list).prop_map(|(flow, senders)| Step::ReleaseSenders(flow, senders)),
        1 => (sessions, senders).prop_map(|(s, f)| Step::ReleasePath(FlowKey::path(s, f))),
    ];
    prop::collection::vec(step, 0..60)
}

/// Two flows and 12 bytes per second in all, 14 bytes per second of peak rate on each subnet.
fn model_limits() -> Limits {
    Limits {
        flows: Limit::AtMost(2, Scope::GlobalUser),
        sum_flow_rate: Limit::AtMost(rate(12.0), Scope::GlobalDefault),
        sum_peak_rate: Limit::AtMost(rate(14.0), Scope::SubnetGroup),
        ..Limits::default()
    }
}

/// The same rules, with nothing kept but a list: every count is taken afresh.
#[derive(Clone, Default)]
struct Model(Vec<Flow>);

#[derive(Clone)]
struct Flow {
    key: FlowKey,
    senders: Vec<FilterSpec>,
    committed: Option<Counted>,
    asked: Option<Counted>,
}

impl Model {
    fn held(&self, subject: usize, subnet: Option<usize>, direction: Direction) -> Held {
        let mut held = Held::default();
        for flow in self.0.iter().filter(|it| it.key.direction() == direction) {
            // In each place the larger of what is committed there and what is asked for there.
            let mut places: Vec<Counted> = Vec::new();
            for counted in flow.committed.iter().chain(&flow.asked) {
                let same = |it: &&mut Counted| {
                    (it.subject, it.subnet) == (counted.subject, counted.subnet)
                };
                match places.iter_mut().find(same) {
                    Some(place) => place.rate = place.rate.max(counted.rate),
                    None => places.push(*counted),
                }
            }
            for counted in places {
                let here = subnet.is_none() || counted.subnet == subnet;
                if counted.subject == subject && here {
                    held.flows += 1;
                    held.rate += u64::from(counted.rate);
                    held.peak_rate += 2 * u64::from(counted.rate);
                }
            }
        }
        held
    }

    fn find(&mut self, key: &FlowKey) -> Option<&mut Flow> {
        self.0.iter_mut().find(|it| it.key == *key)
    }

    fn admit(&mut self, key: &FlowKey, senders: &[FilterSpec], counted: Counted) -> bool {
        let mut after = self.clone();
        match after.find(key) {
            Some(flow) => {
                flow.senders = senders.to_vec();
                flow.asked = Some(counted);
            }
            None => after.0.push(Flow {
                key: *key,
                senders: senders.to_vec(),
                committed: None,
                asked: Some(counted),
            }),
        }
        let direction = key.direction();
        let held = |model: &Self, subnet| model.held(counted.subject, subnet, direction);
        let (before_all, after_all) = (held(self, None), held(&after, None));
        let (before_here, after_here) = (held(self, counted.subnet), held(&after, counted.subnet));
        let exceeds = |before: u64, after: u64, most: u64| after > before && after > most;
        if exceeds(before_all.flows.into(), after_all.flows.into(), 2)
            || exceeds(before_all.rate, after_all.rate, 12)
            || exceeds(before_here.peak_rate, after_here.peak_rate, 14)
        {
            return false;
        }
        *self = after;
        true
    }

    fn apply(&mut self, step: &Step) -> bool {
        match step {
            Step::Admit {
                flow,
                senders,
                counted,
            } => return self.admit(flow, senders, *counted),
            Step::Commit(key, rate) => {
                if let Some(flow) = self.find(key) {
                    flow.committed = flow.asked.take().or(flow.committed);
                    if let (Some(committed), Some(rate)) = (&mut flow.committed, rate) {
                        committed.rate = *rate;
                    }
                }
            }
            Step::Refuse(key) => {
                if let Some(flow) = self.find(key) {
                    flow.asked = None;
                }
                self.0
                    .retain(|flow| flow.committed.is_some() || flow.asked.is_some());
            }
            Step::Release(key) => self.0.retain(|flow| flow.key != *key),
            Step::ReleaseSenders(key, gone) => self.0.retain_mut(|flow| {
                if flow.key != *key || flow.senders.is_empty() {
                    return true;
                }
                flow.senders.retain(|one| !gone.contains(one));
                !flow.senders.is_empty()
            }),
            Step::ReleasePath(path) => {
                let is_path = |flow: &&Flow| {
                    flow.key.is_of_session(path) && flow.key.direction() == Direction::Sends
                };
                let was_last = self.0.iter().any(|flow| flow.key == *path)
                    && self.0.iter().filter(is_path).count() == 1;
                self.0.retain_mut(|flow| {
                    if !flow.key.is_of_session(path) {
                        return true;
                    }
                    match flow.key.sender() {
                        Some(one) => Some(one) != path.sender(),
                        None if flow.senders.is_empty() => !was_last,
                        None => {
                            flow.senders.retain(|one| Some(*one) != path.sender());
                            !flow.senders.is_empty()
                        }
                    }
                });
            }
        }
        true
    }
}

impl Office {
    fn apply(&mut self, step: &Step) -> bool {
        let ledger = &mut self.ledger;
        match step {
            Step::Admit {
                flow,
                senders,
                counted,
            } => {
                let claim = Claim {
                    flow: *flow,
                    subject: &subjects()[counted.subject],
                    policy: &self.policy,
                    subnet: counted.subnet.map(|place| self.subnets[place]),
                    traffic: traffic(counted.rate),
                    priority: Priority::MIN,
                    received: at(0),
                };
                return ledger
                    .admit(&claim, senders.iter().copied(), &self.limits)
                    .is_ok();
            }
            Step::Commit(flow, rate) => ledger.commit(flow, rate.map(traffic)),
            Step::Refuse(flow) => ledger.refuse(flow),
            Step::Release(flow) => ledger.release(flow),
            Step::ReleaseSenders(flow, senders) => {
                ledger.release_senders(flow, senders.iter().copied());
            }
            Step::ReleasePath(path) => ledger.release_path(path),
        }
        true
    }
}

fn traffic(rate: u16) -> Traffic {
    Traffic {
        rate: f32::from(rate),
        peak_rate: 2.0 * f32::from(rate),
    }
}

proptest! {
    #[test]
    fn accounts_are_exact_after_any_steps(steps in steps()) {
        let (mut office, mut model) = (Office::new(model_limits()), Model::default());
        for step in &steps {
            prop_assert_eq!(office.apply(step), model.apply(step), "{:?}", step);
            prop_assert_eq!(office.ledger.flows.len(), model.0.len());
            for (number, subject) in subjects().iter().enumerate() {
                for subnet in [None, Some(0), Some(1)] {
                    for direction in [Direction::Sends, Direction::Receives] {
                        let id = subnet.map(|place| office.subnets[place]);
                        let held = office.ledger.held(subject, &office.policy, id, direction);
                        prop_assert_eq!(held, model.held(number, subnet, direction));
                    }
                }
            }
        }
        // The three listed, the unauthenticated, and those of the unlisted who hold something.
        let directions = [Direction::Sends, Direction::Receives];
        let holds = |subject: &usize| {
            directions.iter().any(|it| model.held(*subject, None, *it).flows > 0)
        };
        let unlisted = [3, 4].iter().filter(|it| holds(it)).count();
        prop_assert!(office.ledger.accounts.len() <= 4 + unlisted);
    }
}

/// The ledger as another build of the LPM has it that took over.
fn taken_over(ledger: &Ledger, policy: &Policy) -> Ledger {
    let mut next = Ledger::new();
    let _ = next.subnet_ids(policy);
    if let Some(state) = ledger.handed_over() {
        next.take_over(&state).expect("what was handed over");
    }
    next
}

#[test]
fn what_is_handed_over_is_counted_as_before() {
    let mut office = Office::new(two_flows());
    office.ask(path(0), 5.0).unwrap();
    office.ask(path(1), 6.0).unwrap();
    office.ledger.commit(&path(1), None);
    office.ask(path(1), 9.0).unwrap();
    // In another order, and without the subject: whoever holds something keeps it.
    let other = "[default]\npriority = 1\n[[subnet]]\nname = 'hall'\ninterfaces = [2]\n";
    let other = Policy::parse("other", other).unwrap();
    let mut ledger = taken_over(&office.ledger, &other);
    let subnets = ledger.subnet_ids(&office.policy);
    office.policy = policy();
    office.ledger = ledger;
    office.subnets = subnets;
    let expected = Held {
        flows: 2,
        rate: 14,
        peak_rate: 28,
    };
    assert_eq!(office.sends(), expected);
    let full = over(Metric::FlowCount, Scope::GlobalUser);
    assert_eq!(office.ask(path(2), 1.0), full);
    assert_eq!(office.ask(path(0), 5.0), Ok(()), "a refresh");
    office.ledger.refuse(&path(1));
    assert_eq!(office.sends().rate, 5 + 6, "what was committed stays");
    assert_eq!(Ledger::new().handed_over(), None);
}

#[test]
fn a_flow_whose_time_is_up_does_not_begin_anew_by_a_hand_over() {
    let mut office = Office::new(Limits {
        flow_duration: Limit::AtMost("1 h".parse().unwrap(), Scope::SubnetDefault),
        ..Limits::default()
    });
    let user = Subject::User(0);
    let expired = || over(Metric::FlowDuration, Scope::SubnetDefault);
    office.claim(path(0), &user, None, 1.0, 100).unwrap();
    office.ledger = taken_over(&office.ledger, &office.policy);
    office.policy = policy();
    let late = office.claim(path(0), &user, None, 1.0, 3_701);
    assert_eq!(late, expired(), "it began before");
    office.ledger = taken_over(&office.ledger, &office.policy);
    office.policy = policy();
    let again = office.claim(path(0), &user, None, 1.0, 3_731);
    assert_eq!(again, expired(), "it was refused before");
}

#[test]
fn state_that_cannot_be_is_refused_whole() {
    let mut office = Office::new(two_flows());
    office.ask(path(0), 5.0).unwrap();
    let state = String::from_utf8(office.ledger.handed_over().unwrap()).unwrap();
    for (old, new) in [
        ("\"account\":0", "\"account\":1"),
        ("\"subnet\":null", "\"subnet\":0"),
        ("\"rate\":5", "\"rate\":70368744177665"),
        ("\"rate\":5", "\"rate\":-5"),
        ("\"priority\":1", "\"priority\":0"),
        ("\"protocol\":17", "\"protocol\":0"),
        ("\"Port\":4000", "\"FlowLabel\":4000"),
        ("\"tentative\":{", "\"passed_over\":{"),
        ("}]", ""),
        ("{", "["),
    ] {
        let broken = state.replacen(old, new, 1);
        assert_ne!(broken, state, "{old}");
        let mut ledger = Ledger::new();
        assert!(ledger.take_over(broken.as_bytes()).is_err(), "{broken}");
        assert_eq!((ledger.flows.len(), ledger.accounts.len()), (0, 1), "{old}");
    }
    let later = state.replacen('{', "{\"added later\":[1],", 1);
    Ledger::new()
        .take_over(later.as_bytes())
        .expect("what is unknown is passed over");
}

proptest! {
    /// At any time, and then whatever comes.
    #[test]
    fn accounts_are_exact_after_a_hand_over(before in steps(), after in steps()) {
        let (mut office, mut model) = (Office::new(model_limits()), Model::default());
        for step in &before {
            office.apply(step);
            model.apply(step);
        }
        office.ledger = taken_over(&office.ledger, &office.policy);
        // Places of accounts are remembered in the policy, which is another's now.
        office.policy = policy();
        prop_assert_eq!(office.ledger.flows.len(), model.0.len());
        for step in &after {
            prop_assert_eq!(office.apply(step), model.apply(step), "{:?}", step);
            for (number, subject) in subjects().iter().enumerate() {
                for subnet in [None, Some(0), Some(1)] {
                    for direction in [Direction::Sends, Direction::Receives] {
                        let id = subnet.map(|place| office.subnets[place]);
                        let held = office.ledger.held(subject, &office.policy, id, direction);
                        prop_assert_eq!(held, model.held(number, subnet, direction));
                    }
                }
            }
        }
    }

    /// All of it is taken over or none; and all that is can be released.
    #[test]
    fn state_that_was_tampered_with_does_no_harm(
        steps in steps(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut office = Office::new(model_limits());
        for step in &steps {
            office.apply(step);
        }
        let mut state = office.ledger.handed_over().unwrap_or_default();
        for (place, byte) in changes {
            if !state.is_empty() {
                let place = place.index(state.len());
                state[place] = byte;
            }
        }
        if let (Some(cut), false) = (cut, state.is_empty()) {
            state.truncate(cut.index(state.len()));
        }
        let mut ledger = Ledger::new();
        let taken = ledger.take_over(&state);
        prop_assert!(taken.is_ok() || ledger.flows.len() == 0);
        let flows: Vec<_> = ledger.flows.iter().map(|(flow, _)| *flow).collect();
        for flow in flows {
            ledger.release(&flow);
        }
        prop_assert_eq!(ledger.accounts.len(), 1, "nobody holds anything");
    }
}
