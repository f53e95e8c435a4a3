//! From the bytes of a message to its decisions, with the policy of the demo.

mod support;

use lpm_api::lpm_rsvp::{Message, ObjectIndex, PolicyElement};
use lpm_api::{Decision, DeleteReason, LpmPolicyError, Metric, Priority, RejectReason, Scope};
use lpm_identity::IdentityLpm;
use lpm_identity::consider::Facts;
use lpm_identity::policy::Policy;
use lpm_sample::DEMO_POLICY;
use proptest::prelude::*;
use support::*;

const ADA: &str = "CN=Ada Lovelace, OU=Engineering, O=Small Office, C=CH";
const GRACE: &str = "CN=Grace Hopper, OU=Engineering, O=Small Office, C=CH";

/// 64 kbit/s, 2 Mbit/s and so on in bytes per second.
const KBIT: f32 = 125.0;
const MBIT: f32 = 125_000.0;

fn office() -> IdentityLpm {
    IdentityLpm::new(Policy::parse("demo-policy.toml", DEMO_POLICY).unwrap())
}

fn admit(lpm: &IdentityLpm, bytes: &[u8]) -> Vec<Decision> {
    admit_with(lpm, anywhere(), bytes)
}

fn admit_with(lpm: &IdentityLpm, facts: Facts, bytes: &[u8]) -> Vec<Decision> {
    let mut index = ObjectIndex::new();
    let message = Message::parse(bytes, &mut index).unwrap();
    let consideration = lpm.consider(message, facts);
    message
        .flow_descriptors()
        .map(|flow| decided_at_once(consideration.decide(&flow)))
        .collect()
}

fn gone(lpm: &IdentityLpm, reason: DeleteReason, bytes: &[u8]) {
    let mut index = ObjectIndex::new();
    let message = Message::parse(bytes, &mut index).unwrap();
    message
        .flow_descriptors()
        .for_each(|flow| lpm.release(reason, &message, &flow));
}

fn accept(priority: u16) -> Decision {
    Decision::Accept(Priority::new(priority).unwrap())
}

fn reject(reason: LpmPolicyError) -> Decision {
    Decision::Reject(RejectReason::policy(reason))
}

fn limit(metric: Metric, scope: Scope) -> Decision {
    reject(LpmPolicyError::Limit(metric, scope))
}

/// What an LPM with this policy decides on a message, given these facts.
fn decided(policy: &str, facts: Facts, bytes: &[u8]) -> Vec<Decision> {
    let lpm = IdentityLpm::new(Policy::parse("test", policy).unwrap());
    admit_with(&lpm, facts, bytes)
}

/// The decision on a Path with these policy elements, in an office without any other flow.
#[track_caller]
fn path_of(elements: &[Vec<u8>], rate: f32) -> Decision {
    let decisions = admit(&office(), &path(1, 1, rate, &[policy_data(elements)]));
    assert_eq!(decisions.len(), 1);
    decisions[0]
}

#[test]
fn every_rule_decides_for_its_subject() {
    let charles = "CN=Charles Babbage, OU=Engineering, O=Small Office, C=CH";
    for (elements, expected) in [
        (vec![auth_user(ADA, "ada")], accept(300)),
        (vec![auth_user("", "KATHERINE")], accept(1000)),
        (
            vec![auth_user(
                "UID=gboole + CN=\"Boole, George\"; OU=accounting; O=small office; C=ch",
                "",
            )],
            accept(100),
        ),
        (
            vec![auth_user("", "visitor")],
            reject(LpmPolicyError::NoPrivileges),
        ),
        (
            vec![auth_user(charles, "")],
            reject(LpmPolicyError::ExpiredUserToken),
        ),
        (
            vec![auth_user("CN=Somebody Else, O=Small Office, C=CH", "else")],
            accept(100),
        ),
        (
            vec![auth_app("APP=Office Phone, VER=2.1", "phone.exe")],
            accept(5000),
        ),
        (vec![auth_app("", "Backup.EXE")], accept(10)),
        (vec![auth_app("APP=Unheard of", "")], accept(100)),
        (vec![], accept(1)),
    ] {
        assert_eq!(path_of(&elements, 8.0 * KBIT), expected, "{elements:?}");
    }
    assert_eq!(admit(&office(), &path(1, 1, 8.0 * KBIT, &[])), [accept(1)]);
}

