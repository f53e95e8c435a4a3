//! `pcm config`: tries a configuration out.

use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use clap::Subcommand;
use lpm_host::error::StartError;
use lpm_host::event::{Event, EventLog, Severity};
use lpm_host::{Isolation, Pcm};

use super::counted;
use crate::config::{Config, EventTarget};
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
their own configuration, such as a policy, and whether the files of [[events]] can be opened. No message is decided, and \
nothing is written.";

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
    let mut problems = problems.take();
    let places = places(&config);
    problems.extend(places.iter().cloned());
    problems.extend(missing_interfaces(&config));
    for problem in &problems {
        plain::tell(problem);
    }
    let started = match checked {
        Ok(started) => started,
        // Its LPMs are among the problems.
        Err(StartError::Lpms { .. }) => return Ok(ExitCode::FAILURE),
        Err(error) => return Err(error.into()),
    };
    if !places.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    let mut text = format!("{}: good: ", Plain(&file.display().to_string()));
    let counts = [
        counted(started.len(), "LPM"),
        counted(config.sbm.interfaces.len(), "[interface] table"),
        counted(config.events.len(), "[[events]] table"),
    ];
    text.push_str(&counts.join(", "));
    text.push('\n');
    for line in started.into_iter().chain(processes(&config)) {
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
    let lines = lpms.map(node::told).collect();
    pcm.shutdown()?;
    Ok(lines)
}

/// What those may that run in processes of their own, a line each.
fn processes(config: &Config) -> impl Iterator<Item = String> {
    let lpms = config.lpms.iter();
    let isolated = lpms.filter(|lpm| lpm.isolation == Isolation::Process);
    isolated.map(|lpm| {
        format!(
            "LPM {}: in a process of its own: {}",
            lpm.name, lpm.confinement
        )
    })
}

/// Where `pcm` could not open what the configuration names. Nothing is made or written there.
fn places(config: &Config) -> Vec<String> {
    let files = config
        .events
        .iter()
        .filter_map(|entry| match &entry.target {
            EventTarget::File { path, .. } => Some((path, "`path` in [[events]]")),
            _ => None,
        });
    let control = config.run.control.iter();
    let control = control.map(|path| (path, "`control` in [run]"));
    let faults = files.chain(control).filter_map(|(path, key)| {
        let why = cannot_be_opened(path)?;
        let path = Plain(&path.display().to_string()).to_string();
        Some(format!(
            "error: {key}: {path} cannot be opened: {why}; make its folder, or give another path"
        ))
    });
    faults.collect()
}

fn cannot_be_opened(path: &Path) -> Option<io::Error> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Some(ErrorKind::IsADirectory.into()),
        Ok(found) if found.is_file() => OpenOptions::new().append(true).open(path).err(),
        // A FIFO or a socket: to open it would wait, or tell somebody.
        Ok(_) => None,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            match fs::metadata(folder.unwrap_or(Path::new("."))) {
                Ok(found) if found.is_dir() => None,
                Ok(_) => Some(ErrorKind::NotADirectory.into()),
                Err(error) => Some(error),
            }
        }
        Err(error) => Some(error),
    }
}

/// Names of interfaces that this machine does not have: a warning, since the file may be meant for
/// another.
#[cfg(target_os = "linux")]
fn missing_interfaces(config: &Config) -> Vec<String> {
    let named = config
        .run
        .interfaces
        .iter()
        .chain(&config.run.udp_interfaces);
    let missing = named.filter(|name| nix::net::if_::if_nametoindex(name.as_str()).is_err());
    let warning = |name: &String| {
        let name = Plain(name);
        format!(
            "warning: `interfaces` in [run]: there is no interface {name} here; `ip link` lists them"
        )
    };
    missing.map(warning).collect()
}

#[cfg(not(target_os = "linux"))]
fn missing_interfaces(_: &Config) -> Vec<String> {
    Vec::new()
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
