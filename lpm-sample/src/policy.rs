//! The policy: whose section says what.
//!
//! # The policy file
//!
//! A policy is a TOML text. Four kinds of sections set values for those who ask:
//!
//! | section | for |
//! |---|---|
//! | `[[user]]` | somebody named by an AUTH_USER element; `dn`, `id` or both say who |
//! | `[[application]]` | a program named by an AUTH_APP element; `dn`, `id` or both say which |
//! | `[[group]]` | with a `name`; for the users and applications that have `group = "name"`, or `group = ["one", "other"]` |
//! | `[default]` | everybody who says who they are; alone for those who are not listed |
//! | `[unauthenticated]` | nobody in particular, or somebody whose credentials are not accepted |
//!
//! | key | value |
//! |---|---|
//! | `priority` | 1 to 65280: what an admitted flow gets, or less if its PREEMPTION_PRI asks for less |
//! | `reject` | instead of a priority: `unknown_user`, `no_privileges`, `expired_user_token` or `no_resources` |
//! | `max_flows` | how many flows the subject may send at a time, and how many it may receive |
//! | `max_flow_duration` | how long a flow may last, seconds or with a unit ([`FlowDuration`](crate::duration::FlowDuration)) |
//! | `max_flow_rate` | the token rate of each flow, bytes/s or with a unit ([`Rate`](crate::units::Rate)) |
//! | `max_peak_rate` | the peak rate of each flow |
//! | `max_sum_flow_rate` | the token rates together of the flows it sends, and of those it receives |
//! | `max_sum_peak_rate` | their peak rates together |
//! | `when` | an array of tables with conditions and values of their own, see below |
//!
//! Every limit may be `"unlimited"`, which lifts an inherited one. Any key that is not listed here
//! is an error.
//!
//! # Where and when
//!
//! `[[subnet]]` gives a `name` to `prefixes`, or to `interfaces` by their SNMP ifIndex. A request
//! is on the subnet whose list has the receiving interface, or else that with the longest prefix
//! of the interface's address. Any section may have tables with conditions:
//!
//! ```toml
//! [[user.when]]
//! subnet = "lab"          # a name, or a prefix such as "10.1.0.0/16"
//! days = "mon-fri"        # or "sat, sun"
//! hours = "08:00-18:00"   # or, over midnight, "22:00-06:00"
//! max_flows = 2
//! ```
//!
//! All conditions of a table must hold, one at least must be there. The clock is that of
//! `time_zone = "Europe/Zurich"`, without it that of the system; the time at which a message was
//! received counts.
//!
//! # Hierarchy
//!
//! Each value comes from the first section that sets it:
//!
//! 1. on the subnet of the request: the user (or application), its groups in their order,
//!    `[default]`;
//! 2. everywhere: the user (or application), its groups, `[default]`.
//!
//! Within a section its `when` tables come first, in their order. A limit on the number of flows or
//! on a sum that was set for a subnet counts the subject's flows on that subnet, any other counts
//! all of them. A limit that is set nowhere is none. Everybody must have a priority or a rejection,
//! of their own or inherited, that holds everywhere and always. `[unauthenticated]` inherits
//! nothing. Where `[default]` is missing, the unlisted are rejected as
//! [`LpmPolicyError::UnknownUser`]; where `[unauthenticated]` is missing, the unauthenticated as
//! [`LpmPolicyError::NoPrivileges`].
//!
//! # Who is believed
//!
//! ```toml
//! [authentication]
//! accept = ["dn", "ascii_id", "unicode_id"]     # this is the default
//! accept_with_integrity = ["kerberos_ticket"]   # none by default
//! ```
//!
//! says which credential types (RFC 3182 section 3.3.2) count as authenticated, and which only in
//! a message whose INTEGRITY the PCM verified. `dn` is a locator without a credential; the others
//! are `x509_certificate` and `pgp_certificate`. This LPM takes what is accepted at its word: it
//! verifies no ticket and no certificate.
//!
//! DNs and IDs are compared as [`Name`] says. An application's `dn` also covers
//! the DNs that begin with it: `APP=Phone` is every version and every part of it (RFC 2872 section
//! 2 puts the version and the sub-application behind the name).

mod authentication;
mod listed;
mod load;
mod parse;
mod rule;
mod schedule;
mod settings;
mod subnet;
mod zone;

use std::path::Path;
use std::time::SystemTime;

use jiff::tz::TimeZone;
use lpm_api::{Interface, LpmPolicyError};

use crate::identity::Subject;
use crate::name::Name;
use crate::request::RecentRequests;

pub use authentication::{Authentication, CredentialTypes};
pub use listed::Listed;
pub use load::LoadError;
pub(crate) use load::read_text;
pub(crate) use parse::{File, POLICY, Table, policy_in};
pub use parse::{PolicyError, PolicyProblem};
pub(crate) use rule::Layer;
pub use rule::{Here, Limit, Limits, Origin, Rule};
pub use schedule::{Schedule, ScheduleError, WeekTime};
pub use settings::{Outcome, Section, Setting, Settings};
pub use subnet::Subnet;
use zone::Zone;
pub(crate) use zone::forget_list;

/// Everybody's sections.
#[derive(Debug)]
pub struct Policy {
    users: Listed,
    applications: Listed,
    groups: Vec<Group>,
    /// Which groups a user or an application is in, each list once: most are the same.
    group_lists: Vec<Box<[usize]>>,
    default: Section,
    unauthenticated: Section,
    subnets: Vec<Subnet>,
    authentication: Authentication,
    time_zone: Zone,
    /// Whether anything holds only somewhere or at times.
    has_conditions: bool,
    recent_requests: RecentRequests,
}