#[test]
fn a_rate_is_judged_by_the_limit_of_its_scope() {
    let rate = |elements: &[Vec<u8>], allowed: f32, scope: Scope| {
        let next = f32::from_bits(allowed.to_bits() + 1);
        assert!(
            matches!(path_of(elements, allowed), Decision::Accept(_)),
            "{allowed} B/s"
        );
        assert_eq!(
            path_of(elements, next),
            limit(Metric::FlowRate, scope),
            "{allowed} B/s"
        );
    };
    rate(&[auth_user(ADA, "")], 8.0 * MBIT, Scope::GlobalUser);
    rate(&[auth_user(GRACE, "")], 2.0 * MBIT, Scope::GlobalGroup);
    rate(
        &[auth_user("", "katherine")],
        500.0 * KBIT,
        Scope::GlobalDefault,
    );
    rate(
        &[auth_user("", "somebody")],
        500.0 * KBIT,
        Scope::GlobalDefault,
    );
    rate(
        &[auth_app("", "phone.exe")],
        100.0 * KBIT,
        Scope::GlobalUser,
    );
    rate(&[], 64.0 * KBIT, Scope::GlobalUnauthenticated);
}

#[test]
fn flows_are_counted_against_the_limit_of_their_scope() {
    let count = |elements: &[Vec<u8>], most: u8, scope: Scope| {
        let lpm = office();
        let from = |sender| path(1, sender, 8.0 * KBIT, &[policy_data(elements)]);
        for _refresh in 0..2 {
            for sender in 1..=most {
                assert!(matches!(admit(&lpm, &from(sender))[0], Decision::Accept(_)));
            }
        }
        assert_eq!(
            admit(&lpm, &from(most + 1)),
            [limit(Metric::FlowCount, scope)]
        );
        gone(&lpm, DeleteReason::ReceivedPathTear, &path_tear(1, 1));
        assert!(matches!(
            admit(&lpm, &from(most + 1))[0],
            Decision::Accept(_)
        ));
    };
    count(&[auth_user(GRACE, "")], 3, Scope::GlobalGroup);
    count(
        &[auth_user(
            "CN=Boole\\, George+UID=gboole,OU=Accounting,O=Small Office,C=CH",
            "",
        )],
        1,
        Scope::GlobalUser,
    );
    count(&[auth_user("", "somebody")], 2, Scope::GlobalDefault);
    count(&[], 3, Scope::GlobalUnauthenticated);
}

#[test]
fn the_unlisted_have_an_account_each_and_the_unauthenticated_share_one() {
    let lpm = office();
    for (number, name) in ["one", "two", "three"].into_iter().enumerate() {
        for sender in 1..=2 {
            let session = u8::try_from(number).unwrap();
            let path = path(
                session + 1,
                sender,
                KBIT,
                &[policy_data(&[auth_user("", name)])],
            );
            assert_eq!(admit(&lpm, &path), [accept(100)]);
        }
    }
    let unauthenticated: Vec<_> = (1..=4)
        .flat_map(|session| admit(&lpm, &path(session, 9, KBIT, &[])))
        .collect();
    let over = limit(Metric::FlowCount, Scope::GlobalUnauthenticated);
    assert_eq!(unauthenticated, [accept(1), accept(1), accept(1), over]);
}

#[test]
fn fixed_filter_flows_are_decided_one_by_one() {
    let lpm = office();
    let policy = [policy_data(&[auth_user(GRACE, "grace")])];
    let flows: [(Vec<u8>, &[u8]); 3] = [
        (controlled_load(2.0 * MBIT), &[1]),
        (controlled_load(3.0 * MBIT), &[2]),
        // The second sender has no FLOWSPEC of its own and repeats the one before.
        (controlled_load(1.0 * MBIT), &[3, 4]),
    ];
    let rate = limit(Metric::FlowRate, Scope::GlobalGroup);
    let resv = resv(1, 1, FF, &flows, &policy);
    assert_eq!(
        admit(&lpm, &resv),
        [accept(300), rate, accept(300), accept(300)]
    );
    assert_eq!(
        admit(&lpm, &resv),
        [accept(300), rate, accept(300), accept(300)]
    );

    // The fourth flow is one too many, until one of the three is torn down.
    let fifth: [(Vec<u8>, &[u8]); 1] = [(controlled_load(MBIT), &[5])];
    let resv = support::resv(1, 1, FF, &fifth, &policy);
    assert_eq!(
        admit(&lpm, &resv),
        [limit(Metric::FlowCount, Scope::GlobalGroup)]
    );
    let tear: [(Vec<u8>, &[u8]); 1] = [(Vec::new(), &[3])];
    gone(
        &lpm,
        DeleteReason::ReceivedResvTear,
        &resv_tear(1, 2, FF, &tear),
    );
    assert_eq!(
        admit(&lpm, &resv),
        [limit(Metric::FlowCount, Scope::GlobalGroup)],
        "another hop"
    );
    gone(
        &lpm,
        DeleteReason::ReceivedResvTear,
        &resv_tear(1, 1, FF, &tear),
    );
    assert_eq!(admit(&lpm, &resv), [accept(300)]);
}

