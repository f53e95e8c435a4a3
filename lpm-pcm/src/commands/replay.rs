//! `pcm replay`: decides the RSVP messages of captures.

mod decide;
mod source;

use std::error::Error;
use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anstream::{AutoStream, ColorChoice};
use clap::ValueEnum;
use lpm_host::error::StartError;
use lpm_host::{Startup, Teardown, UnloadOutcome};
use lpm_sbm::TimedPcm;

use crate::config::{Config, EventTarget, EventsEntry};
use crate::log::{self, LogLevel};
use crate::node::{self, Logs};
use crate::output::json::Json;
use crate::output::progress::Progress;
use crate::output::record::Record;
use crate::output::reporter::Reporter;
use crate::output::table::Table;
use crate::signals::Stop;

use decide::Decider;
use source::{Next, Source, SourceItem};

/// Decide the RSVP messages of captures.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Capture files (pcap, pcapng or snoop; also .gz, .zst, .xz, .lz4), read one after the other; `-`
    /// reads standard input
    #[arg(required = true, value_name = "CAPTURE")]
    pub captures: Vec<PathBuf>,

    /// Which LPMs to run (a pcm.toml); default: the sample LPM with its demo policy
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// How to print what is decided
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: Format,

    /// How much of what LPMs log is shown, by level
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    pub log: LogLevel,
}

/// What `pcm replay --help` says.
pub(crate) const LONG_ABOUT: &str = "\
Decide the RSVP messages of captures.

Loads and initializes the LPMs, asks them about each RSVP message in the captures (IP protocol 46, \
and UDP to port 1698 or 1699), then deinitializes the LPMs as when the node stops being the \
Designated SBM, unloads their libraries, and checks that they are gone.

A malformed message is reported and does not end the run.";

/// How much output is collected before it is written, in bytes.
const BUFFER: usize = 64 << 10;

/// How to print what is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table for people: a row per flow; warnings and errors on standard error
    Table,
    /// One JSON object a line, for programs
    Json,
}

/// Runs the command.
///
/// # Errors
/// What kept the run from starting or from its end, one line per fault.
pub fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let config = match &args.config {
        Some(path) => Config::read(path)?,
        None => Config::embedded(),
    };
    source::check(&args.captures)?;
    let progress = Progress::of(source::total_size(&args.captures));
    let reporter = Arc::new(reporter(args.format, &config, &progress));
    log::report(args.log, &reporter);
    let stop = Stop::on_signals()?;
    let logs = Arc::new(Logs {
        events: node::events(&config.events, &progress)?,
        reporter: Arc::clone(&reporter),
        sums: node::sums(&config),
    });

    let result = replay(args, &config, &logs, &progress, &stop);
    logs.events.finish();
    result
}

/// Starts the LPMs, decides, stops them.
fn replay(
    args: &Args,
    config: &Config,
    logs: &Arc<Logs>,
    progress: &Progress,
    stop: &Stop,
) -> Result<ExitCode, Box<dyn Error>> {
    let reporter = &logs.reporter;
    let pcm = node::pcm(config, Arc::clone(logs))?;
    let startup = match pcm.become_dsbm() {
        Ok(startup) => startup,
        Err(error) => return not_started(&error, args.format, reporter),
    };
    report_startup(&startup, reporter);

    let timed = match args.format {
        Format::Json => TimedPcm::new(&pcm),
        Format::Table => TimedPcm::new(&pcm).untimed(),
    };
    let are_kept = || logs.events.are_kept();
    let timed = match config.events.iter().any(|entry| entry.required) {
        true => timed.granting_while(&are_kept),
        false => timed,
    };
    let mut decider = Decider::new(timed, config, &startup, reporter);
    let captures = decide_all(args, &mut decider, reporter, progress, stop);
    progress.finish();

    // The node stops being the Designated SBM, unless the program was told to stop.
    let teardown = if stop.is_asked_for() {
        pcm.shutdown()
    } else {
        pcm.demote()
    };
    report_teardown(&teardown?, reporter);
    for interface in decider.unused_interfaces() {
        reporter.flush();
        anstream::eprintln!(
            "pcm: [interface.\"{interface}\"] was not used: no message came in on this interface; \
             numbers are places in the capture, from 1"
        );
    }
    let summary = decider.summary();
    // The PCM puts its end on record, and nothing comes after the summary.
    drop(pcm);
    reporter.report(&summary);
    reporter.flush();

    match reporter.take_failure() {
        Some(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
        Some(error) => return Err(format!("standard output: cannot be written: {error}").into()),
        None => {}
    }
    let captures = match captures? {
        Captures::Whole => ExitCode::SUCCESS,
        Captures::Faulty => ExitCode::FAILURE,
    };
    Ok(stop.exit_code().unwrap_or(captures))
}

/// Whether the captures could be read.
enum Captures {
    Whole,
    Faulty,
}

/// Decides message after message until the captures end, or something says to stop.
fn decide_all(
    args: &Args,
    decider: &mut Decider<'_>,
    reporter: &Reporter,
    progress: &Progress,
    stop: &Stop,
) -> Result<Captures, Box<dyn Error>> {
    let tell = |what: &dyn Display| {
        // Keeps the order on a terminal that shows both streams.
        reporter.flush();
        progress.pause(|| anstream::eprintln!("pcm: {what}"));
    };
    let mut captures = Captures::Whole;
    let mut source = Source::start(args.captures.clone(), progress.clone())?;
    while !stop.is_asked_for() && !reporter.has_failed() {
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

fn reporter(format: Format, config: &Config, progress: &Progress) -> Reporter {
    let is_stderr = |entry: &EventsEntry| matches!(entry.target, EventTarget::Stderr { .. });
    match format {
        Format::Json => Reporter::new(Json::new(BufWriter::with_capacity(BUFFER, io::stdout()))),
        Format::Table => {
            // A sink for standard error takes the place of the table's warnings there.
            let log = if config.events.iter().any(is_stderr) {
                Box::new(io::sink())
            } else {
                node::stderr(progress)
            };
            let stdout = io::stdout();
            if AutoStream::choice(&stdout) == ColorChoice::Never {
                let out = BufWriter::with_capacity(BUFFER, stdout);
                Reporter::new(Table::new(out, log).plain())
            } else {
                let out = BufWriter::with_capacity(BUFFER, AutoStream::auto(stdout));
                Reporter::new(Table::new(out, log))
            }
        }
    }
}

/// A required LPM failed. In the table the event log has said so, on standard error.
fn not_started(
    error: &StartError,
    format: Format,
    reporter: &Reporter,
) -> Result<ExitCode, Box<dyn Error>> {
    reporter.flush();
    match (error, format) {
        (StartError::Lpms { .. }, Format::Table) => Ok(ExitCode::FAILURE),
        (error, _) => Err(error.to_string().into()),
    }
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

fn report_teardown(teardown: &Teardown, reporter: &Reporter) {
    for lpm in &teardown.lpms {
        reporter.report(&Record::LpmDeinitialized {
            lpm: &lpm.name,
            handle: lpm.handle.number(),
            reason: lpm.reason.name(),
            status: lpm.status.0,
            nanos: decide::nanos(lpm.elapsed),
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
            nanos: decide::nanos(library.elapsed),
        });
    }
}
