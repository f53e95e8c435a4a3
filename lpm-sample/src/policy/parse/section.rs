//! One table of a policy file, and typed access to its keys with errors that say where.

use lpm_api::{LpmPolicyError, Priority};
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::error::{PolicyError, PolicyProblem};
use crate::policy::Outcome;
use crate::units::Rate;

/// The reasons a policy may give, by the name it gives them.
const REASONS: [(&str, LpmPolicyError); 4] = [
    ("unknown_user", LpmPolicyError::UnknownUser),
    ("no_privileges", LpmPolicyError::NoPrivileges),
    ("expired_user_token", LpmPolicyError::ExpiredUserToken),
    ("no_resources", LpmPolicyError::NoResources),
];

/// What one section sets itself; `None` is left to be inherited.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Settings {
    pub(super) outcome: Option<Outcome>,
    pub(super) max_flows: Option<Setting<u32>>,
    pub(super) max_flow_rate: Option<Setting<Rate>>,
}

/// A limit as set in one section.
#[derive(Clone, Copy, Debug)]
pub(super) enum Setting<T> {
    Unlimited,
    AtMost(T),
}

/// The text of a policy and its name.
#[derive(Clone, Copy)]
pub(super) struct File<'a> {
    pub(super) source: &'a str,
    pub(super) text: &'a str,
}

impl File<'_> {
    pub(super) fn syntax_error(self, error: &toml::de::Error) -> PolicyError {
        let at = error.span().map_or(0, |span| span.start);
        self.error(
            at,
            String::new(),
            PolicyProblem::Syntax(error.message().to_owned()),
        )
    }

    /// An error at a byte of the text.
    fn error(self, at: usize, place: String, problem: PolicyProblem) -> PolicyError {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = 1 + before.matches('\n').count();
        PolicyError {
            source_name: self.source.to_owned(),
            line,
            place,
            problem,
        }
    }
}

/// A table whose keys are all known ones.
pub(super) struct Section<'a> {
    file: File<'a>,
    /// As written in the file: `[default]`, `[[user]]`; empty for the whole file.
    heading: String,
    table: &'a DeTable<'a>,
    at: usize,
}

impl<'a> Section<'a> {
    /// # Errors
    /// The first key that is not among the `accepted`.
    pub(super) fn new(
        file: File<'a>,
        heading: &str,
        table: &'a DeTable<'a>,
        at: usize,
        accepted: &[&'static str],
    ) -> Result<Section<'a>, PolicyError> {
        let section = Section {
            file,
            heading: heading.to_owned(),
            table,
            at,
        };
        let unknown = table
            .keys()
            .filter(|key| !accepted.contains(&key.get_ref().as_ref()));
        match unknown.min_by_key(|key| key.span().start) {
            None => Ok(section),
            Some(key) => Err(section.place(key.get_ref(), key.span().start).fail(
                PolicyProblem::UnknownKey {
                    accepted: accepted.to_vec(),
                },
            )),
        }
    }

    /// An error about the section as a whole.
    pub(super) fn fail(&self, problem: PolicyProblem) -> PolicyError {
        let place = if self.heading.is_empty() {
            String::new()
        } else {
            format!("{}: ", self.heading)
        };
        self.file.error(self.at, place, problem)
    }

    /// The table under `key`.
    pub(super) fn table(
        &self,
        key: &'static str,
        accepted: &[&'static str],
    ) -> Result<Option<Section<'a>>, PolicyError> {
        let Some((value, place)) = self.value(key) else {
            return Ok(None);
        };
        let expected = "a table";
        let table = value
            .get_ref()
            .as_table()
            .ok_or_else(|| place.wrong_type(expected, value))?;
        Section::new(
            self.file,
            &format!("[{key}]"),
            table,
            value.span().start,
            accepted,
        )
        .map(Some)
    }

    /// The tables of the array under `key`, none if it is missing.
    pub(super) fn tables(
        &self,
        key: &'static str,
        accepted: &[&'static str],
    ) -> Result<Vec<Section<'a>>, PolicyError> {
        let Some((value, place)) = self.value(key) else {
            return Ok(Vec::new());
        };
        let expected = "an array of tables, written [[user]], [[application]] or [[group]]";
        let array = value
            .get_ref()
            .as_array()
            .ok_or_else(|| place.wrong_type(expected, value))?;
        let heading = format!("[[{key}]]");
        array
            .iter()
            .map(|item| {
                let table = item
                    .get_ref()
                    .as_table()
                    .ok_or_else(|| place.wrong_type(expected, item))?;
                Section::new(self.file, &heading, table, item.span().start, accepted)
            })
            .collect()
    }

