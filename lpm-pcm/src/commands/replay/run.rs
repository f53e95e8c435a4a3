//! A run over captures: start the LPMs, decide message after message, stop them.

use std::error::Error;
use std::fmt::Display;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use lpm_host::error::StartError;
use lpm_host::{Startup, Teardown, UnloadOutcome};
use lpm_sbm::TimedPcm;

use super::decide::{Decider, Wants, nanos};
use super::source::{Next, Source, SourceItem};
use crate::config::Config;
use crate::node::{self, Logs, Sums};
use crate::output::plain;
use crate::output::printer::Printer;
use crate::output::progress::Progress;
use crate::output::record::Record;
use crate::output::reporter::Reporter;
use crate::signals::Stop;

/// A run over captures.
pub(in crate::commands) struct Run<'a> {
    pub(in crate::commands) captures: &'a [PathBuf],
    pub(in crate::commands) config: &'a Config,
    pub(in crate::commands) logs: &'a Arc<Logs>,
    pub(in crate::commands) progress: &'a Progress,
    pub(in crate::commands) stop: &'a Stop,
    pub(in crate::commands) wants: Wants,
    /// Whether it is told how long LPMs take to stop.
    pub(in crate::commands) teardown_times: bool,
    /// The number of the last message that is decided, if not all are.
    pub(in crate::commands) last: Option<u64>,
    /// Whether an LPM that does not start is an error; else the events have said so.
    pub(in crate::commands) tells_start_errors: bool,
}

/// A run of which nothing is put on record: its printer makes of it what it likes. With
/// `tells_events` that is also what it tells of an LPM that does not start.
///
/// # Errors
/// As [`Run::run`].
pub(in crate::commands) fn aside(
    captures: &[PathBuf],
    config: &Config,
    stop: &Stop,
    all_reasons: bool,
    last: Option<u64>,
    tells_events: bool,
    printer: impl Printer + 'static,
) -> Result<ExitCode, Box<dyn Error>> {
    let progress = Progress::of(0);
    let logs = Arc::new(Logs {
        events: node::events(&[], &progress)?,
        reporter: Arc::new(Reporter::new(printer)),
        sums: Sums::default(),
    });
    let run = Run {
        captures,
        config,
        logs: &logs,
        progress: &progress,
        stop,
        wants: Wants {
            times: false,
            all_reasons,
        },
        teardown_times: false,
        last,
        tells_start_errors: !tells_events,
    };
    run.run()
}

