//! Why a request would be decided as it would: which section sets what.

use std::fmt;
use std::time::{Duration, SystemTime};

use lpm_api::{DnError, Interface, LpmPolicyError, Metric, Name, Rate, Scope};
use lpm_sample::listed::Listed;
use lpm_sample::rule::Outcome;

use crate::consider::check_rates;
use crate::ledger::Traffic;
use crate::policy::{Layer, Policy, Rule, WeekTime};
use crate::settings::METRICS;
use crate::subject::Subject;

/// A request as one would put it in words.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The user who asks: a DN if there is a `=` in it, else an ID.
    pub user: Option<&'a str>,
    /// The application that asks, likewise; only where no listed user asks.
    pub application: Option<&'a str>,
    /// Where the request comes in.
    pub interface: Interface,
    /// When.
    pub received: SystemTime,
    /// What it asks for.
    pub traffic: Traffic,
    /// What the subject has already, in this direction and where the limit counts.
    pub held: Holdings,
}

/// What a subject has before it asks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Holdings {
    /// How many other flows.
    pub flows: u32,
    /// Their token rates together, in bytes per second.
    pub rate: f32,
    /// Their peak rates together, in bytes per second.
    pub peak_rate: f32,
    /// How long this flow lasts already.
    pub lasted: Duration,
}

/// The decision on a [`Request`], with the section that each value comes from. Displays as a table.
#[derive(Clone, Debug)]
pub struct Explanation {
    who: String,
    place: String,
    time: String,
    values: Vec<Value>,
    /// The rule that the sections amount to.
    pub rule: Rule,
    /// `Err` is the reason of a rejection.
    pub decision: Result<Outcome, LpmPolicyError>,
}

/// One value of the rule.
#[derive(Clone, Debug)]
struct Value {
    key: &'static str,
    text: String,
    set_by: Option<String>,
    /// The error value of a violation.
    error_value: Option<u16>,
}

impl Policy {
    /// Explains what this policy decides on a request.
    ///
    /// # Errors
    /// The user or the application is no DN, though it has a `=`.
    pub fn explain(&self, request: &Request<'_>) -> Result<Explanation, DnError> {
        let (subject, who) = self.subject_of(request)?;
        let here = self.here(request.interface, request.received);
        let mut layers: Vec<Layer<'_>> = Vec::new();
        self.layers(&subject, &here, |layer| layers.push(layer));

        let place = here.subnet().map(|subnet| &self.subnets()[subnet]);
        let on = place.map_or("", |subnet| subnet.name.as_str());
        let mut values = vec![outcome_value(&layers, on)];
        values.extend(METRICS.map(|(metric, key)| limit_value(&layers, metric, key, on)));
        let rule = self.rule(&subject, &here);
        let zone = self.time_zone();
        Ok(Explanation {
            who,
            place: place.map_or_else(
                || "on no subnet".to_owned(),
                |it| format!("on subnet {}", it.name),
            ),
            time: format!(
                "{} {}",
                WeekTime::of(request.received, zone),
                zone.iana_name().unwrap_or("local time")
            ),
            values,
            rule,
            decision: decide(&rule, request),
        })
    }

    /// Whom a request is decided for, and in words.
    fn subject_of(&self, request: &Request<'_>) -> Result<(Subject, String), DnError> {
        let mut unlisted = None;
        if let Some(user) = request.user {
            let (name, place) = find(user, self.users().names(), Listed::with_dn)?;
            match place {
                Some(place) => return Ok((Subject::User(place), format!("user {name}"))),
                None => unlisted = Some(name),
            }
        }
        if let Some(application) = request.application {
            let (name, place) = find(
                application,
                self.applications().names(),
                Listed::covering_dn,
            )?;
            if let Some(place) = place {
                return Ok((Subject::Application(place), format!("application {name}")));
            }
            unlisted.get_or_insert(name);
        }
        Ok(match unlisted {
            Some(name) => {
                let who = format!("{name}, who is not listed");
                (Subject::Unlisted(Box::new(name)), who)
            }
            None => (Subject::Unauthenticated, "unauthenticated".to_owned()),
        })
    }
}