    /// The text under `key`, and where it stands.
    pub(super) fn text(
        &self,
        key: &'static str,
    ) -> Result<Option<(&'a str, Place<'a>)>, PolicyError> {
        let Some((value, place)) = self.value(key) else {
            return Ok(None);
        };
        match value.get_ref() {
            DeValue::String(text) => Ok(Some((text.as_ref(), place))),
            _ => Err(place.wrong_type("a text in quotes", value)),
        }
    }

    /// The keys that every rule has.
    pub(super) fn settings(&self) -> Result<Settings, PolicyError> {
        Ok(Settings {
            outcome: self.outcome()?,
            max_flows: self.max_flows()?,
            max_flow_rate: self.max_flow_rate()?,
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
                    return Err(place.wrong_type("a whole number from 1 to 65280", value));
                };
                let priority =
                    integer(number).and_then(|number| Priority::new(number.try_into().ok()?));
                let expected = "a whole number from 1 to 65280";
                priority
                    .map(|priority| Some(Outcome::Admit(priority)))
                    .ok_or_else(|| place.out_of_range(number.to_string(), expected))
            }
            (None, Some((name, place))) => {
                let reason = REASONS.iter().find(|(known, _)| *known == name);
                let unknown = || PolicyProblem::UnknownReason {
                    found: name.to_owned(),
                    accepted: REASONS.iter().map(|(known, _)| *known).collect(),
                };
                reason
                    .map(|(_, reason)| Some(Outcome::Reject(*reason)))
                    .ok_or_else(|| place.fail(unknown()))
            }
        }
    }

    fn max_flows(&self) -> Result<Option<Setting<u32>>, PolicyError> {
        let expected = "a whole number from 0 to 4294967295, or \"unlimited\"";
        let Some((value, place)) = self.value("max_flows") else {
            return Ok(None);
        };
        match value.get_ref() {
            DeValue::String(text) if text == "unlimited" => Ok(Some(Setting::Unlimited)),
            DeValue::String(text) => Err(place.out_of_range(format!("{text:?}"), expected)),
            DeValue::Integer(number) => integer(number)
                .and_then(|number| u32::try_from(number).ok())
                .map(|most| Some(Setting::AtMost(most)))
                .ok_or_else(|| place.out_of_range(number.to_string(), expected)),
            _ => Err(place.wrong_type(expected, value)),
        }
    }

    fn max_flow_rate(&self) -> Result<Option<Setting<Rate>>, PolicyError> {
        let Some((value, place)) = self.value("max_flow_rate") else {
            return Ok(None);
        };
        let rate = match value.get_ref() {
            DeValue::String(text) if text == "unlimited" => return Ok(Some(Setting::Unlimited)),
            DeValue::String(text) => text.parse(),
            // A decimal number means the same with and without quotes.
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse(),
            DeValue::Float(number) => number.as_str().parse(),
            _ => {
                let expected = "a number of bytes per second, a rate with a unit such as \"2 Mbit/s\", or \"unlimited\"";
                return Err(place.wrong_type(expected, value));
            }
        };
        rate.map(|rate| Some(Setting::AtMost(rate)))
            .map_err(|error| place.fail(PolicyProblem::Rate(error)))
    }

    fn value(&self, key: &'static str) -> Option<(&'a Spanned<DeValue<'a>>, Place<'a>)> {
        let value = self.table.get(key)?;
        Some((value, self.place(key, value.span().start)))
    }

    fn place(&self, key: &str, at: usize) -> Place<'a> {
        let of = if self.heading.is_empty() {
            String::new()
        } else {
            format!(" in {}", self.heading)
        };
        Place {
            file: self.file,
            at,
            text: format!("{key}{of}: "),
        }
    }
}

/// A key of a section, to complain about.
pub(super) struct Place<'a> {
    file: File<'a>,
    at: usize,
    text: String,
}

impl Place<'_> {
    pub(super) fn fail(&self, problem: PolicyProblem) -> PolicyError {
        self.file.error(self.at, self.text.clone(), problem)
    }

    fn out_of_range(self, found: String, expected: &'static str) -> PolicyError {
        self.fail(PolicyProblem::OutOfRange { found, expected })
    }

    fn wrong_type(&self, expected: &'static str, found: &Spanned<DeValue<'_>>) -> PolicyError {
        let problem = PolicyProblem::WrongType {
            expected,
            found: found.get_ref().type_str(),
        };
        self.file
            .error(found.span().start, self.text.clone(), problem)
    }
}

fn integer(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}