impl Run<'_> {
    /// Starts the LPMs, decides, stops them.
    ///
    /// # Errors
    /// What kept the run from starting or from its end.
    pub(in crate::commands) fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        let Self {
            config,
            logs,
            progress,
            stop,
            ..
        } = *self;
        let reporter = &logs.reporter;
        let pcm = node::pcm(config, Arc::clone(logs))?;
        let startup = match pcm.become_dsbm() {
            Ok(startup) => startup,
            Err(error) => return self.not_started(&error),
        };
        report_startup(&startup, reporter);

        let timed = match self.wants.times {
            true => TimedPcm::new(&pcm),
            false => TimedPcm::new(&pcm).untimed(),
        };
        let are_kept = || logs.events.are_kept();
        let timed = match config.events.iter().any(|entry| entry.required) {
            true => timed.granting_while(&are_kept),
            false => timed,
        };
        let mut decider = Decider::new(&pcm, self.wants, timed, config, &startup, reporter);
        let captures = self.decide_all(&mut decider);
        progress.finish();

        // The node stops being the Designated SBM, unless the program was told to stop.
        let teardown = if stop.is_asked_for() {
            pcm.shutdown()
        } else {
            pcm.demote()
        };
        report_teardown(&teardown?, self.teardown_times, reporter);
        for interface in decider.unused_interfaces() {
            reporter.flush();
            plain::tell(format_args!(
                "[interface.\"{interface}\"] was not used: no message came in on this interface; \
             numbers are places in the capture, from 1"
            ));
        }
        let summary = decider.summary();
        // The PCM puts its end on record, and nothing comes after the summary.
        drop(pcm);
        reporter.report(&summary);
        reporter.flush();

        match reporter.take_failure() {
            Some(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
            Some(error) => {
                return Err(format!("standard output: cannot be written: {error}").into());
            }
            None => {}
        }
        let captures = match captures? {
            Captures::Whole => ExitCode::SUCCESS,
            Captures::Faulty => ExitCode::FAILURE,
        };
        Ok(stop.exit_code().unwrap_or(captures))
    }

    /// Decides message after message until the captures end, or something says to stop.
    fn decide_all(&self, decider: &mut Decider<'_>) -> Result<Captures, Box<dyn Error>> {
        let Self { progress, stop, .. } = *self;
        let reporter = &self.logs.reporter;
        let tell = |what: &dyn Display| {
            // Keeps the order on a terminal that shows both streams.
            reporter.flush();
            progress.pause(|| plain::tell(what));
        };
        let mut captures = Captures::Whole;
        let mut source = Source::start(self.captures.to_vec(), progress.clone())?;
        let is_last =
            |decider: &Decider<'_>| self.last.is_some_and(|last| decider.messages() >= last);
        while !stop.is_asked_for() && !reporter.has_failed() && !is_last(decider) {
            match source.next(|| reporter.flush()) {
                Next::Item(SourceItem::Message(message)) => decider.decide(message)?,
                Next::Item(SourceItem::Begin(name)) => decider.begin(name),
                Next::Item(SourceItem::Incomplete(incomplete)) => decider.incomplete(incomplete),
                Next::Item(SourceItem::Notice(notice)) => tell(notice),
                Next::Item(SourceItem::End { contents, fault }) => {
                    if let Some(incomplete) = decider.end(contents, fault.as_ref()) {
                        tell(&incomplete);
                    }
                    if let Some(fault) = fault {
                        tell(fault);
                        captures = Captures::Faulty;
                    }
                }
                Next::Nothing => {}
                Next::End => break,
            }
        }
        Ok(captures)
    }

    /// A required LPM failed. In the table the event log has said so, on standard error.
    fn not_started(&self, error: &StartError) -> Result<ExitCode, Box<dyn Error>> {
        self.logs.reporter.flush();
        match error {
            StartError::Lpms { .. } if !self.tells_start_errors => Ok(ExitCode::FAILURE),
            error => Err(error.to_string().into()),
        }
    }
}

/// Whether the captures could be read.
enum Captures {
    Whole,
    Faulty,
}

fn report_startup(startup: &Startup, reporter: &Reporter) {
    for lpm in &startup.lpms {
        reporter.report(&Record::LpmInitialized {
            lpm: &lpm.name,
            handle: lpm.handle.number(),
            pe_type: lpm.pe_type.p_type(),
            library: lpm.source.to_string().into(),
        });
    }
}

fn report_teardown(teardown: &Teardown, times: bool, reporter: &Reporter) {
    for lpm in &teardown.lpms {
        reporter.report(&Record::LpmDeinitialized {
            lpm: &lpm.name,
            handle: lpm.handle.number(),
            reason: lpm.reason.name(),
            status: lpm.status.0,
            status_name: lpm.status.to_string(),
            nanos: times.then(|| nanos(lpm.elapsed)),
        });
    }
    for library in &teardown.libraries {
        let (outcome, reasons) = match &library.outcome {
            UnloadOutcome::Unmapped => ("unmapped", Vec::new()),
            UnloadOutcome::Pinned { reasons } => {
                ("pinned", reasons.iter().map(ToString::to_string).collect())
            }
        };
        reporter.report(&Record::LibraryUnloaded {
            library: library.library.to_string_lossy(),
            outcome,
            reasons,
            nanos: times.then(|| nanos(library.elapsed)),
        });
    }
}
