//! A user of the directory: from its entries to settings.
//!
//! | attribute of class `aCSPolicy` | key of the policy | measure |
//! |---|---|---|
//! | `aCSTotalNoOfFlows` | `max_flows` | number |
//! | `aCSMaxDurationPerFlow` | `max_flow_duration` | seconds |
//! | `aCSMaxTokenRatePerFlow` | `max_flow_rate` | bytes per second |
//! | `aCSMaxPeakBandwidthPerFlow` | `max_peak_rate` | bytes per second |
//! | `aCSAggregateTokenRatePerUser` | `max_sum_flow_rate` | bytes per second |
//! | `aCSMaxAggregatePeakRatePerUser` | `max_sum_peak_rate` | bytes per second |
//! | `aCSPriority` | `priority` | 1 to 65280 |
//! | `aCSPermissionBits` | 0: `reject = "no_privileges"` | bits |
//!
//! A number below zero is no limit. The class has more attributes (`aCSDirection`,
//! `aCSServiceType`, `aCSTimeOfDay` and others), which are not looked at.

use std::collections::HashMap;
use std::sync::Arc;

use lpm_api::{LpmPolicyError, Name, Priority, Rate};
use lpm_sample::rule::{Outcome, Setting};

use crate::duration::FlowDuration;
use crate::settings::Settings;

/// The attributes that are read.
pub(crate) const ATTRIBUTES: [&str; 9] = [
    "aCSIdentityName",
    "aCSTotalNoOfFlows",
    "aCSMaxDurationPerFlow",
    "aCSMaxTokenRatePerFlow",
    "aCSMaxPeakBandwidthPerFlow",
    "aCSAggregateTokenRatePerUser",
    "aCSMaxAggregatePeakRatePerUser",
    "aCSPriority",
    "aCSPermissionBits",
];

/// What is known of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The directory's entries about the user.
    User(Arc<Profile>),
    /// There is no such user.
    Nobody,
    /// What the directory says of the user cannot be used, or is not all there is: nothing is
    /// granted.
    Unusable,
    /// No server answered, and nothing is remembered that may be used.
    Unreachable,
}

/// A user of the directory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// The user's DN, canonical: under this name flows are counted.
    pub(crate) name: Arc<[u8]>,
    /// What is set for the user alone.
    pub(crate) own: Vec<Entry>,
    /// The groups, in the order of the directory.
    pub(crate) groups: Vec<Group>,
}

/// Profiles are of one user if their names are the same.
impl Eq for Profile {}

/// A group that a user is in.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Group {
    /// The group's common name.
    pub(crate) name: String,
    pub(crate) entries: Vec<Entry>,
}

/// What one `aCSPolicy` sets.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Entry {
    /// The value of the RDN above it: perhaps the name of a subnet, canonical.
    pub(crate) above: Name,
    pub(crate) settings: Settings,
}

/// A value that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{attribute} of {dn} is {value:?}: expected {expected}")]
pub(crate) struct BadValue {
    dn: String,
    attribute: &'static str,
    value: String,
    expected: &'static str,
}

impl Entry {
    pub(crate) fn read(
        dn: &str,
        attributes: &HashMap<String, Vec<String>>,
    ) -> Result<Self, BadValue> {
        let reader = Reader { dn, attributes };
        let mut settings = Settings {
            flows: reader.limit("aCSTotalNoOfFlows", |number| u32::try_from(number).ok())?,
            flow_duration: reader.limit("aCSMaxDurationPerFlow", |number| {
                Some(FlowDuration::from_seconds(u32::try_from(number).ok()?))
            })?,
            flow_rate: reader.rate("aCSMaxTokenRatePerFlow")?,
            peak_rate: reader.rate("aCSMaxPeakBandwidthPerFlow")?,
            sum_flow_rate: reader.rate("aCSAggregateTokenRatePerUser")?,
            sum_peak_rate: reader.rate("aCSMaxAggregatePeakRatePerUser")?,
            outcome: reader.priority()?.map(Outcome::Admit),
        };
        if reader.number("aCSPermissionBits")? == Some(0) {
            settings.outcome = Some(Outcome::Reject(LpmPolicyError::NoPrivileges));
        }
        Ok(Self {
            above: rdn_value(dn, 1),
            settings,
        })
    }
}

struct Reader<'a> {
    dn: &'a str,
    attributes: &'a HashMap<String, Vec<String>>,
}

