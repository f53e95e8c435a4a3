//! What this program does as a child of itself: see `child`.

use std::error::Error;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::child::Journal;
use crate::commands::{check, inspect, library_facts};

/// How much address space a child gets, so that a library that takes all there is does no harm.
const MOST_MEMORY: u64 = 16 << 30;

/// Run by this program itself.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Whose task it is
    #[arg(value_name = "COMMAND")]
    pub command: Command,
    /// Where to write what is found
    #[arg(long, value_name = "FILE")]
    pub into: PathBuf,
    /// The library
    #[arg(value_name = "LIBRARY")]
    pub library: PathBuf,
}

/// The commands that have tasks for a child.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Command {
    /// Read the library's file
    Read,
    /// See what the library says about itself
    Inspect,
    /// Run a check
    Check,
}

/// Does what the parent says on standard input.
///
/// # Errors
/// The parent says nothing, or the file it names cannot be written.
pub fn serve(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let mut task = Vec::new();
    io::stdin().read_to_end(&mut task)?;
    let journal = Journal::open(&args.into)?;
    limit_memory();
    let library = args.library.as_path();
    match args.command {
        Command::Read => {
            library_facts::in_child(&serde_json::from_slice(&task)?, library, &journal);
        }
        Command::Inspect => inspect::in_child(&serde_json::from_slice(&task)?, library, &journal),
        Command::Check => check::in_child(&serde_json::from_slice(&task)?, library, &journal),
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(unix)]
fn limit_memory() {
    use rlimit::Resource;

    // Where the limit is lower already, that one holds.
    let _ = rlimit::setrlimit(Resource::AS, MOST_MEMORY, MOST_MEMORY);
    let _ = rlimit::setrlimit(Resource::CORE, 0, 0);
}

#[cfg(not(unix))]
fn limit_memory() {
    let _ = MOST_MEMORY;
}
