//! What can be wrong with a policy.

use crate::dn::DnError;
use crate::units::RateError;

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
    /// A `reject` that is no reason.
    #[error("{found:?} is not a reason; accepted: {}", .accepted.join(", "))]
    UnknownReason {
        /// The text found.
        found: String,
        /// The reasons there are.
        accepted: Vec<&'static str>,
    },
    /// A `priority` and a `reject` in the same section.
    #[error("a rule has a priority or a reason to reject, not both; remove one of them")]
    PriorityAndReject,
    /// Neither `priority` nor `reject`, here or inherited.
    #[error(
        "neither priority nor reject is set, and none is inherited; set one of them here, in its group or in [default]"
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

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}