impl Reader<'_> {
    fn limit<T>(
        &self,
        attribute: &'static str,
        limit: impl Fn(i64) -> Option<T>,
    ) -> Result<Option<Setting<T>>, BadValue> {
        let Some(number) = self.number(attribute)? else {
            return Ok(None);
        };
        if number < 0 {
            return Ok(Some(Setting::Unlimited));
        }
        match limit(number) {
            Some(limit) => Ok(Some(Setting::AtMost(limit))),
            None => Err(self.bad(attribute, number.to_string(), "a smaller number")),
        }
    }

    fn rate(&self, attribute: &'static str) -> Result<Option<Setting<Rate>>, BadValue> {
        self.limit(attribute, |number| {
            #[expect(clippy::cast_precision_loss, reason = "it becomes an f32 anyway")]
            let rate = Rate::from_bytes_per_second(number as f64);
            rate.ok()
        })
    }

    fn priority(&self) -> Result<Option<Priority>, BadValue> {
        let attribute = "aCSPriority";
        let Some(number) = self.number(attribute)? else {
            return Ok(None);
        };
        let priority = u16::try_from(number).ok().and_then(Priority::new);
        priority
            .map(Some)
            .ok_or_else(|| self.bad(attribute, number.to_string(), "a number from 1 to 65280"))
    }

    fn number(&self, attribute: &'static str) -> Result<Option<i64>, BadValue> {
        let value = match values(self.attributes, attribute) {
            [] => return Ok(None),
            [value] => value,
            several => return Err(self.bad(attribute, several.join(", "), "one value")),
        };
        let number = value.trim().parse().map(Some);
        number.map_err(|_| self.bad(attribute, value.clone(), "a number"))
    }

    fn bad(&self, attribute: &'static str, value: String, expected: &'static str) -> BadValue {
        BadValue {
            dn: self.dn.to_owned(),
            attribute,
            value: value.chars().take(100).collect(),
            expected,
        }
    }
}

/// The values of an attribute, whatever the case of its name.
pub(crate) fn values<'a>(
    attributes: &'a HashMap<String, Vec<String>>,
    attribute: &str,
) -> &'a [String] {
    attributes
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(attribute))
        .map_or(&[], |(_, values)| values)
}

/// The value of an RDN of a DN, the first one being number 0, in the canonical form of an ID;
/// empty if there is none. Of a multi-valued RDN it is the first.
pub(crate) fn rdn_value(dn: &str, number: usize) -> Name {
    let Ok(dn) = Name::dn(dn) else {
        return Name::default();
    };
    let text = dn.to_string();
    let mut rdns = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, rdns.last_mut()) {
            (',', _) => rdns.push(String::new()),
            ('\\', Some(rdn)) => rdn.extend(chars.next()),
            ('+', Some(_)) => {
                // What follows belongs to the second value.
                while chars.as_str().chars().next().is_some_and(|c| c != ',') {
                    if chars.next() == Some('\\') {
                        chars.next();
                    }
                }
            }
            (c, Some(rdn)) => rdn.push(c),
            (_, None) => {}
        }
    }
    let value = rdns.get(number).and_then(|rdn| rdn.split_once('='));
    Name::id(value.map_or("", |(_, value)| value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[(&str, &str)]) -> Result<Settings, BadValue> {
        let attributes = values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()]))
            .collect();
        Entry::read("cn=ada,cn=lab,o=office", &attributes).map(|entry| entry.settings)
    }

    #[test]
    fn every_attribute_is_a_setting() {
        let settings = read(&[
            ("aCSTotalNoOfFlows", "3"),
            ("acsmaxdurationperflow", "3600"),
            ("aCSMaxTokenRatePerFlow", "250000"),
            ("aCSMaxPeakBandwidthPerFlow", "-1"),
            ("aCSAggregateTokenRatePerUser", "500000"),
            ("aCSMaxAggregatePeakRatePerUser", "1000000"),
            ("aCSPriority", "300"),
            ("aCSPermissionBits", "1"),
        ]);
        assert_eq!(
            settings.unwrap().to_string(),
            "priority 300, max_flows 3, max_flow_duration 1 h, max_flow_rate 2 Mbit/s, \
             max_peak_rate unlimited, max_sum_flow_rate 4 Mbit/s, max_sum_peak_rate 8 Mbit/s"
        );
        assert_eq!(read(&[]).unwrap(), Settings::default());
        let settings = read(&[("aCSPriority", "300"), ("aCSPermissionBits", "0")]).unwrap();
        assert_eq!(settings.to_string(), "reject: no privileges");
    }

    #[test]
    fn a_value_that_cannot_be_used_is_told() {
        for (attribute, value) in [
            ("aCSTotalNoOfFlows", "many"),
            ("aCSTotalNoOfFlows", "99999999999"),
            ("aCSMaxTokenRatePerFlow", "9223372036854775807"),
            ("aCSPriority", "0"),
            ("aCSPriority", "70000"),
            ("aCSPermissionBits", ""),
        ] {
            let error = read(&[(attribute, value)]).unwrap_err().to_string();
            let start = format!("{attribute} of cn=ada,cn=lab,o=office is {value:?}: expected a ");
            assert!(error.starts_with(&start), "{error}");
        }
    }

    #[test]
    fn the_values_of_rdns_are_unescaped() {
        let value = |dn, number| rdn_value(dn, number).to_string();
        assert_eq!(value("CN=Ada, OU=The Lab,O=Office", 0), "ada");
        assert_eq!(value("CN=Ada, OU=The Lab,O=Office", 1), "the lab");
        assert_eq!(
            value(r"CN=Boole\, George+UID=g\,b,CN=10.1.0.0/16", 0),
            "boole, george"
        );
        assert_eq!(
            value(r"CN=Boole\, George+UID=g\,b,CN=10.1.0.0/16", 1),
            "10.1.0.0/16"
        );
        assert_eq!(value("CN=Ada", 1), "");
        assert_eq!(value("no dn", 0), "");
    }
}
