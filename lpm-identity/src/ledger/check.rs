//! Whether a change would exceed a limit.

use lpm_api::{LpmPolicyError, Metric};
use lpm_sample::rule::Limit;

use super::accounts::Held;
use crate::policy::{Limits, is_of_subnet, scope_of};
use crate::whole::whole_limit;

/// Whether anything has grown beyond its limit; what is held is that everywhere, and on the subnet.
pub(super) fn exceeded(
    limits: &Limits,
    before: [Held; 2],
    after: [Held; 2],
) -> Result<(), LpmPolicyError> {
    check(Metric::FlowCount, limits.flows, before, after, |held| {
        held.flows
    })?;
    let sum = limits.sum_flow_rate.map(whole_limit);
    check(Metric::SumFlowRate, sum, before, after, |held| held.rate)?;
    let sum = limits.sum_peak_rate.map(whole_limit);
    check(Metric::SumPeakRate, sum, before, after, |held| {
        held.peak_rate
    })
}

fn check<T: PartialOrd>(
    metric: Metric,
    limit: Limit<T>,
    before: [Held; 2],
    after: [Held; 2],
    value: impl Fn(Held) -> T,
) -> Result<(), LpmPolicyError> {
    let Some(scope) = scope_of(&limit) else {
        return Ok(());
    };
    let place = usize::from(is_of_subnet(scope));
    let (before, after) = (value(before[place]), value(after[place]));
    let grows = after > before;
    match limit.exceeded_by(after) {
        Some(scope) if grows => Err(LpmPolicyError::Limit(metric, scope)),
        _ => Ok(()),
    }
}
