//! `pcm policy`: what a policy file of the sample LPM says.

mod explain;

use std::error::Error;
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use lpm_identity::policy::{Policy, Section};
use lpm_identity::settings::Settings;

use super::counted;
use crate::output::plain::Plain;

/// Check a policy file of the sample LPM, or explain what it decides.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do with it.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done with a policy file.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check that the file can be put in force, and say what is in it
    Check {
        /// The policy file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Show which section decides on a request, and why
    Explain(explain::Args),
}

/// Runs the command.
///
/// # Errors
/// The policy cannot be read or has a fault, or the output cannot be written.
pub fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let text = match &args.command {
        Command::Check { file } => summary(&Policy::read(file)?, &file.display().to_string()),
        Command::Explain(args) => args.explanation()?,
    };
    // It repeats names in the file, and arguments.
    let lines = text.lines().map(|line| format!("{}\n", Plain(line)));
    let text: String = lines.collect();
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(unwritable(&error).into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn unwritable(error: &io::Error) -> String {
    format!("standard output: cannot be written: {error}")
}

fn summary(policy: &Policy, file: &str) -> String {
    let parts = [
        counted(policy.users().len(), "user"),
        counted(policy.applications().len(), "application"),
        counted(policy.groups().count(), "group"),
        counted(policy.subnets().len(), "subnet"),
    ];
    let standing = |section: &Section, missing: &str| {
        if section.settings == Settings::default() {
            missing.to_owned()
        } else {
            section.settings.to_string()
        }
    };
    format!(
        "{file}: in order: {}\n  not listed: {}\n  unauthenticated: {}\n",
        parts.join(", "),
        standing(policy.default(), "reject: unknown user"),
        standing(policy.unauthenticated(), "reject: no privileges"),
    )
}
