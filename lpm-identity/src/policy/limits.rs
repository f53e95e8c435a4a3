//! What is decided for a subject: whether it is admitted, and what it may have at most.

use lpm_api::{LpmPolicyError, Metric, Rate, Scope};
use lpm_sample::rule::{Limit, Outcome};

use crate::duration::FlowDuration;
use crate::whole::whole_limit;

/// What is decided for a subject.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Whether flows are admitted at all.
    pub outcome: Outcome,
    /// What each flow, and all of them together, may have.
    pub limits: Limits,
}

/// The limits of a [`Rule`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// How many flows the subject may have in each direction.
    pub flows: Limit<u32>,
    /// How long a flow may last.
    pub flow_duration: Limit<FlowDuration>,
    /// The token rate of each flow.
    pub flow_rate: Limit<Rate>,
    /// The peak rate of each flow.
    pub peak_rate: Limit<Rate>,
    /// The token rates of all flows in one direction together.
    pub sum_flow_rate: Limit<Rate>,
    /// Their peak rates together.
    pub sum_peak_rate: Limit<Rate>,
}

/// The limits that count all flows of a subject, in the order in which they are looked at.
const SUMS: [Metric; 3] = [Metric::FlowCount, Metric::SumFlowRate, Metric::SumPeakRate];

impl Limits {
    /// The limits that count all flows of a subject everywhere, in bytes per second the rates.
    pub(crate) fn everywhere(&self) -> [Option<u64>; 3] {
        let all = [
            self.flows.map(u64::from),
            self.sum_flow_rate.map(whole_limit),
            self.sum_peak_rate.map(whole_limit),
        ];
        all.map(|limit| match limit {
            Limit::AtMost(most, scope) if !is_of_subnet(scope) => Some(most),
            _ => None,
        })
    }

    /// Whether there is any of these.
    pub(crate) fn are_shared(&self) -> bool {
        self.everywhere().iter().any(Option::is_some)
    }

    /// The error for exceeding the limit of this place in [`everywhere`](Self::everywhere).
    pub(crate) fn exceeded(&self, limit: usize) -> LpmPolicyError {
        let scopes = [
            scope_of(&self.flows),
            scope_of(&self.sum_flow_rate),
            scope_of(&self.sum_peak_rate),
        ];
        match (SUMS.get(limit), scopes.get(limit)) {
            (Some(metric), Some(Some(scope))) => LpmPolicyError::Limit(*metric, *scope),
            _ => LpmPolicyError::NoResources,
        }
    }

    /// Without the limits that count all flows of a subject everywhere.
    pub(crate) fn of_subnets(&self) -> Self {
        Self {
            flows: if_of_subnet(self.flows),
            sum_flow_rate: if_of_subnet(self.sum_flow_rate),
            sum_peak_rate: if_of_subnet(self.sum_peak_rate),
            ..*self
        }
    }
}

/// Whose limit it is.
pub(crate) fn scope_of<T>(limit: &Limit<T>) -> Option<Scope> {
    match limit {
        Limit::Unlimited => None,
        Limit::AtMost(_, scope) => Some(*scope),
    }
}

/// The same limit if it counts the flows of a subnet.
fn if_of_subnet<T>(limit: Limit<T>) -> Limit<T> {
    match limit {
        Limit::AtMost(_, scope) if !is_of_subnet(scope) => Limit::Unlimited,
        limit => limit,
    }
}

/// Whether a limit of this scope counts the flows of one subnet only.
pub(crate) fn is_of_subnet(scope: Scope) -> bool {
    matches!(
        scope,
        Scope::SubnetDefault
            | Scope::SubnetGroup
            | Scope::SubnetUser
            | Scope::SubnetUnauthenticated
    )
}
