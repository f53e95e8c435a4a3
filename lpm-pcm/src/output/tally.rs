//! How often flows were decided on, by user, application and reason, in place of the decisions
//! themselves.

use std::collections::BTreeMap;
use std::io;

use lpm_host::Outcome;

use super::flow::{FlowRecord, RefusedBy};
use super::outcomes::Outcomes;
use super::printer::Printer;
use super::record::Record;

/// Counts decisions, and prints the counts before the summary. What else there is, it prints as it
/// comes.
pub struct Tallied<P> {
    inner: P,
    users: Counts,
    applications: Counts,
    reasons: Counts,
}

type Counts = BTreeMap<String, Outcomes>;

impl<P: Printer> Tallied<P> {
    /// Prints to `inner`.
    pub fn new(inner: P) -> Self {
        Self {
            inner,
            users: Counts::new(),
            applications: Counts::new(),
            reasons: Counts::new(),
        }
    }

    fn count(counts: &mut Counts, name: String, outcome: Outcome) {
        counts.entry(name).or_default().count(outcome);
    }

    fn print_counts(&mut self) -> io::Result<()> {
        let all = [
            ("user", &self.users),
            ("application", &self.applications),
            ("reason", &self.reasons),
        ];
        for (by, counts) in all {
            for (name, count) in counts {
                self.inner.print(&Record::Tally {
                    by,
                    name: name.as_str().into(),
                    accept: count.accept,
                    reject: count.reject,
                    drop: count.drop,
                    dont_care: count.dont_care,
                })?;
            }
        }
        Ok(())
    }
}

impl<P: Printer> Printer for Tallied<P> {
    fn print(&mut self, record: &Record<'_>) -> io::Result<()> {
        match record {
            Record::Decision { who, flows, .. } => {
                let (mut users, applications) = who.names();
                if users.is_empty() && applications.is_empty() {
                    users.push("(no user)".into());
                }
                for flow in *flows {
                    for user in &users {
                        Self::count(&mut self.users, user.to_string(), flow.outcome);
                    }
                    for application in &applications {
                        Self::count(
                            &mut self.applications,
                            application.to_string(),
                            flow.outcome,
                        );
                    }
                    if let Some(reason) = reason(flow) {
                        Self::count(&mut self.reasons, reason, flow.outcome);
                    }
                }
                Ok(())
            }
            Record::Summary { .. } => {
                self.print_counts()?;
                self.inner.print(record)
            }
            Record::StateRemoved { .. } | Record::SummaryRefresh { .. } => Ok(()),
            _ => self.inner.print(record),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Why a flow is refused, in words that many have in common.
fn reason(flow: &FlowRecord<'_>) -> Option<String> {
    let by = match flow.refused_by? {
        RefusedBy::Policy => flow.by.unwrap_or("policy"),
        RefusedBy::Sbm => "sbm",
    };
    let (code, value) = (flow.error_code, flow.error_value);
    Some(match flow.reason {
        Some(reason) => format!("{by}: {reason} ({code}/{value})"),
        None => format!("{by}: {code}/{value}"),
    })
}
