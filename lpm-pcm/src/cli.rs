//! The command line.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::commands::{
    check, config, control, diff, explain, generate, inspect, lab, new, policy, replay, run,
};
use crate::in_child;
use crate::output::plain;

/// Runs the program.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    cli.color.write_global();
    let result = match &cli.command {
        Command::Replay(args) => replay::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Diff(args) => diff::run(args),
        Command::Run(args) => run::run(args),
        Command::Status(args) => control::status(args),
        Command::Sessions(args) => control::sessions(args),
        Command::Metrics(args) => control::metrics(args),
        Command::Reload(args) => control::reload(args),
        Command::Lab(args) => lab::run(args),
        Command::Demote(args) => control::demote(args),
        Command::BecomeDsbm(args) => control::become_dsbm(args),
        Command::Policy(args) => policy::run(args),
        Command::Config(args) => config::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Check(args) => check::run(args),
        Command::New(args) => new::run(args),
        Command::Completions(args) => generate::completions(args, Cli::command()),
        Command::Man(args) => generate::man(args, Cli::command()),
        Command::InChild(args) => in_child::serve(args),
        // Where a PCM asks for it `main` never comes here.
        Command::LpmRunner => {
            let what =
                "lpm-runner: this is for a PCM to start, when an LPM has `isolation = \"process\"`";
            Err(what.into())
        }
    };
    result.unwrap_or_else(|error| {
        plain::tell(error);
        ExitCode::FAILURE
    })
}

/// A Policy Control Module (PCM): asks Local Policy Modules (LPMs) about RSVP messages.
#[derive(Debug, Parser)]
#[command(name = "pcm", version, propagate_version = true, after_help = EXIT_STATUS)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// Colours.
    #[command(flatten)]
    pub color: colorchoice_clap::Color,
}

/// What `pcm` can do.
#[derive(Debug, Subcommand)]
#[non_exhaustive]
pub enum Command {
    /// Decide the RSVP messages of captures
    #[command(long_about = replay::LONG_ABOUT, after_help = EXIT_STATUS)]
    Replay(replay::Args),
    /// Explain why one message of a capture is decided as it is
    Explain(explain::Args),
    /// Show which decisions another configuration would change
    Diff(diff::Args),
    /// Run an RSVP node: decide, reserve and forward
    #[command(long_about = run::LONG_ABOUT, after_help = run::EXIT_STATUS)]
    Run(run::Args),
    /// Show the status of a running `pcm run`
    Status(control::Args),
    /// List the sessions of a running `pcm run`
    Sessions(control::SessionsArgs),
    /// Print the metrics of a running `pcm run`, in Prometheus's text format
    Metrics(control::Args),
    /// Make a running `pcm run` read its configuration again
    Reload(control::Args),
    /// Make a running `pcm run` stop its LPMs, tear down its flows and release what is reserved
    Demote(control::Args),
    /// Make a `pcm run` that was demoted start its LPMs again
    BecomeDsbm(control::Args),
    /// Show in network namespaces what a reservation does
    #[command(long_about = lab::LONG_ABOUT)]
    Lab(lab::Args),
    /// Check a configuration before it is put to work
    Config(config::Args),
    /// Check a policy file of the sample LPM, or explain what it decides
    Policy(policy::Args),
    /// Describe a library, and say whether it is an LPM that can be loaded here
    #[command(long_about = inspect::LONG_ABOUT, after_help = inspect::EXIT_STATUS)]
    Inspect(inspect::Args),
    /// Test whether an LPM does what the API asks of it, and report what it does wrong
    #[command(long_about = check::LONG_ABOUT, after_help = check::EXIT_STATUS)]
    Check(check::Args),
    /// Make a crate with a first LPM
    #[command(long_about = new::LONG_ABOUT, after_help = new::EXIT_STATUS)]
    New(new::Args),
    /// Print completions for a shell
    Completions(generate::CompletionsArgs),
    /// Print the manual page, or write those of all commands
    Man(generate::ManArgs),
    /// Run by this program itself
    #[command(hide = true)]
    InChild(in_child::Args),
    /// Run by a PCM, for an LPM in a process of its own
    #[command(hide = true)]
    LpmRunner,
}

const EXIT_STATUS: &str = "\
Exit status:
  0    all went well; also when the reader of the output went away (pcm … | head)
  1    the configuration is faulty, a file for events cannot be opened, a required LPM does not load
       or initialize, a capture cannot be read to its end, or the output cannot be written
  2    wrong usage
  130  stopped by Ctrl-C (SIGINT); the LPMs were deinitialized and unloaded all the same
  143  stopped by SIGTERM, likewise";
