//! The policy: which rule is whose, and what it says.
//!
//! # The policy file
//!
//! A policy is a TOML text with these sections, all optional, though not all at once:
//!
//! | section | whose rule |
//! |---|---|
//! | `[[user]]` | somebody named by an AUTH_USER element; `dn`, `id` or both say who |
//! | `[[application]]` | a program named by an AUTH_APP element; `dn`, `id` or both say which |
//! | `[[group]]` | with a `name`; its values hold for the users and applications that have `group = "name"` |
//! | `[default]` | everybody who says who they are, but is not listed |
//! | `[unauthenticated]` | nobody in particular, or somebody whose credentials cannot be verified |
//!
//! and in each section these keys:
//!
//! | key | value |
//! |---|---|
//! | `priority` | 1 to 65280: what an admitted flow gets |
//! | `reject` | instead of a priority: `unknown_user`, `no_privileges`, `expired_user_token` or `no_resources` |
//! | `max_flows` | how many flows the subject may send at a time, and how many it may receive; or `"unlimited"` |
//! | `max_flow_rate` | the token rate of each flow, bytes/s or with a unit ([`Rate`]); or `"unlimited"` |
//!
//! Any other key is an error. What a user or an application leaves unset comes from its group,
//! then from `[default]`; a limit that is set nowhere is none. Everybody must have a priority or a
//! rejection, of their own or inherited. `[unauthenticated]` inherits nothing. Where `[default]`
//! is missing, the unlisted are rejected as [`LpmPolicyError::UnknownUser`]; where
//! `[unauthenticated]` is missing, the unauthenticated as [`LpmPolicyError::NoPrivileges`].
//!
//! DNs and IDs are compared as [`Name`] says. An application's `dn` also covers the DNs that begin
//! with it: `APP=Phone` is every version and every part of it (RFC 2872 section 2 puts the version
//! and the sub-application behind the name).

mod load;
mod parse;

use std::collections::HashMap;
use std::path::Path;

use lpm_api::{LpmPolicyError, Priority, Scope};

use crate::identity::Subject;
use crate::name::Name;
use crate::units::Rate;

pub use load::LoadError;
pub use parse::{PolicyError, PolicyProblem};

/// The rules of everybody, inheritance already applied.
#[derive(Clone, Debug)]
pub struct Policy {
    users: Listed,
    applications: Listed,
    default: Rule,
    unauthenticated: Rule,
}

impl Policy {
    /// Reads a policy from its text; `source` names the text in errors, such as the file's path.
    ///
    /// # Errors
    /// The first thing wrong with the text, with its line and what would be accepted instead.
    pub fn parse(source: &str, text: &str) -> Result<Policy, PolicyError> {
        parse::policy(source, text)
    }

    /// Reads the policy an LPM is configured with: `config` is the text of the policy, or names
    /// the file that has it with its only key, `policy_file = "office.toml"`.
    ///
    /// `source` says in errors where the configuration comes from. A relative path is meant from
    /// `directory`, or else from the working directory.
    ///
    /// # Errors
    /// The file cannot be read, or there is a fault in one of the texts.
    pub fn load(config: &str, source: &str, directory: Option<&Path>) -> Result<Policy, LoadError> {
        load::policy(config, source, directory)
    }

    /// The rule for a subject.
    ///
    /// # Panics
    /// The subject was identified with another policy, and has no rule in this one.
    pub fn rule<N>(&self, subject: &Subject<N>) -> &Rule {
        match subject {
            Subject::User(user) => &self.users.rules[*user],
            Subject::Application(application) => &self.applications.rules[*application],
            Subject::Unlisted(_) => &self.default,
            Subject::Unauthenticated => &self.unauthenticated,
        }
    }

    /// The users that have a rule.
    pub fn users(&self) -> &Listed {
        &self.users
    }

    /// The applications that have a rule.
    pub fn applications(&self) -> &Listed {
        &self.applications
    }
}

/// Users or applications with a rule, found by name.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    by_dn: HashMap<Box<[u8]>, usize>,
    by_id: HashMap<Box<[u8]>, usize>,
    rules: Vec<Rule>,
}

impl Listed {
    /// How many are listed.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether none is listed.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Who has this DN.
    pub fn with_dn(&self, dn: &Name) -> Option<usize> {
        self.by_dn.get(dn.as_bytes()).copied()
    }