#[test]
fn a_shared_reservation_is_one_flow_until_its_last_sender_is_gone() {
    let lpm = office();
    let boole = auth_user(
        "CN=Boole\\, George+UID=gboole,OU=Accounting,O=Small Office,C=CH",
        "",
    );
    let reserve = |session, senders: &[u8]| {
        let style = if senders.is_empty() { WF } else { SE };
        let policy = [policy_data(std::slice::from_ref(&boole))];
        admit(
            &lpm,
            &resv(
                session,
                1,
                style,
                &[(controlled_load(KBIT), senders)],
                &policy,
            ),
        )
    };
    let over = limit(Metric::FlowCount, Scope::GlobalUser);
    assert_eq!(reserve(1, &[1, 2, 3]), [accept(100)]);
    assert_eq!(reserve(2, &[]), [over]);

    let tear: [(Vec<u8>, &[u8]); 1] = [(Vec::new(), &[1, 2])];
    gone(
        &lpm,
        DeleteReason::ReceivedResvTear,
        &resv_tear(1, 1, SE, &tear),
    );
    assert_eq!(reserve(2, &[]), [over]);
    gone(&lpm, DeleteReason::ReceivedPathTear, &path_tear(1, 3));
    assert_eq!(reserve(2, &[]), [accept(100)]);

    gone(
        &lpm,
        DeleteReason::ReceivedResvTear,
        &resv_tear(2, 1, WF, &[(Vec::new(), &[])]),
    );
    assert_eq!(reserve(1, &[1]), [accept(100)]);
}

#[test]
fn a_rejection_by_anybody_releases_the_flow() {
    let lpm = office();
    let path = |session| {
        path(
            session,
            1,
            KBIT,
            &[policy_data(&[auth_app("", "backup.exe")])],
        )
    };
    assert_eq!(admit(&lpm, &path(1)), [accept(10)]);
    let over = limit(Metric::FlowCount, Scope::GlobalUser);
    assert_eq!(admit(&lpm, &path(2)), [over]);
    gone(&lpm, DeleteReason::AdmissionControlFailed, &path(2));
    assert_eq!(admit(&lpm, &path(2)), [over]);
    gone(&lpm, DeleteReason::AdmissionControlFailed, &path(1));
    assert_eq!(admit(&lpm, &path(2)), [accept(10)]);
}

#[test]
fn services_ask_for_different_rates() {
    let policy = [policy_data(&[auth_user(GRACE, "")])];
    let asks =
        |flow_spec: Vec<u8>| admit(&office(), &resv(1, 1, FF, &[(flow_spec, &[1])], &policy))[0];
    assert_eq!(asks(guaranteed(MBIT, 2.0 * MBIT)), accept(300));
    // A small token rate does not hide a large reservation.
    assert_eq!(
        asks(guaranteed(MBIT, 3.0 * MBIT)),
        limit(Metric::FlowRate, Scope::GlobalGroup)
    );
    assert_eq!(asks(null_service()), accept(300));
    for crazy in [f32::NAN, f32::INFINITY, -1.0] {
        assert_eq!(
            asks(controlled_load(crazy)),
            reject(LpmPolicyError::CrazyFlowSpec)
        );
    }
    let path = path(1, 1, f32::NAN, &policy);
    assert_eq!(
        admit(&office(), &path),
        [reject(LpmPolicyError::CrazyFlowSpec)]
    );
}

#[test]
fn a_listed_user_comes_before_a_listed_application_before_the_unlisted() {
    let (user, app) = (auth_user("", "katherine"), auth_app("", "phone.exe"));
    let stranger = auth_user("", "stranger");
    assert_eq!(path_of(&[app.clone(), user.clone()], KBIT), accept(1000));
    assert_eq!(
        path_of(&[stranger.clone(), app.clone()], KBIT),
        accept(5000)
    );
    assert_eq!(
        path_of(&[stranger.clone(), user.clone()], KBIT),
        accept(1000)
    );
    assert_eq!(
        path_of(&[auth_user("", "ada"), user.clone()], KBIT),
        accept(300)
    );
    // A user who must not have any flow does not get one by naming an application.
    let visitor = auth_user("", "visitor");
    assert_eq!(
        path_of(&[app, visitor], KBIT),
        reject(LpmPolicyError::NoPrivileges)
    );
}

