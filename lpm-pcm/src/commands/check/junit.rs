//! The report in JUnit's XML, a test case a check.

use std::error::Error;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::finding::Severity;
use super::report::{CheckReport, Report, Standing};
use crate::output::plain::Plain;

/// The whole file.
///
/// # Errors
/// What the writer says.
pub(super) fn xml(report: &Report) -> Result<String, Box<dyn Error>> {
    let mut suite = TestSuite::new(Plain(&report.library).to_string());
    suite.add_test_cases(report.checks.iter().map(case));
    let mut all = quick_junit::Report::new("pcm check");
    all.add_test_suite(suite);
    Ok(all.to_string()?)
}

fn case(report: &CheckReport) -> TestCase {
    let lines = |severity: Severity| {
        let of = report
            .findings
            .iter()
            .filter(move |finding| finding.kind.severity() == severity);
        of.map(|finding| {
            let (kind, what) = (finding.kind, Plain(&finding.what));
            format!(
                "{}: {what}\n  {}\n  {}",
                kind.name(),
                finding.why(),
                finding.fix()
            )
        })
        .collect::<Vec<_>>()
    };
    let (errors, warnings) = (lines(Severity::Error), lines(Severity::Warning));
    let status = match (report.standing, errors.first()) {
        (Standing::Skipped { because }, _) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(format!("see {}", because.name()));
            status
        }
        (Standing::Ran { .. }, None) => TestCaseStatus::success(),
        (Standing::Ran { .. }, Some(first)) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status
                .set_message(first.lines().next().unwrap_or_default())
                .set_description(errors.join("\n"));
            status
        }
    };
    let mut case = TestCase::new(report.check.name(), status);
    case.set_classname("pcm check");
    if let Standing::Ran { elapsed } = report.standing {
        case.set_time(elapsed);
    }
    if !warnings.is_empty() {
        case.set_system_out(warnings.join("\n"));
    }
    case
}
