//! Builds and runs the program in `side-by-side/`, which has all the peers.

use std::error::Error;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::home;

/// Hands the arguments over.
pub(crate) fn run(arguments: &[OsString]) -> Result<ExitCode, Box<dyn Error>> {
    let program = std::env::current_exe()?;
    let target = program
        .parent()
        .and_then(|profile| profile.parent())
        .ok_or_else(|| format!("{}: not in a target folder", program.display()))?;
    build_pcm()?;
    let pcm = program.with_file_name(format!("pcm{}", std::env::consts::EXE_SUFFIX));
    let status = cargo("run")
        .arg("--manifest-path")
        .arg(home().join("side-by-side/Cargo.toml"))
        .arg("--target-dir")
        .arg(target.join("side-by-side"))
        .args(["--", "--pcm"])
        .arg(pcm)
        .args(arguments)
        .status()?;
    let failed = !status.success();
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn build_pcm() -> Result<(), Box<dyn Error>> {
    let root = home().join("..").join("Cargo.toml");
    let mut build = cargo("build");
    // Together with this package, so that both are built of the same dependencies.
    let built = build
        .args(["-p", "lpm-pcm", "-p", "lpm-bench"])
        .arg("--manifest-path")
        .arg(root);
    if built.status()?.success() {
        Ok(())
    } else {
        Err("`pcm` was not built".into())
    }
}

fn cargo(what: &str) -> Command {
    let cargo = std::env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from);
    let mut command = Command::new(cargo);
    command.args([what, "--release", "--locked", "--quiet"]);
    command
}
