//! Debuggers find their way in an LPM (`--debug-lpms`).
#![cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
#![forbid(unsafe_code)]

mod support;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lpm_fixtures::{file_name, lpm_api};

/// An LPM that refuses.
const SOURCE: &str = "\
use lpm_api::{AdmitRequest, Answer, Decision, InitError, InitInfo, Lpm, LpmPolicyError};

struct Refuses;

impl Lpm for Refuses {
    fn initialize(_: InitInfo<'_>) -> Result<Self, InitError> {
        Ok(Self)
    }

    fn admit(&self, request: AdmitRequest<'_>) -> Answer {
        let flows = request.flow_count();
        request.decide_all(decide(flows))
    }
}

#[inline(never)]
fn decide(flows: usize) -> Decision {
    let priority = flows + 7;
    assert!(priority > 7, \"a message without flows\");
    Decision::reject(LpmPolicyError::NoPrivileges)
}

lpm_api::export_lpm!(Refuses);
";

/// Where `decide` decides, in the text above.
const LINE: usize = 20;

/// Builds the LPM with debugging information, and a configuration for it.
fn built(folder: &Path) -> PathBuf {
    let source = folder.join("refuses.rs");
    fs::write(&source, SOURCE).unwrap();
    let lpm_api = lpm_api();
    let below = lpm_api.parent().unwrap();
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["--edition=2024", "--crate-type=cdylib", "-g"]);
    rustc.arg(format!("--extern=lpm_api={}", lpm_api.display()));
    for dependencies in [below.to_path_buf(), below.join("deps")] {
        rustc.arg(format!("-Ldependency={}", dependencies.display()));
    }
    let output = rustc.arg(&source).current_dir(folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let library = folder.join(file_name("refuses"));
    let config = folder.join("pcm.toml");
    let text = format!(
        "[[lpm]]\nname = 'refuses'\nlibrary = '{}'\n",
        library.display()
    );
    fs::write(&config, text).unwrap();
    config
}

#[test]
fn a_breakpoint_by_line_is_hit_in_an_lpm() {
    if Command::new("gdb").arg("--version").output().is_err() {
        eprintln!("there is no gdb on this machine: breakpoints are NOT tried");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let config = built(folder.path());
    let output = Command::new("gdb")
        .args(["-nx", "-batch", "-ex", "set breakpoint pending on"])
        .args(["-ex", "handle SIG64 nostop noprint pass"])
        .args(["-ex", &format!("break refuses.rs:{LINE}")])
        .args([
            "-ex",
            "run",
            "-ex",
            "backtrace",
            "-ex",
            "delete",
            "-ex",
            "continue",
        ])
        .args([
            "--args",
            env!("CARGO_BIN_EXE_pcm"),
            "replay",
            "--debug-lpms",
            "--config",
        ])
        .arg(&config)
        .arg(support::office())
        .env_remove("DEBUGINFOD_URLS")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    let said = format!("{said}{complained}");
    if said.contains("ptrace: Operation not permitted") {
        eprintln!("processes may not be traced here: breakpoints are NOT tried");
        return;
    }
    // Where it stopped, with the line's text, and from where that was called.
    let line = SOURCE.lines().nth(LINE - 1).unwrap();
    assert!(said.contains(&format!("{LINE}\t{line}")), "{said}");
    assert!(said.contains("refuses.rs:12"), "{said}");
    // It goes on to the end, through the unloading of the library, and no signal of ours stops it.
    assert!(said.contains("unmapped"), "{said}");
    assert!(said.contains("exited normally"), "{said}");
    assert!(!said.contains("received signal"), "{said}");
}

/// The copies are where debuggers find them while the library is loaded, and not any longer.
#[test]
fn nothing_is_left_of_what_debuggers_look_at() {
    let folder = tempfile::tempdir().unwrap();
    let config = built(folder.path());
    let copies = folder.path().join("copies");
    fs::create_dir(&copies).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_pcm"))
        .args(["replay", "--debug-lpms", "--config"])
        .arg(&config)
        .arg(support::office())
        .env("TMPDIR", &copies)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(said.contains("unmapped"), "{said}");
    assert_eq!(fs::read_dir(&copies).unwrap().count(), 0);
}