fn find(
    text: &str,
    listed: &Listed,
    with_dn: impl Fn(&Listed, &Name) -> Option<usize>,
) -> Result<(Name, Option<usize>), DnError> {
    Ok(if text.contains('=') {
        let name = Name::dn(text)?;
        let place = with_dn(listed, &name);
        (name, place)
    } else {
        let name = Name::id(text);
        let place = listed.with_id(&name);
        (name, place)
    })
}

fn outcome_value(layers: &[Layer<'_>], subnet: &str) -> Value {
    let set = layers
        .iter()
        .find_map(|layer| Some((layer, layer.settings().outcome?)));
    Value {
        key: "priority",
        text: match set {
            Some((_, Outcome::Admit(priority))) => priority.value().to_string(),
            Some((_, Outcome::Reject(reason))) => format!("reject: {reason}"),
            None => "none".to_owned(),
        },
        set_by: set.map(|(layer, _)| layer.describe(subnet)),
        error_value: match set {
            Some((_, Outcome::Reject(reason))) => Some(reason.value().get()),
            _ => None,
        },
    }
}

fn limit_value(layers: &[Layer<'_>], metric: Metric, key: &'static str, subnet: &str) -> Value {
    let set = layers
        .iter()
        .find_map(|layer| Some((layer, layer.settings().limit(metric)?)));
    Value {
        key,
        text: set
            .as_ref()
            .map_or_else(|| "unlimited".to_owned(), |(_, text)| text.clone()),
        set_by: set.as_ref().map(|(layer, _)| layer.describe(subnet)),
        error_value: set
            .filter(|(_, text)| text != "unlimited")
            .map(|(layer, _)| LpmPolicyError::Limit(metric, layer.scope).value().get()),
    }
}

fn decide(rule: &Rule, request: &Request<'_>) -> Result<Outcome, LpmPolicyError> {
    if let Outcome::Reject(reason) = rule.outcome {
        return Err(reason);
    }
    let (limits, held, traffic) = (&rule.limits, &request.held, request.traffic);
    check_rates(traffic, limits)?;
    let over = |metric, scope: Option<Scope>| match scope {
        Some(scope) => Err(LpmPolicyError::Limit(metric, scope)),
        None => Ok(()),
    };
    let duration = limits.flow_duration.map(Duration::from);
    over(Metric::FlowDuration, duration.exceeded_by(held.lasted))?;
    let flows = held.flows.saturating_add(1);
    over(Metric::FlowCount, limits.flows.exceeded_by(flows))?;
    let sum = limits.sum_flow_rate.map(Rate::bytes_per_second);
    over(
        Metric::SumFlowRate,
        sum.exceeded_by(held.rate + traffic.rate),
    )?;
    let sum = limits.sum_peak_rate.map(Rate::bytes_per_second);
    over(
        Metric::SumPeakRate,
        sum.exceeded_by(held.peak_rate + traffic.peak_rate),
    )?;
    Ok(rule.outcome)
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, {}, {}", self.who, self.place, self.time)?;
        let width = |text: fn(&Value) -> &str| {
            let widths = self.values.iter().map(|value| text(value).chars().count());
            widths.max().unwrap_or(0)
        };
        let (keys, texts) = (width(|it| it.key), width(|it| &it.text));
        for value in &self.values {
            let by = value.set_by.as_deref().unwrap_or("not set");
            write!(f, "  {:keys$}  {:texts$}  {by}", value.key, value.text)?;
            if let Some(error) = value.error_value {
                write!(f, ", error value {error}")?;
            }
            writeln!(f)?;
        }
        match self.decision {
            Ok(Outcome::Admit(priority)) => {
                write!(f, "admitted with priority {}", priority.value())
            }
            Ok(Outcome::Reject(reason)) | Err(reason) => {
                write!(f, "rejected: {reason} (code 2, value {})", reason.value())
            }
        }
    }
}
