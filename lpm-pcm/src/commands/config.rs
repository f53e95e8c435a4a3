//! `pcm config`: tries a configuration out.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use clap::Subcommand;
use lpm_host::Pcm;
use lpm_host::error::StartError;
use lpm_host::event::{Event, EventLog, Severity};

use super::counted;
use crate::config::Config;
use crate::node;
use crate::output::plain::{self, Plain};
use crate::secrets;

/// Check a configuration before it is put to work.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do with it.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done with a configuration.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read it, load and initialize its LPMs, and stop them again
    #[command(long_about = LONG_ABOUT, after_help = EXIT_STATUS)]
    Check {
        /// The configuration, a pcm.toml
        #[arg(value_name = "FILE")]
        file: PathBuf,

        /// Let warnings count as errors
        #[arg(long)]
        deny_warnings: bool,
    },
}

const LONG_ABOUT: &str = "\
Read a configuration, load and initialize its LPMs, and stop them again.

So it is known before a restart whether the configuration is right, the libraries fit, and the LPMs take \
their own configuration, such as a policy. No message is decided, and nothing is written to the places of [[events]].";

const EXIT_STATUS: &str = "\
Exit status:
  0  `pcm` would start with it
  1  it would not; with --deny-warnings: or there are warnings, as of an optional LPM that does not start
  2  wrong usage";

/// Runs the command.
///
/// # Errors
/// The configuration is faulty, or the output cannot be written.
pub fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let Command::Check {
        file,
        deny_warnings,
    } = &args.command;
    let config = Config::read(file)?;
    let problems = Problems::default();
    let pcm = node::pcm(&config, problems.clone())?;
    let checked = check(&pcm);
    drop(pcm);
    let problems = problems.take();
    for problem in &problems {
        plain::tell(problem);
    }
    let started = match checked {
        Ok(started) => started,
        // Its LPMs are among the problems.
        Err(StartError::Lpms { .. }) => return Ok(ExitCode::FAILURE),
        Err(error) => return Err(error.into()),
    };
    let mut text = format!("{}: good: ", Plain(&file.display().to_string()));
    let counts = [
        counted(started.len(), "LPM"),
        counted(config.sbm.interfaces.len(), "[interface] table"),
        counted(config.events.len(), "[[events]] table"),
    ];
    text.push_str(&counts.join(", "));
    text.push('\n');
    for line in started {
        // Writing to a `String` does not fail.
        let _ = writeln!(text, "  {}", Plain(&line));
    }
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            return Err(format!("standard output: cannot be written: {error}").into());
        }
        _ => {}
    }
    Ok(match problems.is_empty() || !deny_warnings {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Starts the LPMs and stops them; a line for each that started.
fn check(pcm: &Pcm) -> Result<Vec<String>, StartError> {
    let startup = pcm.become_dsbm()?;
    let lpms = startup.lpms.iter();
    let lines = lpms.map(|lpm| format!("LPM {}: {}, {}", lpm.name, lpm.pe_type, lpm.source));
    let lines = lines.collect();
    pcm.shutdown()?;
    Ok(lines)
}

/// What goes wrong meanwhile, in words.
#[derive(Clone, Default)]
struct Problems(Arc<Mutex<Vec<String>>>);

impl Problems {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl EventLog for Problems {
    fn record(&self, event: &Event) {
        if event.severity < Severity::Warning {
            return;
        }
        let detail = secrets::hide(&event.detail);
        let (name, detail) = (event.id.name(), Plain(&detail));
        let line = match &event.lpm {
            Some(lpm) => format!("{} {name}: LPM {}: {detail}", event.severity, Plain(lpm)),
            None => format!("{} {name}: {detail}", event.severity),
        };
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(line);
    }
}
