//! What Local Policy Modules cost.
//!
//! ```text
//! lpm-bench [SECTION]… [--quick] [--format …]  # times them next to what a user would pick instead
//! lpm-bench instructions [--record]            # counts instructions, next to the recorded ones
//! ```

mod instructions;
mod side_by_side;
mod workload;

// The table of requests is not public.
#[allow(dead_code, unused_imports)]
#[path = "../../lpm-host/src/requests/table.rs"]
mod host_table;
#[allow(dead_code, unused_imports)]
#[path = "../../lpm-host/src/requests/shard.rs"]
mod shard;

use std::error::Error;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("lpm-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[OsString]) -> Result<ExitCode, Box<dyn Error>> {
    match arguments {
        [first, rest @ ..] if first == "instructions" => instructions::run(rest),
        [first, rest @ ..] if first == workload::COMMAND => workload::run(rest),
        _ => side_by_side::run(arguments),
    }
}

/// The folder of this package.
fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
