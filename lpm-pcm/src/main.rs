//! `pcm`, a Policy Control Module ready to run. See `pcm --help`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    lpm_pcm::cli::run()
}
