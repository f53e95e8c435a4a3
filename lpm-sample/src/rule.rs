//! What is decided for a subject: admission or not, and limits that know whose they are.

use lpm_api::{LpmPolicyError, Priority, Scope};

/// Admission or not, before any limit is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Admitted, with this priority at most.
    Admit(Priority),
    /// Rejected, for this reason.
    Reject(LpmPolicyError),
}

/// A limit, and in whose section it was set: that decides the error value of a violation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Limit<T> {
    /// No limit.
    #[default]
    Unlimited,
    /// At most so much, as set for this scope. Applications count as users: lpmapi has no scope of
    /// their own.
    AtMost(T, Scope),
}

impl<T> Limit<T> {
    /// The same limit in another measure.
    pub fn map<U>(self, measure: impl FnOnce(T) -> U) -> Limit<U> {
        match self {
            Self::Unlimited => Limit::Unlimited,
            Self::AtMost(most, scope) => Limit::AtMost(measure(most), scope),
        }
    }
}

impl<T: PartialOrd> Limit<T> {
    /// The scope of the limit that `value` is above, if it is.
    pub fn exceeded_by(self, value: T) -> Option<Scope> {
        match self {
            Self::AtMost(most, scope) if value > most => Some(scope),
            _ => None,
        }
    }
}

/// A limit as one section of a policy sets it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Setting<T> {
    /// No limit, not even one that would be inherited.
    Unlimited,
    /// At most so much.
    AtMost(T),
}

/// The priority a flow asks for (PREEMPTION_PRI, RFC 3181), but at most the highest it may have.
#[must_use]
pub fn asked(preemption_priority: Option<u16>, highest: Priority) -> Priority {
    let asked = preemption_priority.and_then(|asked| Priority::new(asked.max(1)));
    asked.map_or(highest, |asked| asked.min(highest))
}
