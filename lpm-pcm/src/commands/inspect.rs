//! `pcm inspect`: what a library is, and whether it is an LPM that this host can load.

mod loaded;
mod report;

use std::error::Error;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::loaded::Record;
use self::report::Report;
use super::library_facts;
use super::lpm_text::{LpmText, LpmTextArgs};
use crate::child::{self, Journal};
use crate::config::parse_duration_argument;

/// Describe a library, and say whether it is an LPM that can be loaded here.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The library
    #[arg(value_name = "LIBRARY")]
    pub library: PathBuf,

    /// How to print it
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: Format,

    /// The LPM's configuration.
    #[command(flatten)]
    pub config: LpmTextArgs,

    /// Do not run any code of the library: read its file only
    #[arg(long)]
    pub no_load: bool,

    /// A public key of minisign: say whether the library is signed by it, or by another one given
    #[arg(long = "key", value_name = "KEY")]
    pub keys: Vec<String>,

    /// For an incompatible library, print the whole comparison of types
    #[arg(long)]
    pub full: bool,

    /// How long reading the file may take; and how long the library may take to load, start and
    /// stop
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration_argument)]
    pub time_limit: Duration,
}

/// What `pcm inspect --help` says.
pub(crate) const LONG_ABOUT: &str = "\
Describe a library, and say whether it is an LPM that can be loaded here.

Reads the library's file, and looks at who may write it and at the signature beside it. Then loads it and initializes the LPM \
with the configuration given, to learn its name, its policy element type and its extensions, and \
deinitializes and unloads it. Each of these is done in a child process with a time limit. With --no-load, no \
code of the library runs.";

pub(crate) const EXIT_STATUS: &str = "\
Exit status:
  0  the library is an LPM that this host can load; also when the LPM does not start with this configuration
  1  it is not, its file cannot be read, or the output cannot be written
  2  wrong usage";

/// How to print what a library is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A table for people
    Table,
    /// A JSON object for programs
    Json,
}

/// What a child is to do.
#[derive(Debug, Serialize, Deserialize)]
pub struct Task {
    config: LpmText,
    time_limit: Duration,
}

/// Runs the command.
///
/// # Errors
/// The file is no library that can be loaded here, or the output cannot be written.
pub fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let mut configs = args.config.read()?;
    let config = configs.pop().unwrap_or_default();
    if !configs.is_empty() {
        return Err("the LPM is initialized once: give one configuration".into());
    }
    let read = library_facts::Task::Whole {
        keys: args.keys.clone(),
    };
    let report = match library_facts::read(&read, &args.library, args.time_limit) {
        Ok(facts) => {
            let mut report = Report::of(&args.library, facts);
            if !args.no_load && report.may_be_lpm() {
                load(&mut report, config, args)?;
            }
            report
        }
        Err(error) => Report::unreadable(&args.library, &error.to_string()),
    };
    let text = match args.format {
        Format::Table => report.table(args.full),
        Format::Json => report.json(args.full)?,
    };
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            return Err(format!("standard output: cannot be written: {error}").into());
        }
        _ => {}
    }
    match report.problem() {
        None => Ok(ExitCode::SUCCESS),
        Some(problem) => Err(problem.into()),
    }
}

/// Has a child process load the library.
fn load(report: &mut Report, config: LpmText, args: &Args) -> Result<(), Box<dyn Error>> {
    let time_limit = args.time_limit;
    let task = Task { config, time_limit };
    // The child sees to the limit itself, as long as it is able to.
    let patience = time_limit.saturating_mul(3) + Duration::from_secs(5);
    let finished = child::run::<Record>("inspect", &task, &args.library, patience)?;
    for record in finished.records {
        report.add(record);
    }
    report.ended(finished.end);
    Ok(())
}

/// The child's part.
pub(crate) fn in_child(task: &Task, library: &Path, journal: &Journal) {
    loaded::look(&task.config, task.time_limit, library, journal);
}
