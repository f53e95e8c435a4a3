//! What a policy says for whom.

use super::*;
use crate::subject::Subject;
use lpm_api::{Interface, LpmPolicyError, Name, Priority, Rate, Scope};
use lpm_sample::rule::{Limit, Outcome};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use std::time::SystemTime;

/// Far from every subnet, on a Thursday in 1970.
fn elsewhere(policy: &Policy) -> Here {
    let address = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    policy.here(Interface { index: 0, address }, SystemTime::UNIX_EPOCH)
}

fn rule_of(policy: &Policy, subject: &Subject<&str>) -> Rule {
    policy.rule(subject, &elsewhere(policy))
}

fn user(policy: &Policy, id: &str) -> Subject<&'static str> {
    let user = policy.users().names().with_id(&Name::id(id));
    Subject::User(user.expect("a listed user"))
}

fn rule_of_user(policy: &Policy, id: &str) -> Rule {
    rule_of(policy, &user(policy, id))
}

#[track_caller]
fn rate(text: &str) -> Rate {
    text.parse().unwrap()
}

#[test]
fn a_rule_that_always_holds_is_that_of_each_subject() {
    let policy = Policy::parse(
        "test",
        r#"
        [default]
        priority = 1
        max_flows = 1
        [[group]]
        name = "g"
        priority = 2
        max_flow_rate = 2000
        [[user]]
        id = "nothing of her own"
        [[user]]
        id = "of his own"
        group = "g"
        max_flow_rate = 3000
        [[user]]
        id = "of a group"
        group = "g"
        [[application]]
        id = "of the same group"
        group = "g"
        "#,
    )
    .unwrap();
    let users = (0..3).map(Subject::User);
    let others = [Subject::Application(0), Subject::Unauthenticated];
    let subjects: Vec<Subject<&str>> = users.chain(others).collect();
    // The second time they are remembered.
    for subject in subjects.iter().chain(&subjects) {
        let rule = policy.standing_rule(subject);
        assert_eq!(rule, Some(rule_of(&policy, subject)), "{subject:?}");
    }
}

#[test]
fn unset_values_come_from_the_group_then_from_the_default() {
    let policy = Policy::parse(
        "test",
        r#"
        [default]
        priority = 1
        max_flows = 1
        max_flow_rate = 1000
        [[group]]
        name = "g"
        priority = 2
        max_flows = 2
        [[group]]
        name = "closed"
        reject = "no_resources"
        max_flows = "unlimited"
        [[user]]
        id = "all of his own"
        group = "g"
        priority = 3
        max_flows = 3
        max_flow_rate = 3000
        [[user]]
        id = "a rate of his own"
        group = "g"
        max_flow_rate = 3000
        [[user]]
        id = "in no group"
        [[user]]
        id = "rejected with his group"
        group = "closed"
        [[user]]
        id = "excepted from his group"
        group = "closed"
        priority = 4
        "#,
    )
    .unwrap();
    let admit = |priority| Outcome::Admit(Priority::new(priority).unwrap());

    let rule = rule_of_user(&policy, "all of his own");
    assert_eq!(rule.outcome, admit(3));
    assert_eq!(rule.limits.flows, Limit::AtMost(3, Scope::GlobalUser));
    assert_eq!(
        rule.limits.flow_rate,
        Limit::AtMost(rate("3000"), Scope::GlobalUser)
    );

    let rule = rule_of_user(&policy, "a rate of his own");
    assert_eq!(rule.outcome, admit(2));
    assert_eq!(rule.limits.flows, Limit::AtMost(2, Scope::GlobalGroup));
    assert_eq!(
        rule.limits.flow_rate,
        Limit::AtMost(rate("3000"), Scope::GlobalUser)
    );

    let rule = rule_of_user(&policy, "in no group");
    assert_eq!(rule, rule_of(&policy, &Subject::Unlisted("somebody")));
    assert_eq!(rule.outcome, admit(1));
    assert_eq!(
        rule.limits.flow_rate,
        Limit::AtMost(rate("1000"), Scope::GlobalDefault)
    );

    let rule = rule_of_user(&policy, "rejected with his group");
    assert_eq!(rule.outcome, Outcome::Reject(LpmPolicyError::NoResources));

    let rule = rule_of_user(&policy, "excepted from his group");
    assert_eq!(rule.outcome, admit(4));
    assert_eq!(rule.limits.flows, Limit::Unlimited);
    assert_eq!(
        rule.limits.flow_rate,
        Limit::AtMost(rate("1000"), Scope::GlobalDefault)
    );
}

#[test]
fn missing_standing_rules_reject() {
    let policy = Policy::parse("test", "[[user]]\nid = 'ada'\npriority = 1").unwrap();
    let outcome = |subject: Subject<&str>| rule_of(&policy, &subject).outcome;
    assert_eq!(
        outcome(Subject::Unlisted("x")),
        Outcome::Reject(LpmPolicyError::UnknownUser)
    );
    assert_eq!(
        outcome(Subject::Unauthenticated),
        Outcome::Reject(LpmPolicyError::NoPrivileges)
    );
}

#[test]
fn the_unauthenticated_inherit_nothing() {
    let text = "[default]\npriority = 9\nmax_flows = 9\n[unauthenticated]\npriority = 1";
    let policy = Policy::parse("test", text).unwrap();
    let rule = rule_of(&policy, &Subject::Unauthenticated);
    assert_eq!(rule.limits.flows, Limit::Unlimited);
}

