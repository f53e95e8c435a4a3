//! Refreshes that are decided by their bytes alone: it comes to the same as reading them.

mod support;

use std::time::Duration;

use lpm_api::lpm_rsvp::{Message, ObjectIndex};
use lpm_api::{Decision, DeleteReason, LpmPolicyError, Metric, RejectReason, Scope, Statistics};
use lpm_identity::IdentityLpm;
use lpm_identity::consider::Facts;
use lpm_identity::policy::Policy;
use proptest::prelude::*;
use support::*;

const KBIT: f32 = 125.0;

const OFFICE: &str = "
    [default]
    priority = 3
    max_flows = 2
    [unauthenticated]
    priority = 1
    max_flows = 1
    [[user]]
    id = 'ada'
    priority = 7
    max_flow_duration = 100
    [[user]]
    id = 'grace'
    max_sum_flow_rate = 200000
    [[user]]
    id = 'ticket'
    [authentication]
    accept = ['ascii_id']
    accept_with_integrity = ['kerberos_ticket']
";

fn lpm(policy: &str) -> IdentityLpm {
    IdentityLpm::new(Policy::parse("test", policy).unwrap())
}

fn of(id: &str) -> [Vec<u8>; 1] {
    [policy_data(&[auth_user("", id)])]
}

/// What is decided on a message, and whether that took no reading.
fn decide(lpm: &IdentityLpm, facts: Facts, bytes: &[u8]) -> (Vec<Decision>, bool) {
    let mut index = ObjectIndex::new();
    let message = Message::parse(bytes, &mut index).unwrap();
    if message.flow_descriptors().count() == 1 {
        if let Some(decision) =
            lpm.again(&message, facts.interface, facts.integrity_verified, || {
                facts.received
            })
        {
            return (vec![decision], true);
        }
    }
    (read(lpm, facts, bytes), false)
}

fn read(lpm: &IdentityLpm, facts: Facts, bytes: &[u8]) -> Vec<Decision> {
    let mut index = ObjectIndex::new();
    let message = Message::parse(bytes, &mut index).unwrap();
    let consideration = lpm.consider(message, facts);
    let flows = message.flow_descriptors();
    flows
        .map(|flow| decided_at_once(consideration.decide(&flow)))
        .collect()
}

fn gone(lpm: &IdentityLpm, reason: DeleteReason, bytes: &[u8]) {
    let mut index = ObjectIndex::new();
    let message = Message::parse(bytes, &mut index).unwrap();
    for flow in message.flow_descriptors() {
        lpm.release(reason, &message, &flow);
    }
}

/// A message that came as often as it takes to know it, and is accepted.
#[track_caller]
fn know(lpm: &IdentityLpm, facts: Facts, bytes: &[u8]) {
    let first = decide(lpm, facts, bytes);
    assert!(matches!(first.0[..], [Decision::Accept(_)]), "{first:?}");
    let decisions = first.0;
    assert_eq!(decide(lpm, facts, bytes), (decisions.clone(), false));
    assert_eq!(decide(lpm, facts, bytes), (decisions, true));
}

fn statistics(lpm: &IdentityLpm) -> Vec<(String, u64)> {
    let mut counts = Vec::new();
    lpm.statistics(&mut |name, count| counts.push((name.to_owned(), count)));
    counts
}

#[track_caller]
fn is_read(lpm: &IdentityLpm, facts: Facts, bytes: &[u8]) -> Vec<Decision> {
    let (decisions, is_known) = decide(lpm, facts, bytes);
    assert!(!is_known, "{decisions:?}");
    decisions
}

#[test]
fn another_policy_is_asked_at_the_next_message() {
    let lpm = lpm(OFFICE);
    let bytes = path(1, 1, KBIT, &of("grace"));
    know(&lpm, anywhere(), &bytes);
    let strict = "[default]\nreject = 'no_privileges'\n[[user]]\nid = 'grace'\n";
    lpm.set_policy(Policy::parse("test", strict).unwrap());
    let reject = Decision::Reject(RejectReason::policy(LpmPolicyError::NoPrivileges));
    assert_eq!(is_read(&lpm, anywhere(), &bytes), [reject]);
    assert_eq!(is_read(&lpm, anywhere(), &bytes), [reject]);
    // The same text is another policy, too.
    lpm.set_policy(Policy::parse("test", OFFICE).unwrap());
    is_read(&lpm, anywhere(), &bytes);
    know(&lpm, anywhere(), &path(1, 2, KBIT, &of("grace")));
}