    /// Who has this DN, or else the longest part of it, from its beginning on.
    pub fn covering_dn(&self, dn: &Name) -> Option<usize> {
        dn.leading_rdns().find_map(|dn| self.by_dn.get(dn).copied())
    }

    /// Who has this ID.
    pub fn with_id(&self, id: &Name) -> Option<usize> {
        self.by_id.get(id.as_bytes()).copied()
    }
}

/// What is decided for a subject.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Whether flows are admitted at all.
    pub outcome: Outcome,
    /// How many flows the subject may have in each direction.
    pub max_flows: Limit<u32>,
    /// The token rate that each of them may have.
    pub max_flow_rate: Limit<Rate>,
}

/// Admission or not, before any limit is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Admitted, with this priority.
    Admit(Priority),
    /// Rejected, for this reason.
    Reject(LpmPolicyError),
}

/// A limit, and in whose rule it was set: that decides the error value of a violation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit<T> {
    /// No limit.
    Unlimited,
    /// At most so much, as set for this scope. Applications count as users: lpmapi has no scope of
    /// their own.
    AtMost(T, Scope),
}

impl<T> Limit<T> {
    /// The same limit in another measure.
    pub fn map<U>(self, measure: impl FnOnce(T) -> U) -> Limit<U> {
        match self {
            Limit::Unlimited => Limit::Unlimited,
            Limit::AtMost(most, scope) => Limit::AtMost(measure(most), scope),
        }
    }
}

impl<T: PartialOrd> Limit<T> {
    /// The scope of the limit that `value` is above, if it is.
    pub fn exceeded_by(self, value: T) -> Option<Scope> {
        match self {
            Limit::AtMost(most, scope) if value > most => Some(scope),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule_of_user(policy: &Policy, id: &str) -> Rule {
        let user = policy
            .users()
            .with_id(&Name::id(id))
            .expect("a listed user");
        *policy.rule::<Name>(&Subject::User(user))
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
        assert_eq!(rule.max_flows, Limit::AtMost(3, Scope::GlobalUser));
        assert_eq!(
            rule.max_flow_rate,
            Limit::AtMost(rate("3000"), Scope::GlobalUser)
        );

        let rule = rule_of_user(&policy, "a rate of his own");
        assert_eq!(rule.outcome, admit(2));
        assert_eq!(rule.max_flows, Limit::AtMost(2, Scope::GlobalGroup));
        assert_eq!(
            rule.max_flow_rate,
            Limit::AtMost(rate("3000"), Scope::GlobalUser)
        );

        let rule = rule_of_user(&policy, "in no group");
        assert_eq!(rule, *policy.rule(&Subject::Unlisted("somebody")));
        assert_eq!(rule.outcome, admit(1));
        assert_eq!(
            rule.max_flow_rate,
            Limit::AtMost(rate("1000"), Scope::GlobalDefault)
        );

        let rule = rule_of_user(&policy, "rejected with his group");
        assert_eq!(rule.outcome, Outcome::Reject(LpmPolicyError::NoResources));

        let rule = rule_of_user(&policy, "excepted from his group");
        assert_eq!(rule.outcome, admit(4));
        assert_eq!(rule.max_flows, Limit::Unlimited);
        assert_eq!(
            rule.max_flow_rate,
            Limit::AtMost(rate("1000"), Scope::GlobalDefault)
        );
    }

    #[test]
    fn missing_standing_rules_reject() {
        let policy = Policy::parse("test", "[[user]]\nid = 'ada'\npriority = 1").unwrap();
        let outcome = |subject: Subject<&str>| policy.rule(&subject).outcome;
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
        let rule = policy.rule::<Name>(&Subject::Unauthenticated);
        assert_eq!(rule.max_flows, Limit::Unlimited);
    }

    #[test]
    fn the_demo_policy_says_what_its_comments_say() {
        let policy = Policy::parse("demo", crate::DEMO_POLICY).unwrap();
        let ada = rule_of_user(&policy, "Ada");
        assert_eq!(ada.max_flows, Limit::AtMost(3, Scope::GlobalGroup));
        assert_eq!(
            ada.max_flow_rate,
            Limit::AtMost(rate("8 Mbit/s"), Scope::GlobalUser)
        );
        let katherine = rule_of_user(&policy, "katherine");
        assert_eq!(katherine.max_flows, Limit::Unlimited);
        assert_eq!(
            katherine.max_flow_rate,
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
}