/// A group, by its place in the policy.
#[derive(Debug)]
struct Group {
    name: String,
    /// As groups of the directory are compared with it.
    canonical_name: String,
    section: Section,
}

impl Policy {
    /// Reads a policy from its text; `source` names the text in errors, such as the file's path.
    ///
    /// # Errors
    /// The first thing wrong with the text, with its line and what would be accepted instead.
    pub fn parse(source: &str, text: &str) -> Result<Policy, PolicyError> {
        parse::policy(source, text)
    }

    /// Reads a policy file, as [`parse`](Self::parse) reads its text.
    ///
    /// # Errors
    /// The file cannot be read, is larger than 256 MiB, or has a fault.
    pub fn read(path: &Path) -> Result<Policy, LoadError> {
        load::file(path)
    }

    /// Where and when a request is decided that came in on an interface at a time.
    pub fn here(&self, interface: Interface, received: SystemTime) -> Here {
        let subnet = subnet::of(&self.subnets, interface);
        Here::new(subnet, received)
    }

    /// The rule for a subject.
    ///
    /// # Panics
    /// The subject was identified with another policy, and has no rule in this one.
    pub fn rule<N>(&self, subject: &Subject<N>, here: &Here) -> Rule {
        let nobody = match subject {
            Subject::Unauthenticated => Outcome::Reject(LpmPolicyError::NoPrivileges),
            _ => Outcome::Reject(LpmPolicyError::UnknownUser),
        };
        rule::resolve(nobody, |visit| rule::layers(self, subject, here, visit))
    }

    /// The rule for a subject of this policy, if it is the same everywhere and always.
    pub(crate) fn standing_rule<N>(&self, subject: &Subject<N>) -> Option<Rule> {
        // What the directory has may hold on a subnet only.
        let has_conditions = self.has_conditions || matches!(subject, Subject::Directory(_));
        let here = Here::new(None, SystemTime::UNIX_EPOCH);
        (!has_conditions).then(|| self.rule(subject, &here))
    }

    /// Everybody's.
    fn sections(&self) -> impl Iterator<Item = &Section> {
        let members = self.users.members.iter().chain(&self.applications.members);
        let members = members.filter_map(|member| member.section.as_deref());
        let groups = self.groups.iter().map(|group| &group.section);
        let standing = [&self.default, &self.unauthenticated];
        members.chain(groups).chain(standing)
    }

    /// Shows all settings that hold for a subject, in the order in which values are taken.
    pub(crate) fn layers<'a, N>(
        &'a self,
        subject: &'a Subject<N>,
        here: &Here,
        visit: impl FnMut(Layer<'a>),
    ) {
        rule::layers(self, subject, here, visit);
    }

    /// The place of the subnet with this name.
    fn subnet_named(&self, name: &Name) -> Option<usize> {
        let named = |subnet: &Subnet| subnet.canonical_name == *name;
        self.subnets.iter().position(named)
    }

    /// The users that are listed.
    pub fn users(&self) -> &Listed {
        &self.users
    }

    /// The applications that are listed.
    pub fn applications(&self) -> &Listed {
        &self.applications
    }

    /// What holds for those who are not listed, `[default]`; without any value if it is missing.
    pub fn default(&self) -> &Section {
        &self.default
    }

    /// What holds for nobody in particular, `[unauthenticated]`; without any value if it is
    /// missing.
    pub fn unauthenticated(&self) -> &Section {
        &self.unauthenticated
    }

    /// The names of the groups.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(|group| group.name.as_str())
    }

    /// The subnets, those without a name of their own included.
    pub fn subnets(&self) -> &[Subnet] {
        &self.subnets
    }

    /// Which credentials are believed.
    pub fn authentication(&self) -> &Authentication {
        &self.authentication
    }

    /// What messages asked for lately, in the terms of this policy.
    pub(crate) fn recent_requests(&self) -> &RecentRequests {
        &self.recent_requests
    }

    /// The clock of the schedules.
    pub fn time_zone(&self) -> &TimeZone {
        self.time_zone.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Rate;
    use lpm_api::{Priority, Scope};
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    /// Far from every subnet, on a Thursday in 1970.
    fn elsewhere(policy: &Policy) -> Here {
        let address = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        policy.here(Interface { index: 0, address }, SystemTime::UNIX_EPOCH)
    }

    fn rule_of(policy: &Policy, subject: &Subject<&str>) -> Rule {
        policy.rule(subject, &elsewhere(policy))
    }

    fn user(policy: &Policy, id: &str) -> Subject<&'static str> {
        let user = policy.users().with_id(&Name::id(id));
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
        let policy = Policy::parse("demo", crate::DEMO_POLICY).unwrap();
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
        assert!(policy.users().with_dn(&boole.unwrap()).is_some());
    }

    #[test]
    fn an_application_covers_its_versions_and_the_longest_match_wins() {
        let policy = Policy::parse(
            "test",
            "[[application]]\ndn = 'APP=Phone'\npriority = 1\n\
             [[application]]\ndn = 'APP=Phone, VER=2'\npriority = 2",
        )
        .unwrap();
        let covering = |dn: &str| policy.applications().covering_dn(&Name::dn(dn).unwrap());
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
            night_elsewhere.flow_duration.map(|it| it.seconds()),
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
            noon_in_the_lab.flow_duration.map(|it| it.seconds()),
            Limit::AtMost(5, Scope::GlobalUser),
            "the first table that holds wins"
        );
        let outcome = rule_of_user(&policy, "ada").outcome;
        assert_eq!(outcome, Outcome::Admit(Priority::new(2).unwrap()));
    }
}