#[test]
fn where_the_time_of_day_counts_every_message_is_read() {
    let policy = format!(
        "time_zone = 'UTC'\n{OFFICE}\n[[user]]\nid = 'night'\n\
         [[user.when]]\nhours = '00:00-06:00'\nreject = 'no_resources'\n"
    );
    let lpm = lpm(&policy);
    for user in ["night", "ada"] {
        let bytes = path(1, 1, KBIT, &of(user));
        for hour in [7, 7, 7] {
            let facts = on("0.0.0.0", hour * 3600);
            assert!(matches!(
                is_read(&lpm, facts, &bytes)[..],
                [Decision::Accept(_)]
            ));
        }
        gone(&lpm, DeleteReason::ReceivedPathTear, &path_tear(1, 1));
    }
    let bytes = path(1, 1, KBIT, &of("night"));
    is_read(&lpm, on("0.0.0.0", 8 * 3600), &bytes);
    let reject = Decision::Reject(RejectReason::policy(LpmPolicyError::NoResources));
    assert_eq!(is_read(&lpm, on("0.0.0.0", 25 * 3600), &bytes), [reject]);
}

#[test]
fn what_others_take_and_free_counts() {
    let lpm = lpm(OFFICE);
    let (first, second) = (path(1, 1, KBIT, &of("else")), path(1, 2, KBIT, &of("else")));
    let third = path(1, 3, KBIT, &of("else"));
    let full = LpmPolicyError::Limit(Metric::FlowCount, Scope::GlobalDefault);
    let full = Decision::Reject(RejectReason::policy(full));
    know(&lpm, anywhere(), &first);
    know(&lpm, anywhere(), &second);
    // What is rejected is asked again each time; what is counted already is not in its way.
    for _ in 0..3 {
        assert_eq!(is_read(&lpm, anywhere(), &third), [full]);
    }
    assert!(decide(&lpm, anywhere(), &first).1);
    gone(&lpm, DeleteReason::ReceivedPathTear, &path_tear(1, 2));
    know(&lpm, anywhere(), &third);
    // The second was forgotten with its flow.
    assert_eq!(is_read(&lpm, anywhere(), &second), [full]);
    assert!(decide(&lpm, anywhere(), &first).1);
}

#[test]
fn the_same_bytes_from_elsewhere_are_others() {
    let lpm = lpm(OFFICE);
    let bytes = path(1, 1, KBIT, &of("grace"));
    know(&lpm, anywhere(), &bytes);
    let (mut index, address) = (anywhere(), on("192.0.2.1", 0));
    index.interface.index = 2;
    for facts in [index, address, anywhere()] {
        is_read(&lpm, facts, &bytes);
        assert!(decide(&lpm, facts, &bytes).1);
    }
    // INTEGRITY that is verified makes others of those who ask.
    let ticket = auth_user_with_ticket();
    let bytes = path(1, 2, KBIT, &[policy_data(&[ticket])]);
    let verified = Facts {
        integrity_verified: true,
        ..anywhere()
    };
    know(&lpm, verified, &bytes);
    is_read(&lpm, anywhere(), &bytes);
}

/// A DN and a Kerberos ticket.
fn auth_user_with_ticket() -> Vec<u8> {
    let dn = attribute(1, 1, b"CN=Somebody");
    element(2, &[dn, attribute(2, 3, b"ticket")])
}

#[test]
fn a_flow_ends_at_its_time_though_it_is_refreshed() {
    let lpm = lpm(OFFICE);
    let bytes = path(1, 1, KBIT, &of("ada"));
    know(&lpm, on("0.0.0.0", 1000), &bytes);
    assert!(decide(&lpm, on("0.0.0.0", 1100), &bytes).1);
    // A clock that was set back.
    assert!(decide(&lpm, on("0.0.0.0", 10), &bytes).1);
    let mut facts = on("0.0.0.0", 1100);
    facts.received += Duration::from_nanos(100);
    let over = LpmPolicyError::Limit(Metric::FlowDuration, Scope::GlobalUser);
    let over = Decision::Reject(RejectReason::policy(over));
    assert_eq!(is_read(&lpm, facts, &bytes), [over]);
    assert_eq!(is_read(&lpm, facts, &bytes), [over]);
}