#[test]
fn the_locator_comes_before_the_credential() {
    assert_eq!(path_of(&[auth_user(ADA, "katherine")], KBIT), accept(300));
    assert_eq!(
        path_of(&[auth_user("CN=Nobody we know", "katherine")], KBIT),
        accept(1000)
    );
}

#[test]
fn unicode_names_are_read_in_either_byte_order() {
    for bytes in [u16::to_be_bytes, u16::to_le_bytes] {
        let dn: Vec<u8> = ADA.encode_utf16().flat_map(bytes).collect();
        assert_eq!(
            path_of(&[element(2, &[attribute(1, 2, &dn)])], KBIT),
            accept(300)
        );
    }
}

#[test]
fn what_cannot_be_verified_is_unauthenticated() {
    let dn = attribute(1, 1, ADA.as_bytes());
    for (sub_type, credential) in [(3, "Kerberos"), (4, "X.509"), (5, "PGP"), (99, "newer")] {
        let user = element(2, &[dn.clone(), attribute(2, sub_type, b"whatever")]);
        assert_eq!(
            path_of(std::slice::from_ref(&user), KBIT),
            accept(1),
            "{credential}"
        );
        let app = auth_app("", "phone.exe");
        assert_eq!(
            path_of(&[user.clone(), app], KBIT),
            accept(1),
            "{credential} and a phone"
        );
        let simple = auth_user("", "katherine");
        assert_eq!(
            path_of(&[user, simple], KBIT),
            accept(1000),
            "{credential} and an ID"
        );
    }
    for sub_type in [3, 4, 99] {
        let attributes = [attribute(1, sub_type, b"\x01\x02"), attribute(2, 1, b"ada")];
        assert_eq!(
            path_of(&[element(2, &attributes)], KBIT),
            accept(1),
            "DN of type {sub_type}"
        );
    }
    for nameless in [vec![], vec![attribute(1, 1, b""), attribute(2, 1, b" ")]] {
        assert_eq!(path_of(&[element(2, &nameless)], KBIT), accept(1));
        let app = auth_app("", "phone.exe");
        assert_eq!(path_of(&[element(2, &nameless), app], KBIT), accept(5000));
    }
}

#[test]
fn a_malformed_identity_rejects() {
    let overrun = {
        let mut attribute = attribute(1, 1, ADA.as_bytes());
        attribute[1] = 200;
        attribute
    };
    for (what, attributes) in [
        ("an attribute that overruns its element", vec![overrun]),
        (
            "an attribute shorter than its header",
            vec![vec![0, 3, 1, 1]],
        ),
        (
            "half an attribute header",
            vec![attribute(2, 1, b"ada"), vec![0, 4]],
        ),
        (
            "a DN that is none",
            vec![attribute(1, 1, b"ada lovelace"), attribute(2, 1, b"ada")],
        ),
        ("bytes that are no text", vec![attribute(2, 1, b"ad\xe1")]),
        ("half a UTF-16 unit", vec![attribute(2, 2, b"\0a\0d\0")]),
    ] {
        for p_type in [2, 3] {
            let elements = [auth_user("", "katherine"), element(p_type, &attributes)];
            assert_eq!(
                path_of(&elements, KBIT),
                reject(LpmPolicyError::UnknownUser),
                "{what}"
            );
        }
    }
    // An element of a type that is not ours may hold anything.
    let elements = [
        auth_user("", "katherine"),
        element(200, &[vec![1, 2, 3, 4]]),
    ];
    assert_eq!(path_of(&elements, KBIT), accept(1000));
}

#[test]
fn policy_data_about_some_senders_is_for_their_flows_only() {
    let policy = [
        policy_data_for(&[1, 2], &[auth_user("", "katherine")]),
        policy_data_for(&[3], &[auth_user("", "visitor")]),
        policy_data_for(&[4], &[element(2, &[attribute(1, 1, b"no DN")])]),
    ];
    let flows: [(Vec<u8>, &[u8]); 1] = [(controlled_load(KBIT), &[1, 2, 3, 4, 5])];
    assert_eq!(
        admit(&office(), &resv(1, 1, FF, &flows, &policy)),
        [
            accept(1000),
            accept(1000),
            reject(LpmPolicyError::NoPrivileges),
            reject(LpmPolicyError::UnknownUser),
            accept(1),
        ]
    );
}

