//! All that the checks found.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use super::finding::{Finding, Kind, Severity};
use super::task::{Check, Isolated};
use crate::commands::counted;
use crate::output::plain::{self, Plain};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const CAUTION: Style = AnsiColor::Yellow.on_default();

/// What is said with each report on an LPM in a process of its own.
const NOT_CHECKED: &str = "not checked in a process of its own: what keeps the library mapped, and what a stop leaves behind; both go \
     with the process (leave --isolation away to have it checked)";

/// What became of all checks.
pub(super) struct Report {
    pub(super) library: String,
    pub(super) isolation: Isolated,
    pub(super) checks: Vec<CheckReport>,
}

/// What became of one check.
pub(super) struct CheckReport {
    pub(super) check: Check,
    pub(super) standing: Standing,
    pub(super) findings: Vec<Finding>,
    /// Whether the LPM accepted a flow.
    pub(super) has_accepted: bool,
}

/// Whether a check was run.
#[derive(Clone, Copy)]
pub(super) enum Standing {
    Ran {
        elapsed: Duration,
    },
    /// The LPM did not come through an earlier one.
    Skipped {
        because: Check,
    },
}

impl CheckReport {
    pub(super) fn skipped(check: Check, because: Check) -> Self {
        Self {
            check,
            standing: Standing::Skipped { because },
            findings: Vec::new(),
            has_accepted: false,
        }
    }

    /// Whether a check after this one would only say the same.
    fn makes_pointless(&self, check: Check) -> bool {
        let adds_nothing = |finding: &Finding| match finding.kind {
            // Every cycle would leave a library behind.
            Kind::StaysMapped => check == Check::Cycles,
            _ => finding.is_fatal(),
        };
        self.findings.iter().any(adds_nothing)
    }

    /// How bad the worst finding is.
    pub(super) fn worst(&self) -> Option<Severity> {
        self.findings
            .iter()
            .map(|finding| finding.kind.severity())
            .max()
    }
}

/// A finding, and the checks that it was made in.
struct Merged<'a> {
    finding: &'a Finding,
    checks: Vec<&'static str>,
}

impl Report {
    pub(super) fn new(library: &Path, isolation: Isolated) -> Self {
        Self {
            library: library.display().to_string(),
            isolation,
            checks: Vec::new(),
        }
    }

    /// The check that makes another one pointless, if one does.
    pub(super) fn makes_pointless(&self, check: Check) -> Option<Check> {
        let mut checks = self.checks.iter();
        let earlier = checks.find(|report| report.makes_pointless(check));
        earlier.map(|report| report.check)
    }

    /// Says so where the LPM accepted nothing in all checks, unless something else keeps it from
    /// doing so.
    pub(super) fn complete(mut self) -> Self {
        let failed = |report: &CheckReport| report.worst() == Some(Severity::Error);
        if !self
            .checks
            .iter()
            .any(|report| report.has_accepted || failed(report))
        {
            let what = "no flow was accepted in any check";
            for report in &mut self.checks {
                report
                    .findings
                    .push(Finding::new(Kind::AcceptsNothing, what));
            }
        }
        self
    }

    /// Whether the LPM keeps its contract.
    pub(super) fn passes(&self, deny_warnings: bool) -> bool {
        let worst = self.checks.iter().filter_map(CheckReport::worst).max();
        match worst {
            None => true,
            Some(Severity::Warning) => !deny_warnings,
            Some(Severity::Error) => false,
        }
    }

    /// What was found, the same once, errors first.
    fn merged(&self) -> Vec<Merged<'_>> {
        let mut all: Vec<Merged<'_>> = Vec::new();
        for report in &self.checks {
            for finding in &report.findings {
                let same = |merged: &&mut Merged<'_>| merged.finding.is_like(finding);
                let check = report.check.name();
                match all.iter_mut().find(same) {
                    Some(merged) => {
                        // The one that says more.
                        if finding.what.len() > merged.finding.what.len() {
                            merged.finding = finding;
                        }
                        if merged.checks.last() != Some(&check) {
                            merged.checks.push(check);
                        }
                    }
                    None => all.push(Merged {
                        finding,
                        checks: vec![check],
                    }),
                }
            }
        }
        all.sort_by_key(|merged| std::cmp::Reverse(merged.finding.kind.severity()));
        all
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        // Writing to a `String` does not fail.
        let mut text = String::new();
        for report in &self.checks {
            let (style, word) = match (report.standing, report.worst()) {
                (Standing::Skipped { .. }, _) => (CAUTION, "skipped"),
                (_, None) => (GOOD, "passed"),
                (_, Some(Severity::Warning)) => (CAUTION, "warnings"),
                (_, Some(Severity::Error)) => (BAD, "failed"),
            };
            let how = match report.standing {
                Standing::Ran { elapsed } => format!("{:.1} s", elapsed.as_secs_f64()),
                Standing::Skipped { because } => format!("see {}", because.name()),
            };
            let name = report.check.name();
            let _ = writeln!(text, "{name:10}  {style}{word:8}{style:#}  {how}");
        }
        let merged = self.merged();
        for Merged { finding, checks } in &merged {
            let kind = finding.kind;
            let (style, severity) = match kind.severity() {
                Severity::Error => (BAD, "error"),
                Severity::Warning => (CAUTION, "warning"),
            };
            let (what, name) = (Plain(&finding.what), kind.name());
            let _ = writeln!(text, "\n{style}{severity}{style:#} {name}: {what}");
            let _ = writeln!(text, "  seen in:  {}", checks.join(", "));
            let _ = writeln!(text, "  matters:  {}", finding.why());
            let _ = writeln!(text, "  to mend:  {}", finding.fix());
            if let Some(message) = &finding.message {
                let _ = writeln!(text, "  message:  {message}");
            }
        }
        let count = |severity| {
            let of = |merged: &&Merged<'_>| merged.finding.kind.severity() == severity;
            merged.iter().filter(of).count()
        };
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        if self.isolation == Isolated::Process {
            let _ = writeln!(text, "\n{NOT_CHECKED}");
        }
        let library = Plain(&self.library);
        let _ = match (errors, warnings) {
            (0, 0) => writeln!(text, "\n{library}: nothing found"),
            _ => writeln!(
                text,
                "\n{library}: {}, {}",
                counted(errors, "error"),
                counted(warnings, "warning"),
            ),
        };
        text
    }

    /// One object.
    pub(super) fn json(&self) -> String {
        let checks = self.checks.iter().map(|report| {
            let (outcome, seconds) = match (report.standing, report.worst()) {
                (Standing::Skipped { .. }, _) => ("skipped", None),
                (Standing::Ran { elapsed }, worst) => (
                    match worst {
                        None => "passed",
                        Some(Severity::Warning) => "warnings",
                        Some(Severity::Error) => "failed",
                    },
                    Some(elapsed.as_secs_f64()),
                ),
            };
            json!({"check": report.check, "outcome": outcome, "seconds": seconds})
        });
        let findings = self.merged().into_iter().map(|Merged { finding, checks }| {
            json!({
                "finding": finding.kind,
                "severity": finding.kind.severity(),
                "what": finding.what,
                "why": finding.why(),
                "fix": finding.fix(),
                "checks": checks,
                "message": finding.message,
            })
        });
        let object = json!({
            "library": self.library,
            "isolation": self.isolation,
            "checks": checks.collect::<Value>(),
            "findings": findings.collect::<Value>(),
        });
        plain::json(&object) + "\n"
    }
}
