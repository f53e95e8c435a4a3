//! A section of the policy file, as it is written.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use lpm_api::{LpmPolicyError, Priority, Rate};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use toml::Spanned;

use crate::rule::{Outcome, Setting};

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct File {
    pub(crate) policy_file: Option<Spanned<String>>,
    pub(crate) default: Option<Spanned<Section>>,
    pub(crate) unauthenticated: Option<Spanned<Section>>,
    pub(crate) group: Vec<Spanned<Section>>,
    pub(crate) user: Vec<Spanned<Section>>,
    pub(crate) application: Vec<Spanned<Section>>,
}

/// A section of any kind; which keys a kind may have is looked at by whoever reads it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Section {
    pub(crate) name: Option<Spanned<String>>,
    pub(crate) dn: Option<Spanned<String>>,
    pub(crate) id: Option<Spanned<String>>,
    pub(crate) group: Option<Spanned<String>>,
    #[serde(deserialize_with = "priority")]
    pub(crate) priority: Option<Priority>,
    pub(crate) reject: Option<Reason>,
    #[serde(deserialize_with = "limit")]
    pub(crate) max_flows: Option<Setting<u32>>,
    #[serde(deserialize_with = "limit")]
    pub(crate) max_flow_rate: Option<Setting<Rate>>,
}

/// The reasons that a policy may give.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    UnknownUser,
    NoPrivileges,
    ExpiredUserToken,
    NoResources,
}

impl Section {
    /// What it says of admission, if anything.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        let reason = self.reject.map(|reason| match reason {
            Reason::UnknownUser => LpmPolicyError::UnknownUser,
            Reason::NoPrivileges => LpmPolicyError::NoPrivileges,
            Reason::ExpiredUserToken => LpmPolicyError::ExpiredUserToken,
            Reason::NoResources => LpmPolicyError::NoResources,
        });
        let rejected = reason.map(Outcome::Reject);
        rejected.or_else(|| self.priority.map(Outcome::Admit))
    }
}

fn priority<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Priority>, D::Error> {
    let number = i64::deserialize(deserializer)?;
    let priority = u16::try_from(number).ok().and_then(Priority::new);
    let fault = || de::Error::custom(format!("{number} is not a priority: expected 1 to 65280"));
    priority.map(Some).ok_or_else(fault)
}

/// A number, with or without quotes, or `"unlimited"`.
fn limit<'de, D, T>(deserializer: D) -> Result<Option<Setting<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    deserializer
        .deserialize_any(LimitVisitor(PhantomData))
        .map(Some)
}

struct LimitVisitor<T>(PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for LimitVisitor<T> {
    type Value = Setting<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or a text such as \"2 Mbit/s\" or \"unlimited\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Setting<T>, E> {
        match text {
            "unlimited" => Ok(Setting::Unlimited),
            _ => text.parse().map(Setting::AtMost).map_err(E::custom),
        }
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Setting<T>, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Setting<T>, E> {
        self.visit_str(&number.to_string())
    }
}