#[test]
fn a_flow_whose_identity_changes_moves_to_the_new_account() {
    let lpm = office();
    let path = |sender, name: &str| path(1, sender, KBIT, &[policy_data(&[auth_user("", name)])]);
    assert_eq!(admit(&lpm, &path(1, "one")), [accept(100)]);
    assert_eq!(admit(&lpm, &path(2, "one")), [accept(100)]);
    assert_eq!(admit(&lpm, &path(2, "two")), [accept(100)]);
    assert_eq!(admit(&lpm, &path(3, "one")), [accept(100)]);
    assert_eq!(
        admit(&lpm, &path(4, "one")),
        [limit(Metric::FlowCount, Scope::GlobalDefault)]
    );
}

#[test]
fn an_error_on_its_way_back_passes_and_is_no_flow() {
    let lpm = office();
    for session in 1..=4 {
        assert_eq!(admit(&lpm, &path_err(session, 1)), [accept(1)]);
    }
    assert_eq!(admit(&lpm, &path(1, 1, KBIT, &[])), [accept(1)]);
}

#[test]
fn a_limit_holds_when_many_threads_ask_at_once() {
    let lpm = office();
    let policy = policy_data(&[auth_user(GRACE, "")]);
    let accepted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=4)
            .map(|session| {
                let (lpm, policy) = (&lpm, std::slice::from_ref(&policy));
                scope.spawn(move || {
                    (1..=100)
                        .flat_map(|sender| admit(lpm, &path(session, sender, KBIT, policy)))
                        .filter(|decision| matches!(decision, Decision::Accept(_)))
                        .count()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(accepted, 3);
}

/// All 48 limits, each violated alone: six metrics in the sections of four kinds of subject, set
/// everywhere or for the subnet.
#[test]
fn every_limit_has_an_error_value_of_its_own() {
    let metrics = [
        (Metric::FlowCount, "max_flows = 1"),
        (Metric::FlowDuration, "max_flow_duration = 60"),
        (Metric::FlowRate, "max_flow_rate = 1500"),
        (Metric::PeakRate, "max_peak_rate = 1500"),
        (Metric::SumFlowRate, "max_sum_flow_rate = 2500"),
        (Metric::SumPeakRate, "max_sum_peak_rate = 2500"),
    ];
    let places = [
        (
            "default",
            "somebody",
            [Scope::GlobalDefault, Scope::SubnetDefault],
        ),
        ("group", "ada", [Scope::GlobalGroup, Scope::SubnetGroup]),
        ("user", "ada", [Scope::GlobalUser, Scope::SubnetUser]),
        (
            "unauthenticated",
            "",
            [Scope::GlobalUnauthenticated, Scope::SubnetUnauthenticated],
        ),
    ];
    let mut seen = std::collections::BTreeSet::new();
    for (metric, limit) in metrics {
        for (section, who, scopes) in places {
            for (scope, on_subnet) in scopes.into_iter().zip([false, true]) {
                let set = |name: &str| {
                    let brackets = if matches!(name, "group" | "user") {
                        2
                    } else {
                        1
                    };
                    let (open, close) = ("[".repeat(brackets), "]".repeat(brackets));
                    let when = format!("[[{name}.when]]\nsubnet = '10.1.0.0/16'\n");
                    format!(
                        "{open}{name}{close}\n{}priority = 7\n{}",
                        match name {
                            "group" => "name = 'g'\n",
                            "user" => "id = 'ada'\ngroup = 'g'\n",
                            _ => "",
                        },
                        match (name == section, on_subnet) {
                            (true, false) => format!("{limit}\n"),
                            (true, true) => format!("{when}{limit}\n"),
                            (false, _) => String::new(),
                        }
                    )
                };
                let policy: String = places.iter().map(|(name, ..)| set(name)).collect();
                let lpm = IdentityLpm::new(Policy::parse("test", &policy).unwrap());
                let elements = [auth_user("", who)];
                let policy_data = [policy_data(if who.is_empty() { &[] } else { &elements })];
                let ask = |session, facts, rate, peak| {
                    let path = path_with_peak(session, 1, rate, peak, &policy_data);
                    admit_with(&lpm, facts, &path)[0]
                };

                assert_eq!(ask(1, on("10.1.0.1", 0), 1000.0, 1000.0), accept(7));
                let over = match metric {
                    Metric::FlowCount => ask(2, on("10.1.0.1", 0), 0.0, 0.0),
                    Metric::FlowDuration => ask(1, on("10.1.0.1", 61), 1000.0, 1000.0),
                    Metric::FlowRate | Metric::SumFlowRate => {
                        ask(2, on("10.1.0.1", 0), 2000.0, 1000.0)
                    }
                    Metric::PeakRate | Metric::SumPeakRate => {
                        ask(2, on("10.1.0.1", 0), 1000.0, 2000.0)
                    }
                };
                assert_eq!(over, crate::limit(metric, scope), "{policy}");
                if on_subnet {
                    let elsewhere = ask(3, on("10.2.0.1", 0), 2000.0, 2000.0);
                    assert_eq!(elsewhere, accept(7), "{policy}");
                }
                if let Decision::Reject(reason) = over {
                    seen.insert(reason.value());
                }
            }
        }
    }
    assert!(seen.into_iter().eq(1..=48));
}

#[test]
fn a_sender_that_names_no_peak_rate_is_above_every_limit_on_it() {
    let policy = "[unauthenticated]\npriority = 1\nmax_peak_rate = '40 TB/s'";
    let unbounded = path_with_peak(1, 1, 1.0, f32::INFINITY, &[]);
    let over = limit(Metric::PeakRate, Scope::GlobalUnauthenticated);
    assert_eq!(decided(policy, anywhere(), &unbounded), [over]);
}

#[test]
fn a_message_may_ask_for_less_priority_than_it_may_have() {
    let asks = |asked: u16, rule: u16| {
        let elements = [preemption(asked), auth_user("", "somebody")];
        let policy = format!("[default]\npriority = {rule}");
        decided(
            &policy,
            anywhere(),
            &path(1, 1, KBIT, &[policy_data(&elements)]),
        )[0]
    };
    assert_eq!(asks(5, 100), accept(5));
    assert_eq!(asks(100, 5), accept(5));
    assert_eq!(asks(0, 5), accept(1));
    assert_eq!(asks(0xffff, 0xff00), accept(0xff00));
    // It is for the flows that its POLICY_DATA is about.
    let policy = [
        policy_data_for(&[1], &[preemption(5)]),
        policy_data(&[auth_user("", "katherine")]),
    ];
    let flows: [(Vec<u8>, &[u8]); 1] = [(controlled_load(KBIT), &[1, 2])];
    let resv = resv(1, 1, FF, &flows, &policy);
    assert_eq!(admit(&office(), &resv), [accept(5), accept(1000)]);
}

#[test]
fn what_is_believed_is_up_to_the_policy_and_to_integrity() {
    let policy = "
        [authentication]
        accept = ['dn']
        accept_with_integrity = ['ascii_id', 'kerberos_ticket']
        [default]
        priority = 9
        [unauthenticated]
        priority = 1
    ";
    let dn = attribute(1, 1, b"CN=Ada");
    let priority = |attributes: &[Vec<u8>], integrity_verified| {
        let facts = Facts {
            integrity_verified,
            ..anywhere()
        };
        let path = path(1, 1, KBIT, &[policy_data(&[element(2, attributes)])]);
        decided(policy, facts, &path)[0]
    };
    let both = |attributes: &[Vec<u8>]| (priority(attributes, false), priority(attributes, true));
    let (yes, no) = (accept(9), accept(1));
    assert_eq!(both(std::slice::from_ref(&dn)), (yes, yes));
    assert_eq!(both(&[attribute(2, 1, b"ada")]), (no, yes));
    assert_eq!(both(&[dn.clone(), attribute(2, 1, b"ada")]), (no, yes));
    assert_eq!(both(&[dn.clone(), attribute(2, 3, b"ticket")]), (no, yes));
    assert_eq!(both(&[dn.clone(), attribute(2, 4, b"X.509")]), (no, no));
    assert_eq!(both(&[dn, attribute(2, 2, b"\0a")]), (no, no), "unicode_id");
    assert_eq!(
        both(&[attribute(2, 3, b"ticket")]),
        (no, no),
        "without a name"
    );
}

#[test]
fn the_time_of_the_message_decides_not_that_of_the_clock() {
    let policy = "
        time_zone = 'UTC'
        [unauthenticated]
        reject = 'no_resources'
        [[unauthenticated.when]]
        days = 'thu'
        hours = '08:00-18:00'
        priority = 3
    ";
    // The first of January 1970 was a Thursday.
    let at = |hour: u64| decided(policy, on("0.0.0.0", hour * 3_600), &path(1, 1, KBIT, &[]))[0];
    assert_eq!(at(7), reject(LpmPolicyError::NoResources));
    assert_eq!(at(8), accept(3));
    assert_eq!(at(18), reject(LpmPolicyError::NoResources));
    assert_eq!(at(24 + 12), reject(LpmPolicyError::NoResources));
    assert_eq!(at(7 * 24 + 12), accept(3));
}

#[test]
fn another_policy_is_in_force_at_once_and_everybody_keeps_their_flows() {
    let lpm = office();
    let path = |sender| {
        path(
            1,
            sender,
            KBIT,
            &[policy_data(&[auth_user("", "katherine")])],
        )
    };
    assert_eq!(admit(&lpm, &path(1)), [accept(1000)]);
    let policy = "[[user]]\nid = 'ada'\npriority = 1\n[[user]]\nid = 'katherine'\npriority = 2\nmax_flows = 1";
    lpm.set_policy(Policy::parse("other", policy).unwrap());
    assert_eq!(admit(&lpm, &path(1)), [accept(2)]);
    assert_eq!(
        admit(&lpm, &path(2)),
        [limit(Metric::FlowCount, Scope::GlobalUser)]
    );
}

proptest! {
    /// Whatever the attributes hold, there is a decision: that of some rule, or a rejection.
    #[test]
    fn any_identity_is_decided(
        p_type in 1..=4_u8,
        raw in prop::collection::vec(any::<u8>(), 0..80),
        attributes in prop::collection::vec((0..6_u8, 0..6_u8, prop::collection::vec(any::<u8>(), 0..24)), 0..4),
    ) {
        let attributes: Vec<_> = attributes
            .iter()
            .map(|(a_type, sub_type, value)| attribute(*a_type, *sub_type, value))
            .collect();
        for element in [element(p_type, &attributes), element(p_type, &[raw])] {
            let decision = path_of(&[element], KBIT);
            prop_assert_ne!(decision, Decision::DontCare);
        }
    }

    /// A policy that has just been put in force remembers nothing of earlier messages.
    #[test]
    fn what_is_remembered_of_a_message_makes_no_difference(
        steps in prop::collection::vec(
            (0..3_u8, 0..2_usize, 0..IDENTITIES, any::<bool>(), any::<bool>(), 0..2_u8), 1..40
        ),
        has_schedule in any::<bool>(),
    ) {
        let policy = || {
            let schedule = if has_schedule { SCHEDULE } else { "" };
            Policy::parse("test", &format!("{POLICY}{schedule}")).unwrap()
        };
        let (remembers, forgets) = (IdentityLpm::new(policy()), IdentityLpm::new(policy()));
        for (sender, rate, identity, is_resv, integrity_verified, hour) in steps {
            let elements = [preemption(3), identities()[identity].clone()];
            let data = [policy_data(&elements)];
            let rate = [KBIT, MBIT][rate];
            let bytes = if is_resv {
                let flows = [(controlled_load(rate), &[sender, 7][..])];
                resv(1, 2, [FF, SE][usize::from(sender % 2)], &flows, &data)
            } else {
                path(1, sender, rate, &data)
            };
            let facts = Facts {
                integrity_verified,
                ..on("10.0.0.1", u64::from(hour) * 12 * 3_600)
            };
            forgets.set_policy(policy());
            let decisions = admit_with(&remembers, facts, &bytes);
            prop_assert_eq!(decisions, admit_with(&forgets, facts, &bytes));
        }
    }
}

const POLICY: &str = "
    time_zone = 'UTC'
    [authentication]
    accept_with_integrity = ['kerberos_ticket']
    [default]
    priority = 2
    max_flow_rate = '500 kbit/s'
    [unauthenticated]
    priority = 1
    max_flows = 1
    [[application]]
    dn = 'APP=Phone'
    priority = 4
    [[user]]
    dn = 'CN=Ada Lovelace, C=CH'
    id = 'ada'
    priority = 5
    max_flows = 2
    max_sum_flow_rate = '3 Mbit/s'
";

const SCHEDULE: &str = "[[user.when]]\nhours = '00:00-06:00'\nmax_flows = 1\n";

const IDENTITIES: usize = 8;

/// Some are of the same user, some cannot be read.
fn identities() -> [Vec<u8>; IDENTITIES] {
    const USER: u8 = 2;
    let ticket = attribute(2, 3, b"ticket");
    [
        auth_user("CN=Ada Lovelace, C=CH", ""),
        auth_user("cn = ada  lovelace;c=ch", "somebody"),
        auth_user("", "Ada"),
        auth_user("CN=Grace Hopper, C=CH", "grace"),
        auth_app("APP=Phone, VER=2", ""),
        element(USER, &[attribute(1, 1, b"CN=Ada Lovelace,C=CH"), ticket]),
        element(USER, &[attribute(1, 1, b"nobody")]),
        element(9, &[]),
    ]
}

/// The elements that go out with a message.
fn outgoing(lpm: &IdentityLpm, bytes: &[u8]) -> Vec<String> {
    let mut index = ObjectIndex::new();
    let message = Message::parse(bytes, &mut index).unwrap();
    let objects = lpm.policy_data(&message);
    // In a message, since elements are read out of messages.
    let with_objects = path(1, 1, KBIT, &[objects]);
    let mut index = ObjectIndex::new();
    let message = Message::parse(&with_objects, &mut index).unwrap();
    message
        .policy_data()
        .map(|data| {
            let data = data.unwrap();
            let senders = data.filter_specs().count();
            let element = data.elements().next().unwrap().unwrap();
            match element {
                PolicyElement::PreemptionPriority(it) => {
                    format!("{} for {senders}", it.preemption_priority)
                }
                other => format!("{other:?}"),
            }
        })
        .collect()
}

#[test]
fn priorities_go_out_with_path_and_resv() {
    let lpm = office();
    let of = |name: &str| [policy_data(&[auth_user("", name)])];
    admit(&lpm, &path(1, 1, KBIT, &of("katherine")));
    assert_eq!(outgoing(&lpm, &path(1, 1, KBIT, &[])), ["1000 for 0"]);
    assert_eq!(
        outgoing(&lpm, &path(1, 2, KBIT, &[])),
        [""; 0],
        "never admitted"
    );
    let has_one = [policy_data(&[preemption(3)])];
    assert_eq!(outgoing(&lpm, &path(1, 1, KBIT, &has_one)), [""; 0]);

    // A Resv stands for the reservations of all next hops.
    let flow = |senders: &'static [u8]| [(controlled_load(KBIT), senders)];
    admit(&lpm, &resv(1, 1, FF, &flow(&[1]), &of("grace")));
    admit(&lpm, &resv(1, 2, FF, &flow(&[1, 2]), &of("katherine")));
    admit(&lpm, &resv(1, 3, FF, &flow(&[2]), &of("grace")));
    let sent = resv(1, 9, FF, &flow(&[1, 2, 3]), &[]);
    assert_eq!(outgoing(&lpm, &sent), ["1000 for 1", "1000 for 1"]);
    admit(
        &lpm,
        &resv(2, 1, WF, &[(controlled_load(KBIT), &[])], &of("grace")),
    );
    let sent = resv(2, 9, WF, &[(controlled_load(KBIT), &[])], &[]);
    assert_eq!(outgoing(&lpm, &sent), ["300 for 0"]);
}

#[test]
fn reasons_go_out_with_errors_of_policy() {
    // The error of the test's message is that of value 50, no privileges.
    let elements = outgoing(&office(), &path_err(1, 1));
    assert_eq!(elements.len(), 1);
    assert!(elements[0].starts_with("AuthUser"), "{elements:?}");
    let mut index = ObjectIndex::new();
    let bytes = path_err(1, 1);
    let message = Message::parse(&bytes, &mut index).unwrap();
    let objects = office().policy_data(&message);
    assert!(objects.windows(13).any(|it| it == b"no privileges"));
    // Attribute length 4 + 4 + 13, POLICY_ERROR_OBJECT, ErrorValue 3.
    assert!(objects.windows(8).any(|it| it == [0, 21, 4, 0, 0, 0, 0, 3]));
}

#[test]
fn decisions_are_counted_by_their_reason() {
    use lpm_api::Statistics;
    let lpm = office();
    let of = |name: &str| [policy_data(&[auth_user("", name)])];
    admit(&lpm, &path(1, 1, KBIT, &of("grace")));
    admit(&lpm, &path(1, 2, 9.0 * MBIT, &of("grace")));
    admit(&lpm, &path(1, 3, KBIT, &of("visitor")));
    admit(
        &lpm,
        &path(
            1,
            4,
            KBIT,
            &[policy_data(&[element(2, &[attribute(1, 1, b"no DN")])])],
        ),
    );
    for sender in 1..=4 {
        let flow: [(Vec<u8>, &[u8]); 1] = [(controlled_load(KBIT), &[sender])];
        admit(&lpm, &resv(1, 1, FF, &flow, &of("grace")));
    }
    let mut counts = Vec::new();
    lpm.statistics(&mut |name, count| {
        if count > 0 {
            counts.push(format!("{name} {count}"));
        }
    });
    assert_eq!(
        counts,
        [
            "path_admitted 1",
            "path_bad_identities 1",
            "path_rejected_rate 1",
            "path_rejected_other 2",
            "resv_admitted 3",
            "resv_rejected_flow_count 1",
        ]
    );
}
