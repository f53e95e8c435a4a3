//! `pcm replay`: decides the RSVP messages of captures.

pub(super) mod decide;
pub(super) mod run;
mod source;

use std::error::Error;
use std::io::{self, BufWriter};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anstream::{AutoStream, ColorChoice};
use clap::ValueEnum;
use clap::error::ErrorKind;

use crate::config::{Config, EventTarget, EventsEntry};
use crate::log::{self, LogLevel};
use crate::node::{self, Logs, Sums};
use crate::output::filter::{Filter, Filtered};
use crate::output::json::Json;
use crate::output::printer::Printer;
use crate::output::progress::Progress;
use crate::output::reporter::Reporter;
use crate::output::table::Table;
use crate::output::tally::Tallied;
use crate::signals::Stop;

use self::decide::Wants;
use self::run::Run;

/// Decide the RSVP messages of captures.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Capture files (pcap, pcapng or snoop; also .gz, .zst, .xz, .lz4), read one after the other;
    /// `-` reads standard input
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

    /// Leave out how long things took, so that the outputs of two runs compare equal
    #[arg(long)]
    pub no_timing: bool,

    /// Count decisions by user, application and reason instead of showing them
    #[arg(long)]
    pub summary: bool,

    /// Let debuggers and profilers find the source of the LPMs' code
    #[arg(long)]
    pub debug_lpms: bool,

    /// What is shown.
    #[command(flatten)]
    pub filter: Filter,
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
    if let Err(why) = args.filter.check() {
        clap::Error::raw(ErrorKind::ValueValidation, format!("{why}\n")).exit();
    }
    let mut config = Config::read_or_embedded(args.config.as_deref())?;
    config.debug_lpms = args.debug_lpms;
    check(&args.captures)?;
    let progress = Progress::of(source::total_size(&args.captures));
    let reporter = Arc::new(reporter(args, &config, &progress));
    log::report(args.log, &reporter);
    let stop = Stop::on_signals()?;
    let logs = Arc::new(Logs {
        events: node::events(&config.events, &progress)?,
        reporter: Arc::clone(&reporter),
        sums: Sums::of(&config),
    });

    let run = Run {
        captures: &args.captures,
        config: &config,
        logs: &logs,
        progress: &progress,
        stop: &stop,
        wants: Wants {
            times: args.format == Format::Json && !args.no_timing,
            all_reasons: false,
        },
        teardown_times: !args.no_timing,
        last: None,
        tells_start_errors: args.format == Format::Json,
    };
    let result = run.run();
    // What is not on record was told.
    let are_kept = logs.events.finish();
    match result {
        Ok(ExitCode::SUCCESS) if !are_kept => Ok(ExitCode::FAILURE),
        result => result,
    }
}

fn reporter(args: &Args, config: &Config, progress: &Progress) -> Reporter {
    let is_stderr = |entry: &EventsEntry| matches!(entry.target, EventTarget::Stderr { .. });
    match args.format {
        Format::Json => shown(
            args,
            Json::new(BufWriter::with_capacity(BUFFER, io::stdout())),
        ),
        Format::Table => {
            // A sink for standard error takes the place of the table's warnings there.
            let log = if config.events.iter().any(is_stderr) {
                Box::new(io::sink())
            } else {
                node::stderr(progress)
            };
            let columns = columns();
            let stdout = io::stdout();
            if AutoStream::choice(&stdout) == ColorChoice::Never {
                let out = BufWriter::with_capacity(BUFFER, stdout);
                shown(args, Table::new(out, log).columns(columns).plain())
            } else {
                let out = BufWriter::with_capacity(BUFFER, AutoStream::auto(stdout));
                shown(args, Table::new(out, log).columns(columns))
            }
        }
    }
}

/// Whether captures can be read at all.
///
/// # Errors
/// What is wrong with the first that cannot.
pub(super) fn check(captures: &[PathBuf]) -> Result<(), Box<dyn Error>> {
    Ok(source::check(captures)?)
}

/// Prints what is to be shown.
fn shown(args: &Args, printer: impl Printer + 'static) -> Reporter {
    match (args.summary, args.filter.shows_all()) {
        (false, true) => Reporter::new(printer),
        (false, false) => Reporter::new(Filtered::new(args.filter.clone(), printer)),
        (true, _) => Reporter::new(Filtered::new(args.filter.clone(), Tallied::new(printer))),
    }
}

/// How many columns the table may take: what `COLUMNS` says, or else the terminal; no end where
/// there is none.
pub(super) fn columns() -> usize {
    let said = std::env::var("COLUMNS").ok();
    let said = said.and_then(|columns| columns.parse().ok());
    let of_terminal = || {
        let (width, _) = terminal_size::terminal_size_of(io::stdout())?;
        Some(width.0.into())
    };
    said.or_else(of_terminal)
        .filter(|columns| *columns > 0)
        .unwrap_or(usize::MAX)
}
