//! What can be wrong with a policy.

use lpm_api::{DnError, RateError};

use crate::duration::DurationError;
use crate::policy::schedule::ScheduleError;

/// How much of a value an error repeats, in characters, and how many names it lists.
const LONGEST: usize = 100;
const MOST_NAMES: usize = 20;

/// A fault in the text of a policy: `office.toml:12: max_flows in [[user]]: …`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{source_name}:{line}: {place}{problem}")]
#[non_exhaustive]
pub struct PolicyError {
    /// The text's name: a file, or what the PCM says the configuration comes from.
    pub source_name: String,
    /// The line of the fault, from 1.
    pub line: usize,
    /// The key and section of the fault, as a prefix of the message; empty for a fault of TOML.
    pub place: String,
    /// What is wrong, and what would be accepted.
    pub problem: PolicyProblem,
}

/// What is wrong in a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyProblem {
    /// The text is not TOML.
    #[error("not TOML: {0}")]
    Syntax(String),
    /// The text is empty.
    #[error(
        "the policy has no rules: expected at least one of [default], [unauthenticated], [[user]], [[application]]"
    )]
    NoRules,
    /// A key that means nothing here.
    #[error("unknown key; accepted here: {}", .accepted.join(", "))]
    UnknownKey {
        /// The keys that would mean something.
        accepted: Vec<&'static str>,
    },
    /// A value of the wrong type.
    #[error("expected {expected}, found {found}")]
    WrongType {
        /// What the key takes.
        expected: &'static str,
        /// The type of the value.
        found: &'static str,
    },
    /// A number outside the range of its key.
    #[error("{found} is out of range: expected {expected}")]
    OutOfRange {
        /// The number as written.
        found: String,
        /// What the key takes.
        expected: &'static str,
    },
    /// A `max_flow_rate` that is no rate.
    #[error(transparent)]
    Rate(RateError),
    /// A `dn` that is no DN.
    #[error(transparent)]
    Dn(DnError),
    /// A `max_flow_duration` that is no duration.
    #[error(transparent)]
    Duration(DurationError),
    /// `days` or `hours` that are none.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// A text that is none of those expected, such as a `reject` that is no reason.
    #[error("{found:?} is not a {what}; accepted: {}", .accepted.join(", "))]
    UnknownWord {
        /// The text found.
        found: String,
        /// What was expected.
        what: &'static str,
        /// The texts that would be accepted.
        accepted: Vec<&'static str>,
    },
    /// A `time_zone` that the system does not know.
    #[error(
        "there is no time zone {0:?}; expected a name of the IANA time zone database, such as \"Europe/Zurich\""
    )]
    UnknownTimeZone(String),
    /// A prefix that is none.
    #[error("{0:?} is not a prefix: expected an address and a length, such as \"10.1.0.0/16\"")]
    BadPrefix(String),
    /// A `[[subnet]]` that nothing can be on.
    #[error("nothing is on this subnet: set prefixes, interfaces or both")]
    EmptySubnet,
    /// A `subnet` condition that names neither a subnet nor a prefix.
    #[error(
        "there is no subnet {found:?}; defined: {}; or give a prefix such as \"10.1.0.0/16\"",
        list(.known)
    )]
    UnknownSubnet {
        /// The name found.
        found: String,
        /// The names of the subnets there are.
        known: Vec<String>,
    },
    /// A server of the directory that is no URL.
    #[error(
        "{0:?} is not a server: expected ldap://, ldaps:// or ldapi://, a host and perhaps a port, such as \"ldaps://directory.example.net\""
    )]
    BadServer(String),
    /// A `bind_dn` without a password, or with two.
    #[error("set one of bind_password_env and bind_password_file")]
    OnePassword,
    /// A filter of the directory that finds everybody, or nobody.
    #[error(
        "{found:?} is not a filter for one name: expected a filter in parentheses with {place} in it"
    )]
    BadFilter {
        /// The text found.
        found: String,
        /// Where the name is put.
        place: &'static str,
    },
    /// Shared usage without a server, or with two.
    #[error("set one of server, server_env and server_file")]
    OneServer,
    /// A server of the shared usage that is no URL.
    #[error("{0:?} is not a server: expected a URL such as \"redis://localhost:6379\"")]
    BadRedis(String),
    /// A duration that must not be zero.
    #[error("{0} is 0: expected a longer time")]
    Zero(&'static str),
    /// A `when` table that would hold everywhere and always.
    #[error("when does this hold? set subnet, days or hours, or move the values out of it")]
    NoCondition,
    /// A `priority` and a `reject` in the same section.
    #[error("a rule has a priority or a reason to reject, not both; remove one of them")]
    PriorityAndReject,
    /// Neither `priority` nor `reject`, here or inherited.
    #[error(
        "neither priority nor reject is set, here or where it inherits from; set one of them here, in its group or in [default]"
    )]
    NoOutcome,
    /// A key that must be there.
    #[error("the key {0} is missing")]
    Missing(&'static str),
    /// Neither `dn` nor `id`.
    #[error("whose rule is this? set dn, id or both")]
    NoName,
    /// A name of nothing but whitespace.
    #[error("the name is empty")]
    EmptyName,
    /// A `group` that is not defined.
    #[error("there is no group {found:?}; defined: {}", list(.known))]
    UnknownGroup {
        /// The name found.
        found: String,
        /// The names of the groups there are.
        known: Vec<String>,
    },
    /// A name that an earlier section of the same kind has, perhaps in another spelling.
    #[error("{0:?} is listed twice; names that differ only in case or spacing are the same")]
    Duplicate(String),
}

/// A value of the file, as an error repeats it: not all of one that is long.
pub(crate) fn excerpt(value: &str) -> String {
    let mut chars = value.chars();
    let mut excerpt: String = chars.by_ref().take(LONGEST).collect();
    if chars.next().is_some() {
        excerpt.push('…');
    }
    excerpt
}

fn list(names: &[String]) -> String {
    let mut list: Vec<_> = names
        .iter()
        .take(MOST_NAMES)
        .map(|name| excerpt(name))
        .collect();
    match names.len().checked_sub(MOST_NAMES) {
        Some(more @ 1..) => list.push(format!("and {more} more")),
        _ if list.is_empty() => list.push("none".to_owned()),
        _ => {}
    }
    list.join(", ")
}
