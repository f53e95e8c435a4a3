//! The values that sections set, typed.

use std::str::FromStr;
use std::time::Duration;

use lpm_api::{LpmPolicyError, Priority};
use lpm_sample::rule::{Outcome, Setting};
use toml::Spanned;
use toml::de::{DeInteger, DeValue};

use super::error::{PolicyError, PolicyProblem, excerpt};
use super::keys::{CONDITIONS, VALUES};
use super::subnets::Subnets;
use super::table::Table;
use crate::duration::FlowDuration;
use crate::policy::schedule::Schedule;
use crate::policy::section::{Section, When};
use crate::settings::Settings;

/// The reasons a policy may give, by the name it gives them.
const REASONS: [(&str, LpmPolicyError); 4] = [
    ("unknown_user", LpmPolicyError::UnknownUser),
    ("no_privileges", LpmPolicyError::NoPrivileges),
    ("expired_user_token", LpmPolicyError::ExpiredUserToken),
    ("no_resources", LpmPolicyError::NoResources),
];

const PRIORITY: &str = "a whole number from 1 to 65280";
const FLOWS: &str = "a whole number from 0 to 4294967295, or \"unlimited\"";
const RATE: &str =
    "a number of bytes per second, a rate with a unit such as \"2 Mbit/s\", or \"unlimited\"";
const DURATION: &str =
    "a number of seconds, a duration with a unit such as \"8 h\", or \"unlimited\"";
const TIME: &str = "a number of seconds, or a duration with a unit such as \"5 min\"";
const COUNT: &str = "a whole number from 0 to 4294967295";
const INTERFACES: &str = "an array of interface numbers (SNMP ifIndex), from 0 to 4294967295";

impl<'a> Table<'a> {
    /// What the table sets, with its `when` tables.
    pub(super) fn section(&self, subnets: &mut Subnets) -> Result<Section, PolicyError> {
        let mut when = Vec::new();
        for table in self.tables("when", &[CONDITIONS, VALUES])? {
            when.push(table.when(subnets)?);
        }
        Ok(Section {
            settings: self.settings()?,
            when: when.into(),
            line: self.line(),
        })
    }

