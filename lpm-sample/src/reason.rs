//! Why a flow is decided as it is, in a sentence for the operator.
//!
//! The sentence names who asks, what for, and the section of the policy that has the last word,
//! with the line on which it begins:
//! `ada: 2 Mbit/s asked, [default] allows 500 kbit/s (policy.toml:7), 1 flow held`.

use std::borrow::Cow;
use std::fmt::{self, Display};

use lpm_api::{LpmPolicyError, Metric, Rate};

/// Who asks, for what, and what there is already.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Who asks.
    pub who: &'a str,
    /// The token rate, in bytes per second, if it makes sense.
    pub rate: Option<f32>,
    /// The peak rate, in bytes per second, where it is a matter of policy.
    pub peak_rate: Option<f32>,
    /// How many flows are held already, in this direction and where the limit counts.
    pub flows: u32,
    /// Their token rates together, in bytes per second, where it is a matter of policy.
    pub sum_rate: Option<f32>,
    /// Their peak rates together, likewise.
    pub sum_peak_rate: Option<f32>,
}

/// A section of the policy.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Its heading, such as `[default]`, and under which conditions it holds.
    pub heading: &'a str,
    /// The name of the policy, such as its file.
    pub source: &'a str,
    /// Its line, from 1; 0 for what is in no file.
    pub line: u32,
}

impl Asked<'_> {
    /// That a section sets a limit that is exceeded.
    #[must_use]
    pub fn exceeds(&self, metric: Metric, allowed: &str, place: Place<'_>) -> String {
        let (asked, whole, sum) = match metric {
            Metric::FlowCount if allowed == "1" => ("one more flow".into(), " flow", None),
            Metric::FlowCount => ("one more flow".into(), " flows", None),
            Metric::FlowDuration => ("to go on".into(), "", None),
            Metric::PeakRate => (self.peak(), "", None),
            Metric::FlowRate => (self.rate(), "", None),
            Metric::SumFlowRate => (self.rate(), " together", self.sum_rate),
            Metric::SumPeakRate => (self.peak(), " together", self.sum_peak_rate),
        };
        let sum = sum.map_or(String::new(), |sum| format!(" of {}", Rate::in_words(sum)));
        let (who, heading, held) = (self.who, place.heading, Held(self.flows));
        format!("{who}: {asked} asked, {heading} allows {allowed}{whole}{place}, {held}{sum}")
    }

    /// That a section refuses whatever is asked for, for this reason.
    #[must_use]
    pub fn refused(&self, reason: LpmPolicyError, place: Place<'_>) -> String {
        format!("{}: {} refuses: {reason}{place}", self.who, place.heading)
    }

    /// That a section admits the flow.
    #[must_use]
    pub fn admitted(&self, priority: u16, place: Place<'_>) -> String {
        let (who, heading, held) = (self.who, place.heading, Held(self.flows));
        let asked = self.rate();
        format!("{who}: {asked} asked, {heading} admits with priority {priority}{place}, {held}")
    }

    /// That what is asked for makes no sense.
    #[must_use]
    pub fn makes_no_sense(&self) -> String {
        format!("{}: the rate that is asked for is not a number", self.who)
    }

    fn rate(&self) -> Cow<'static, str> {
        self.rate
            .map_or("no rate".into(), |rate| Rate::in_words(rate).into())
    }

    fn peak(&self) -> Cow<'static, str> {
        let peak = self.peak_rate.or(self.rate).map(Rate::in_words);
        peak.map_or("no peak rate".into(), |peak| format!("peak {peak}").into())
    }
}

/// ` (policy.toml:7)`; nothing for what is in no file.
impl Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => Ok(()),
            line => write!(f, " ({}:{line})", self.source),
        }
    }
}

struct Held(u32);

impl Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("1 flow held"),
            flows => write!(f, "{flows} flows held"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: Place<'_> = Place {
        heading: "[default]",
        source: "policy.toml",
        line: 7,
    };

    fn ada(flows: u32) -> Asked<'static> {
        Asked {
            who: "ada",
            rate: Some(250_000.0),
            peak_rate: Some(f32::INFINITY),
            flows,
            sum_rate: Some(125_000.0),
            sum_peak_rate: None,
        }
    }

    #[test]
    fn sentences() {
        let exceeds = |flows, metric, allowed| ada(flows).exceeds(metric, allowed, DEFAULT);
        assert_eq!(
            exceeds(1, Metric::FlowRate, "500 kbit/s"),
            "ada: 2 Mbit/s asked, [default] allows 500 kbit/s (policy.toml:7), 1 flow held"
        );
        assert_eq!(
            exceeds(2, Metric::FlowCount, "2"),
            "ada: one more flow asked, [default] allows 2 flows (policy.toml:7), 2 flows held"
        );
        assert_eq!(
            exceeds(1, Metric::SumFlowRate, "2.5 Mbit/s"),
            "ada: 2 Mbit/s asked, [default] allows 2.5 Mbit/s together (policy.toml:7), \
             1 flow held of 1 Mbit/s"
        );
        assert_eq!(
            exceeds(0, Metric::PeakRate, "1 Mbit/s"),
            "ada: peak inf B/s asked, [default] allows 1 Mbit/s (policy.toml:7), 0 flows held"
        );
        assert_eq!(
            ada(0).refused(LpmPolicyError::NoPrivileges, Place { line: 0, ..DEFAULT }),
            format!("ada: [default] refuses: {}", LpmPolicyError::NoPrivileges)
        );
        assert_eq!(
            ada(3).admitted(300, DEFAULT),
            "ada: 2 Mbit/s asked, [default] admits with priority 300 (policy.toml:7), 3 flows held"
        );
    }
}
