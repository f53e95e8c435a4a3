//! What a section of the policy sets.

use std::fmt;

use lpm_api::{Metric, Rate};
use lpm_sample::rule::{Outcome, Setting};

use crate::duration::FlowDuration;

/// The limits, with the keys of the policy.
pub(crate) const METRICS: [(Metric, &str); 6] = [
    (Metric::FlowCount, "max_flows"),
    (Metric::FlowDuration, "max_flow_duration"),
    (Metric::FlowRate, "max_flow_rate"),
    (Metric::PeakRate, "max_peak_rate"),
    (Metric::SumFlowRate, "max_sum_flow_rate"),
    (Metric::SumPeakRate, "max_sum_peak_rate"),
];

/// What one section sets itself; `None` is left to be inherited.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Settings {
    /// `priority` or `reject`.
    pub outcome: Option<Outcome>,
    /// `max_flows`.
    pub flows: Option<Setting<u32>>,
    /// `max_flow_duration`.
    pub flow_duration: Option<Setting<FlowDuration>>,
    /// `max_flow_rate`.
    pub flow_rate: Option<Setting<Rate>>,
    /// `max_peak_rate`.
    pub peak_rate: Option<Setting<Rate>>,
    /// `max_sum_flow_rate`.
    pub sum_flow_rate: Option<Setting<Rate>>,
    /// `max_sum_peak_rate`.
    pub sum_peak_rate: Option<Setting<Rate>>,
}

impl Settings {
    /// The limit of a metric as text, where it is set.
    pub(crate) fn limit(&self, metric: Metric) -> Option<String> {
        match metric {
            Metric::FlowCount => self.flows.as_ref().map(text),
            Metric::FlowDuration => self.flow_duration.as_ref().map(text),
            Metric::FlowRate => self.flow_rate.as_ref().map(text),
            Metric::PeakRate => self.peak_rate.as_ref().map(text),
            Metric::SumFlowRate => self.sum_flow_rate.as_ref().map(text),
            Metric::SumPeakRate => self.sum_peak_rate.as_ref().map(text),
        }
    }
}

/// What a section itself sets, in one line.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.outcome {
            Some(Outcome::Admit(priority)) => write!(f, "priority {}", priority.value())?,
            Some(Outcome::Reject(reason)) => write!(f, "reject: {reason}")?,
            None => f.write_str("neither priority nor reject")?,
        }
        for (metric, key) in METRICS {
            if let Some(limit) = self.limit(metric) {
                write!(f, ", {key} {limit}")?;
            }
        }
        Ok(())
    }
}

/// A setting as the policy file has it.
fn text<T: fmt::Display>(setting: &Setting<T>) -> String {
    match setting {
        Setting::Unlimited => "unlimited".to_owned(),
        Setting::AtMost(most) => most.to_string(),
    }
}
