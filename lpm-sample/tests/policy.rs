//! What a policy file may say, and what is said about one that is wrong.

use lpm_api::{LpmPolicyError, Name, Priority, Scope};
use lpm_sample::identity::Subject;
use lpm_sample::policy::{Policy, Rule};
use lpm_sample::rule::{Limit, Outcome};
use lpm_sample::{DEMO_POLICY, PolicyError};

fn rule_of(policy: &Policy, id: &str) -> Rule {
    let place = policy
        .users()
        .with_id(&Name::id(id))
        .expect("a listed user");
    policy.rule(&Subject::User(place))
}

fn admit(priority: u16) -> Outcome {
    Outcome::Admit(Priority::new(priority).unwrap())
}

fn fault(text: &str) -> String {
    Policy::parse("office.toml", text).unwrap_err().to_string()
}

#[test]
fn unset_values_come_from_the_group_then_from_the_default() {
    let policy = Policy::parse(
        "test",
        "[default]\npriority = 1\nmax_flows = 1\nmax_flow_rate = 1000\n\
         [[group]]\nname = 'g'\npriority = 2\nmax_flows = 2\n\
         [[group]]\nname = 'closed'\nreject = 'no_resources'\nmax_flows = 'unlimited'\n\
         [[user]]\nid = 'own'\ngroup = 'g'\npriority = 3\nmax_flow_rate = '3 kB/s'\n\
         [[user]]\nid = 'none'\n\
         [[user]]\nid = 'closed'\ngroup = 'closed'\n",
    )
    .unwrap();
    let bytes = |rule: Rule| rule.flow_rate.map(|rate| rate.bytes_per_second());
    let own = rule_of(&policy, "OWN");
    assert_eq!(own.outcome, admit(3));
    assert_eq!(own.flows, Limit::AtMost(2, Scope::GlobalGroup));
    assert_eq!(bytes(own), Limit::AtMost(3_000.0, Scope::GlobalUser));
    let none = rule_of(&policy, "none");
    assert_eq!(none.outcome, admit(1));
    assert_eq!(none.flows, Limit::AtMost(1, Scope::GlobalDefault));
    assert_eq!(bytes(none), Limit::AtMost(1_000.0, Scope::GlobalDefault));
    let closed = rule_of(&policy, "closed");
    assert_eq!(closed.outcome, Outcome::Reject(LpmPolicyError::NoResources));
    assert_eq!(closed.flows, Limit::Unlimited);
}

#[test]
fn missing_standing_rules_reject_and_nobody_inherits() {
    let policy = Policy::parse("test", "[[user]]\nid = 'ada'\npriority = 1").unwrap();
    let outcome = |subject| policy.rule(&subject).outcome;
    let stranger = Subject::Unlisted(Box::new(Name::id("x")));
    assert_eq!(
        outcome(stranger),
        Outcome::Reject(LpmPolicyError::UnknownUser)
    );
    let nobody = Outcome::Reject(LpmPolicyError::NoPrivileges);
    assert_eq!(outcome(Subject::Unauthenticated), nobody);
    let text = "[default]\npriority = 9\nmax_flows = 9\n[unauthenticated]\npriority = 1";
    let policy = Policy::parse("test", text).unwrap();
    assert_eq!(
        policy.rule(&Subject::Unauthenticated).flows,
        Limit::Unlimited
    );
}

