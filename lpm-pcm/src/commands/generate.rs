//! Shell completions and manual pages, generated from the command line itself, so that they are
//! never old.

use std::error::Error;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Command;
use clap_complete::Shell;

/// Print completions for a shell.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Print the manual page, or write those of all commands.
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// Write a page for each command into this folder, as `pcm.1`, `pcm-replay.1` and so on,
    /// instead of printing the first
    #[arg(long, value_name = "FOLDER")]
    pub into: Option<PathBuf>,
}

/// Prints completions of a command line.
///
/// # Errors
/// They cannot be written.
pub fn completions(
    args: &CompletionsArgs,
    mut command: Command,
) -> Result<ExitCode, Box<dyn Error>> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command, "pcm", &mut text);
    print(&text)
}

/// Prints or writes manual pages of a command line.
///
/// # Errors
/// They cannot be written.
pub fn man(args: &ManArgs, command: Command) -> Result<ExitCode, Box<dyn Error>> {
    match &args.into {
        None => {
            // As the pages that are written are made.
            let mut command = command.disable_help_subcommand(true);
            command.build();
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            print(&page)
        }
        Some(folder) => {
            fs::create_dir_all(folder)
                .and_then(|()| clap_mangen::generate_to(command, folder))
                .map_err(|error| format!("{}: cannot be written: {error}", folder.display()))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn print(text: &[u8]) -> Result<ExitCode, Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(format!("standard output: cannot be written: {error}").into())
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}