#[test]
fn the_demo_policy_says_what_its_comments_say() {
    let policy = Policy::parse("demo", lpm_sample::DEMO_POLICY).unwrap();
    let ada = rule_of_user(&policy, "Ada");
    assert_eq!(ada.limits.flows, Limit::AtMost(3, Scope::GlobalGroup));
    assert_eq!(
        ada.limits.flow_rate,
        Limit::AtMost(rate("8 Mbit/s"), Scope::GlobalUser)
    );
    let katherine = rule_of_user(&policy, "katherine");
    assert_eq!(katherine.limits.flows, Limit::Unlimited);
    assert_eq!(
        katherine.limits.flow_rate,
        Limit::AtMost(rate("500 kbit/s"), Scope::GlobalDefault)
    );
    let visitor = rule_of_user(&policy, "visitor");
    assert_eq!(
        visitor.outcome,
        Outcome::Reject(LpmPolicyError::NoPrivileges)
    );

    let boole = Name::dn(r"uid=gboole+cn=Boole\2C George,ou=accounting,o=small office,c=ch");
    assert!(policy.users().names().with_dn(&boole.unwrap()).is_some());
}

#[test]
fn an_application_covers_its_versions_and_the_longest_match_wins() {
    let policy = Policy::parse(
        "test",
        "[[application]]\ndn = 'APP=Phone'\npriority = 1\n\
         [[application]]\ndn = 'APP=Phone, VER=2'\npriority = 2",
    )
    .unwrap();
    let covering = |dn: &str| {
        policy
            .applications()
            .names()
            .covering_dn(&Name::dn(dn).unwrap())
    };
    assert_eq!(covering("APP=Phone"), Some(0));
    assert_eq!(covering("app=phone, ver=1, sapp=fax"), Some(0));
    assert_eq!(covering("APP=Phone, VER=2, SAPP=Fax"), Some(1));
    assert_eq!(covering("APP=Phone 2"), None);
    assert_eq!(covering("GUID=x, APP=Phone"), None);
}

const HIERARCHY: &str = r#"
    time_zone = "UTC"
    [[subnet]]
    name = "lab"
    prefixes = ["10.1.0.0/16"]
    [default]
    priority = 1
    max_flows = 1
    max_flow_rate = 1
    [[default.when]]
    subnet = "lab"
    max_flows = 11
    max_flow_rate = 11
    max_peak_rate = 11
    [[group]]
    name = "first"
    priority = 2
    max_flow_rate = 2
    [[group.when]]
    subnet = "lab"
    max_flow_rate = 12
    [[group]]
    name = "second"
    priority = 3
    max_sum_flow_rate = 3
    [[user]]
    id = "ada"
    group = ["first", "second"]
    max_flow_duration = 4
    [[user.when]]
    subnet = "lab"
    max_sum_flow_rate = "unlimited"
    [[user.when]]
    hours = "08:00-18:00"
    max_flow_duration = 5
    [[user.when]]
    hours = "12:00-13:00"
    max_flow_duration = 6
    max_sum_peak_rate = 6
"#;

#[test]
fn what_holds_on_the_subnet_comes_before_what_holds_everywhere() {
    let policy = Policy::parse("test", HIERARCHY).unwrap();
    let on = |address: [u8; 4], hour: u64| {
        let interface = Interface {
            index: 1,
            address: address.into(),
        };
        let received = SystemTime::UNIX_EPOCH + Duration::from_secs(hour * 3_600);
        let here = policy.here(interface, received);
        policy.rule(&user(&policy, "ada"), &here).limits
    };
    let most = |rate: &str, scope| Limit::AtMost(rate.parse::<Rate>().unwrap(), scope);

    let night_elsewhere = on([10, 2, 0, 1], 2);
    assert_eq!(
        night_elsewhere.flows,
        Limit::AtMost(1, Scope::GlobalDefault)
    );
    assert_eq!(night_elsewhere.flow_rate, most("2", Scope::GlobalGroup));
    assert_eq!(night_elsewhere.peak_rate, Limit::Unlimited);
    assert_eq!(night_elsewhere.sum_flow_rate, most("3", Scope::GlobalGroup));
    assert_eq!(
        night_elsewhere
            .flow_duration
            .map(|duration| duration.seconds()),
        Limit::AtMost(4, Scope::GlobalUser)
    );

    let noon_in_the_lab = on([10, 1, 0, 1], 12);
    assert_eq!(
        noon_in_the_lab.flows,
        Limit::AtMost(11, Scope::SubnetDefault)
    );
    assert_eq!(noon_in_the_lab.flow_rate, most("12", Scope::SubnetGroup));
    assert_eq!(noon_in_the_lab.peak_rate, most("11", Scope::SubnetDefault));
    assert_eq!(noon_in_the_lab.sum_flow_rate, Limit::Unlimited);
    assert_eq!(noon_in_the_lab.sum_peak_rate, most("6", Scope::GlobalUser));
    assert_eq!(
        noon_in_the_lab
            .flow_duration
            .map(|duration| duration.seconds()),
        Limit::AtMost(5, Scope::GlobalUser),
        "the first table that holds wins"
    );
    let outcome = rule_of_user(&policy, "ada").outcome;
    assert_eq!(outcome, Outcome::Admit(Priority::new(2).unwrap()));
}