#[test]
fn a_fault_has_its_line_its_key_and_what_would_be_accepted() {
    for (text, expected) in [
        (
            "",
            "office.toml:1: the policy has no rules: expected at least one of ",
        ),
        ("[default", "office.toml:1: [default: "),
        (
            "[default]\npriority = 1\nmax_flow = 3",
            "office.toml:3: max_flow in [default]: unknown field `max_flow`, expected one of ",
        ),
        (
            "[default]\npriority = 70000",
            "office.toml:2: priority in [default]: 70000 is not a priority: expected 1 to 65280",
        ),
        (
            "[default]\nreject = 'today'",
            "office.toml:2: reject in [default]: unknown variant `today`, expected one of \
             `unknown_user`, ",
        ),
        (
            "[default]\npriority = 1\nmax_flow_rate = '2 Mbits'",
            "office.toml:3: max_flow_rate in [default]: \"Mbits\" is not a unit of rate: expected ",
        ),
        (
            "[default]\npriority = 1\nmax_flows = -1",
            "office.toml:3: max_flows in [default]: ",
        ),
        (
            "[default]\npriority = 1\nreject = 'no_resources'",
            "office.toml:1: [default]: a rule has a priority or a reason to reject, not both",
        ),
        (
            "[default]\npriority = 1\n[unauthenticated]\nmax_flows = 1",
            "office.toml:3: [unauthenticated]: neither priority nor reject is set",
        ),
        (
            "[default]\npriority = 1\n[[user]]\npriority = 1",
            "office.toml:3: [[user]]: whose rule is this? set dn, id or both",
        ),
        (
            "[[user]]\nid = 'ada'\n\n[[user]]\npriority = 1\nid = 'ADA'",
            "office.toml:1: [[user]]: neither priority nor reject is set",
        ),
        (
            "[default]\npriority = 1\n[[user]]\nid = 'ada'\n\n[[user]]\nid = ' ADA'",
            "office.toml:7: id in [[user]]: \" ADA\" is listed twice",
        ),
        (
            "[default]\npriority = 1\n[[user]]\nid = ' '",
            "office.toml:4: id in [[user]]: the name is empty",
        ),
        (
            "[default]\npriority = 1\n[[user]]\ndn = 'ada'",
            "office.toml:4: dn in [[user]]: not a distinguished name: ",
        ),
        (
            "[default]\npriority = 1\n[[user]]\nid = 'ada'\ngroup = 'g'",
            "office.toml:5: group in [[user]]: there is no group \"g\"",
        ),
        (
            "[default]\npriority = 1\nname = 'g'",
            "office.toml:3: name in [default]: unknown key in a section of this kind",
        ),
        (
            "policy_file = 'more.toml'",
            "office.toml:1: a policy file names no other one",
        ),
    ] {
        let error = fault(text);
        assert!(error.starts_with(expected), "{text:?}: {error}");
    }
}

#[test]
fn no_error_repeats_a_long_value() {
    let long = "x".repeat(1 << 20);
    for text in [
        format!("[default]\nreject = '{long}'"),
        format!("[default]\npriority = 1\nmax_flow_rate = '{long}'"),
        format!("[default]\npriority = 1\n{long} = 1"),
        format!("[default]\npriority = 1\n[[user]]\ngroup = '{long}'\nid = 'a'"),
    ] {
        assert!(fault(&text).len() < 500);
    }
}

#[test]
fn the_configuration_may_name_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let read = |text: &str| Policy::configured(text, "pcm.toml", Some(folder.path()));
    let error = read("policy_file = 'office.toml'").unwrap_err();
    assert!(matches!(&error, PolicyError::Read { path, .. } if path.ends_with("office.toml")));
    assert!(
        error.to_string().contains("which pcm.toml names"),
        "{error}"
    );
    std::fs::write(folder.path().join("office.toml"), DEMO_POLICY).unwrap();
    assert_eq!(
        rule_of(&read("policy_file = 'office.toml'").unwrap(), "grace").outcome,
        admit(300)
    );
    let both = read("policy_file = 'office.toml'\n[default]\npriority = 1").unwrap_err();
    assert!(
        both.to_string().starts_with("pcm.toml:2: [default]: "),
        "{both}"
    );
    std::fs::write(folder.path().join("office.toml"), "[default]\npriority = 0").unwrap();
    let fault = read("policy_file = 'office.toml'").unwrap_err().to_string();
    assert!(
        fault.contains("office.toml:2: priority in [default]: "),
        "{fault}"
    );
}
