//! Why an LPM cannot run in a process of its own.

use std::io;
use std::path::PathBuf;

/// Why an LPM does not start in a process of its own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IsolationError {
    /// The program has not said what it runs.
    #[error("the program that runs LPMs has initialized one, and has not said what it is")]
    Undescribed,
    /// It is not known which program runs LPMs.
    #[error(
        "no program is known that runs LPMs: call `lpm_host::isolated::run_if_asked` first in `main`, or name one with \
         `PcmBuilder::runner`"
    )]
    NoRunner,
    /// That program is itself one that runs an LPM, and did not notice.
    #[error(
        "this program was started to run an LPM, and did not do so: call `lpm_host::isolated::run_if_asked` first in \
         `main`"
    )]
    IsRunner,
    /// There is no memory to share, no socket, no thread, or no file of this program.
    #[error("cannot make what an LPM in a process of its own takes: {0}")]
    System(#[source] io::Error),
    /// The program cannot be started.
    #[error("{}: cannot be started to run the LPM: {source}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The program does not run LPMs.
    #[error("{} does not run LPMs: it did not say so before its end ({end})", program.display())]
    NotARunner {
        /// The program.
        program: PathBuf,
        /// How it ended.
        end: String,
    },
    /// The program is of another version.
    #[error(
        "{} runs LPMs for lpm-host {found} (protocol {found_protocol}), and this program has {expected} (protocol \
         {expected_protocol}); install the same version of both", program.display()
    )]
    Version {
        /// The program.
        program: PathBuf,
        /// The version of this crate in this program.
        expected: String,
        /// Its protocol.
        expected_protocol: u32,
        /// The version in the runner.
        found: String,
        /// Its protocol.
        found_protocol: u32,
    },
    /// The process ended before the LPM was initialized.
    #[error("its process ended while it was loaded and initialized: {how}")]
    Ended {
        /// How.
        how: String,
    },
}