#[test]
fn a_message_that_says_otherwise_takes_the_place_of_the_last() {
    let lpm = lpm(OFFICE);
    let (low, high) = (
        path(1, 1, KBIT, &of("grace")),
        path(1, 1, 2.0 * KBIT, &of("grace")),
    );
    know(&lpm, anywhere(), &low);
    know(&lpm, anywhere(), &high);
    // Once as a change, once as what is then kept.
    is_read(&lpm, anywhere(), &low);
    is_read(&lpm, anywhere(), &low);
    assert!(decide(&lpm, anywhere(), &low).1);
    // One that is refused leaves the flow, but not what was said of it.
    let much = path(1, 1, 8_000.0 * KBIT, &of("grace"));
    assert!(matches!(
        is_read(&lpm, anywhere(), &much)[..],
        [Decision::Reject(_)]
    ));
    gone(&lpm, DeleteReason::AdmissionControlFailed, &much);
    is_read(&lpm, anywhere(), &low);
}

#[test]
fn senders_that_left_come_back_with_a_refresh() {
    let lpm = lpm(OFFICE);
    let flows = |senders: &'static [u8]| [(controlled_load(KBIT), senders)];
    let bytes = resv(1, 1, SE, &flows(&[1, 2]), &of("grace"));
    know(&lpm, anywhere(), &bytes);
    gone(
        &lpm,
        DeleteReason::ReceivedResvTear,
        &resv_tear(1, 1, SE, &flows(&[1])),
    );
    is_read(&lpm, anywhere(), &bytes);
    // Both are there again: the flow outlives either.
    gone(
        &lpm,
        DeleteReason::ReceivedResvTear,
        &resv_tear(1, 1, SE, &flows(&[2])),
    );
    is_read(&lpm, anywhere(), &bytes);
    assert!(decide(&lpm, anywhere(), &bytes).1);
}

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    Message(Vec<u8>, Facts),
    Gone(DeleteReason, Vec<u8>),
    Policy(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let message =
        (0..4_u8, 1..3_u8, 0..5_usize, 0..3_usize).prop_map(|(kind, sender, user, rate)| {
            let policy = match ["", "ada", "grace", "else", "ada "][user] {
                "" => Vec::new(),
                id => of(id).to_vec(),
            };
            let rate = [8.0, 800.0, 1e6][rate] * KBIT;
            let one = [sender];
            let flow = |senders| [(controlled_load(rate), senders)];
            match kind {
                0 => path(1, sender, rate, &policy),
                1 => resv(1, 1, FF, &flow(&one[..]), &policy),
                2 => resv(1, 1, SE, &flow(&[1, 2][..usize::from(sender)]), &policy),
                _ => resv(1, 2, WF, &flow(&[][..]), &policy),
            }
        });
    let facts = (1..3_u32, any::<bool>(), 0..300_u64).prop_map(|(index, verified, seconds)| {
        let mut facts = on("0.0.0.0", seconds);
        (facts.interface.index, facts.integrity_verified) = (index, verified);
        facts
    });
    let reason = prop_oneof![
        Just(DeleteReason::AdmissionControlFailed),
        Just(DeleteReason::StateTimeout),
        Just(DeleteReason::FlowDuration),
    ];
    prop_oneof![
        // Most are refreshes, and from the same place.
        12 => (message.clone(), 0..100_u64)
            .prop_map(|(message, seconds)| Step::Message(message, on("0.0.0.0", seconds))),
        4 => (message.clone(), facts).prop_map(|(message, facts)| Step::Message(message, facts)),
        2 => (reason, message).prop_map(|(reason, message)| Step::Gone(reason, message)),
        1 => any::<bool>().prop_map(Step::Policy),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn by_its_bytes_or_read_comes_to_the_same(steps in prop::collection::vec(step(), 1..200)) {
        let strict = OFFICE.replace("priority = 3", "priority = 2").replace("= 200000", "= 1000");
        let (knowing, reading) = (lpm(OFFICE), lpm(OFFICE));
        for step in steps {
            match step {
                Step::Message(bytes, facts) => {
                    let (decisions, _) = decide(&knowing, facts, &bytes);
                    prop_assert_eq!(decisions, read(&reading, facts, &bytes));
                }
                Step::Gone(reason, bytes) => {
                    gone(&knowing, reason, &bytes);
                    gone(&reading, reason, &bytes);
                }
                Step::Policy(is_strict) => {
                    let text = if is_strict { &strict } else { OFFICE };
                    for lpm in [&knowing, &reading] {
                        lpm.set_policy(Policy::parse("test", text).unwrap());
                    }
                }
            }
            prop_assert_eq!(statistics(&knowing), statistics(&reading));
        }
    }
}