    /// The interface numbers under `interfaces`.
    pub(super) fn interfaces(&self) -> Result<Vec<u32>, PolicyError> {
        let Some((value, place)) = self.value("interfaces") else {
            return Ok(Vec::new());
        };
        let DeValue::Array(items) = value.get_ref() else {
            return Err(place.wrong_type(INTERFACES, value));
        };
        let number = |item: &Spanned<DeValue<'a>>| match item.get_ref() {
            DeValue::Integer(number) => integer(number)
                .and_then(|number| u32::try_from(number).ok())
                .ok_or_else(|| {
                    self.place("interfaces", item.span().start)
                        .out_of_range(excerpt(number.as_str()), INTERFACES)
                }),
            _ => Err(place.wrong_type(INTERFACES, item)),
        };
        items.iter().map(number).collect()
    }

    fn when(&self, subnets: &mut Subnets) -> Result<When, PolicyError> {
        let subnet = subnets.named(self)?;
        let mut schedule = None;
        if let Some((days, at)) = self.text("days")? {
            let days = Schedule::ALWAYS.on_days(&excerpt(days));
            schedule = Some(days.map_err(|error| at.fail(error.into()))?);
        }
        if let Some((hours, at)) = self.text("hours")? {
            let hours = schedule
                .unwrap_or(Schedule::ALWAYS)
                .in_hours(&excerpt(hours));
            schedule = Some(hours.map_err(|error| at.fail(error.into()))?);
        }
        if subnet.is_none() && schedule.is_none() {
            return Err(self.fail(PolicyProblem::NoCondition));
        }
        Ok(When {
            subnet,
            schedule,
            settings: self.settings()?,
            line: self.line(),
        })
    }

    fn settings(&self) -> Result<Settings, PolicyError> {
        let rate = |key| self.limit(key, RATE, PolicyProblem::Rate);
        Ok(Settings {
            outcome: self.outcome()?,
            flows: self.max_flows()?,
            flow_duration: self.limit("max_flow_duration", DURATION, PolicyProblem::Duration)?,
            flow_rate: rate("max_flow_rate")?,
            peak_rate: rate("max_peak_rate")?,
            sum_flow_rate: rate("max_sum_flow_rate")?,
            sum_peak_rate: rate("max_sum_peak_rate")?,
        })
    }

    fn outcome(&self) -> Result<Option<Outcome>, PolicyError> {
        let priority = self.value("priority");
        let reject = self.text("reject")?;
        match (priority, reject) {
            (None, None) => Ok(None),
            (Some(_), Some((_, place))) => Err(place.fail(PolicyProblem::PriorityAndReject)),
            (Some((value, place)), None) => {
                let DeValue::Integer(number) = value.get_ref() else {
                    return Err(place.wrong_type(PRIORITY, value));
                };
                integer(number)
                    .and_then(|number| Priority::new(number.try_into().ok()?))
                    .map(|priority| Some(Outcome::Admit(priority)))
                    .ok_or_else(|| place.out_of_range(excerpt(number.as_str()), PRIORITY))
            }
            (None, Some((name, place))) => {
                let reason = REASONS.iter().find(|(known, _)| *known == name);
                let unknown = || PolicyProblem::UnknownWord {
                    found: excerpt(name),
                    what: "reason",
                    accepted: REASONS.iter().map(|(known, _)| *known).collect(),
                };
                reason
                    .map(|(_, reason)| Some(Outcome::Reject(*reason)))
                    .ok_or_else(|| place.fail(unknown()))
            }
        }
    }

    fn max_flows(&self) -> Result<Option<Setting<u32>>, PolicyError> {
        let Some((value, place)) = self.value("max_flows") else {
            return Ok(None);
        };
        match value.get_ref() {
            DeValue::String(text) if text == "unlimited" => Ok(Some(Setting::Unlimited)),
            DeValue::String(text) => Err(place.out_of_range(format!("{:?}", excerpt(text)), FLOWS)),
            DeValue::Integer(number) => integer(number)
                .and_then(|number| u32::try_from(number).ok())
                .map(|most| Some(Setting::AtMost(most)))
                .ok_or_else(|| place.out_of_range(excerpt(number.as_str()), FLOWS)),
            _ => Err(place.wrong_type(FLOWS, value)),
        }
    }

    /// A duration under `key`, as those of flows are written.
    pub(crate) fn duration(&self, key: &'static str) -> Result<Option<Duration>, PolicyError> {
        let Some((value, place)) = self.value(key) else {
            return Ok(None);
        };
        match self.limit(key, TIME, PolicyProblem::Duration)? {
            Some(Setting::AtMost(duration)) => Ok(Some(FlowDuration::into(duration))),
            _ => Err(place.wrong_type(TIME, value)),
        }
    }

    /// A number of things under `key`.
    pub(crate) fn count(&self, key: &'static str) -> Result<Option<u32>, PolicyError> {
        let Some((value, place)) = self.value(key) else {
            return Ok(None);
        };
        let DeValue::Integer(number) = value.get_ref() else {
            return Err(place.wrong_type(COUNT, value));
        };
        integer(number)
            .and_then(|number| u32::try_from(number).ok())
            .map(Some)
            .ok_or_else(|| place.out_of_range(excerpt(number.as_str()), COUNT))
    }

    /// A yes or no under `key`.
    pub(crate) fn flag(&self, key: &'static str) -> Result<Option<bool>, PolicyError> {
        match self.value(key) {
            None => Ok(None),
            Some((value, place)) => match value.get_ref() {
                DeValue::Boolean(flag) => Ok(Some(*flag)),
                _ => Err(place.wrong_type("true or false", value)),
            },
        }
    }

    /// A limit that is written as a number or as a text with a unit.
    fn limit<T: FromStr>(
        &self,
        key: &'static str,
        expected: &'static str,
        problem: impl Fn(T::Err) -> PolicyProblem,
    ) -> Result<Option<Setting<T>>, PolicyError> {
        let Some((value, place)) = self.value(key) else {
            return Ok(None);
        };
        let text = match value.get_ref() {
            DeValue::String(text) if text == "unlimited" => return Ok(Some(Setting::Unlimited)),
            DeValue::String(text) => text.as_ref(),
            // A decimal number means the same with and without quotes.
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            _ => return Err(place.wrong_type(expected, value)),
        };
        // None that is right is so long that this would shorten it.
        let limit = excerpt(text).parse();
        limit
            .map(|limit| Some(Setting::AtMost(limit)))
            .map_err(|error| place.fail(problem(error)))
    }
}

fn integer(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}
