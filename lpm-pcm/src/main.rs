//! `pcm`, a Policy Control Module ready to run. See `pcm --help`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    // As which this program is a child of its own that runs an LPM.
    lpm_host::isolated::run_if_asked();
    lpm_pcm::cli::run()
}
