//! `pcm check`: runs an LPM through its contract.

mod checked;
mod cycles;
mod deadlines;
mod finding;
mod instances;
mod junit;
mod lifecycle;
mod measure;
mod messages;
mod recorder;
mod report;
mod state;
mod task;
mod threads;
mod watch;

use std::error::Error;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use self::checked::CheckedLpm;
use self::finding::{Finding, by_cause};
use self::report::{CheckReport, Report, Standing};
use self::task::Record;
use super::library_facts;
use super::lpm_text::{LpmText, LpmTextArgs};
use crate::child::{self, End, Journal};
use crate::config::parse_duration_argument;

pub use self::task::{Check, Isolated, Task};

/// Test whether an LPM does what the API asks of it, and report what it does wrong.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The LPM's library
    #[arg(value_name = "LIBRARY")]
    pub library: PathBuf,

    /// The LPM's configuration; several give each initialization of the check `instances` its own.
    #[command(flatten)]
    pub config: LpmTextArgs,

    /// Run this check only; may be given several times
    #[arg(long, value_name = "CHECK")]
    pub only: Vec<Check>,

    /// How long a call into the LPM may take; to start and stop, six times as long
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_duration_argument)]
    pub time_limit: Duration,

    /// How often the check `cycles` starts and stops the LPM
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pub cycles: u32,

    /// Run the LPM in a process of its own, as with `isolation` in pcm.toml: what would keep its
    /// library mapped or stay behind is gone with the process, and is not looked for
    #[arg(long, value_name = "WHERE", default_value = "none")]
    pub isolation: Isolated,

    /// Let warnings count as errors
    #[arg(long)]
    pub deny_warnings: bool,

    /// How to print what is found
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,

    /// Also write a report in JUnit's XML, for CI
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
}

/// What `pcm check --help` says.
pub(crate) const LONG_ABOUT: &str = "\
Test whether an LPM does what the API asks of it, and report what it does wrong.

Each check runs in a child process, so that an LPM that hangs or crashes harms nothing. Every finding says \
what was seen, why it matters, and how to mend it.

The LPM runs with the configuration given; it must start with it.";

pub(crate) const EXIT_STATUS: &str = "\
Exit status:
  0  nothing was found, or warnings only
  1  errors were found (with --deny-warnings: or warnings), the library is not an LPM, or a file cannot be written
  2  wrong usage";

/// How to print what is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// A JSON object for programs
    Json,
}

/// How long reading the library's file may always take: it is none of the LPM's calls.
const SHORTEST_READING: Duration = Duration::from_secs(30);

/// Runs the command.
///
/// # Errors
/// The file is no library that can be loaded here, or a report cannot be written.
pub fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let patience = args.time_limit.max(SHORTEST_READING);
    library_facts::read(&library_facts::Task::Headers, &args.library, patience)?;
    let mut configs = args.config.read()?;
    if configs.is_empty() {
        configs.push(LpmText::default());
    }
    let report = check(args, &configs)?;
    if let Some(path) = &args.junit {
        std::fs::write(path, junit::xml(&report)?)
            .map_err(|error| format!("{}: cannot be written: {error}", path.display()))?;
    }
    let text = match args.format {
        Format::Text => report.text(),
        Format::Json => report.json(),
    };
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            return Err(format!("standard output: cannot be written: {error}").into());
        }
        _ => {}
    }
    Ok(match report.passes(args.deny_warnings) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Runs the checks, one child each.
fn check(args: &Args, configs: &[LpmText]) -> Result<Report, Box<dyn Error>> {
    let mut report = Report::new(&args.library, args.isolation);
    let wanted = |check: &Check| args.only.is_empty() || args.only.contains(check);
    for check in Check::ALL.into_iter().filter(wanted) {
        let done = match report.makes_pointless(check) {
            Some(earlier) => CheckReport::skipped(check, earlier),
            None => run_in_child(args, check, configs)?,
        };
        report.checks.push(done);
    }
    Ok(report.complete())
}

fn run_in_child(
    args: &Args,
    check: Check,
    configs: &[LpmText],
) -> Result<CheckReport, Box<dyn Error>> {
    let task = Task {
        check,
        configs: configs.to_vec(),
        time_limit: args.time_limit,
        cycles: args.cycles,
        isolation: args.isolation,
    };
    // The child sees to the limits itself, as long as it is able to.
    let patience = args.time_limit.saturating_mul(30) + Duration::from_secs(120);
    let begun = std::time::Instant::now();
    let finished = child::run::<Record>("check", &task, &args.library, patience)?;
    let (mut findings, mut gave_up, mut is_done) = (Vec::new(), false, false);
    let mut has_accepted = false;
    for record in finished.records {
        match record {
            Record::Finding(finding) => findings.push(finding),
            Record::Accepted => has_accepted = true,
            Record::GaveUp => gave_up = true,
            Record::Done => is_done = true,
        }
    }
    match finished.end {
        // It has said why.
        _ if gave_up => {}
        End::Well if is_done => {
            findings.extend(Finding::prints("standard error", &finished.complained));
        }
        End::Well => findings.push(Finding::ends_process("exited with status 0", "")),
        End::Early(how) => findings.push(Finding::ends_process(&how, &finished.complained)),
        End::TookTooLong(limit) => findings.push(Finding::hangs(format!(
            "the check `{}` did not end within {limit:?}",
            check.name()
        ))),
    }
    findings.extend(Finding::prints("standard output", &finished.printed));
    Ok(CheckReport {
        check,
        standing: Standing::Ran {
            elapsed: begun.elapsed(),
        },
        findings: by_cause(findings),
        has_accepted,
    })
}

/// The child's part.
pub(crate) fn in_child(task: &Task, library: &Path, journal: &Journal) {
    let checked = CheckedLpm::new(task, library, journal);
    // What stops a check early is among the findings.
    let _ = match task.check {
        Check::Lifecycle => lifecycle::run(&checked),
        Check::Instances => instances::run(&checked),
        Check::Messages => messages::run(&checked),
        Check::State => state::run(&checked),
        Check::Deadlines => deadlines::run(&checked),
        Check::Threads => threads::run(&checked),
        Check::Cycles => cycles::run(&checked, task.cycles),
    };
    checked.finish();
}
