//! Makes libraries of a scenario's file, with the compiler of its language.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::scenario::Scenario;

/// What is compiled of a scenario's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The library.
    Library,
    /// Another one, opened after it.
    Second,
    /// What the host does.
    Host,
}

/// The library that this part makes; `None` if the file has no such part.
///
/// # Panics
///
/// When there is no compiler, or it finds an error.
#[must_use]
pub fn library(scenario: &Scenario, part: Part) -> Option<PathBuf> {
    let (define, suffix) = match part {
        Part::Library => (None, ""),
        Part::Second => (Some("SECOND"), "-second"),
        Part::Host => (Some("HOST"), "-host"),
    };
    // `second: name` takes another scenario's.
    if let (Part::Second, Some(name)) = (part, &scenario.second) {
        return library(&Scenario::of(name).expect("a scenario"), Part::Library);
    }
    // Files that leave something out for the host may have a second library in the rest.
    let has_part = match part {
        Part::Library => true,
        Part::Second => scenario.closes_first || scenario.has("def SECOND"),
        Part::Host => scenario.has("ndef HOST"),
    };
    if !has_part {
        return None;
    }
    let made = folder().join(format!("{}{suffix}.so", scenario.name));
    let is_current = |made: &Path| {
        let time = |path: &Path| {
            fs::metadata(path)
                .and_then(|metadata| metadata.modified())
                .ok()
        };
        time(made).is_some_and(|made| Some(made) > time(&scenario.file))
    };
    if !is_current(&made) {
        compile(scenario, define, &made);
    }
    Some(made)
}

/// Beside this program's file.
fn folder() -> PathBuf {
    let program = std::env::current_exe().expect("this program");
    let folder = program
        .parent()
        .expect("a folder")
        .join("compared-libraries");
    fs::create_dir_all(&folder).expect("a folder for the libraries");
    folder
}

fn compile(scenario: &Scenario, define: Option<&str>, made: &Path) {
    let ending = scenario
        .file
        .extension()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut command = match ending.as_str() {
        "c" => c("cc", define),
        "cpp" => c("c++", define),
        "rs" => rust(),
        "go" => go(),
        other => panic!("no compiler for .{other}"),
    };
    // Several processes may make the same; each renames what is whole.
    let unfinished = made.with_extension(format!("{}.so", std::process::id()));
    command.arg("-o").arg(&unfinished).arg(&scenario.file);
    if define != Some("HOST") && ending != "go" && ending != "rs" {
        command.args(&scenario.link);
    }
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    fs::rename(unfinished, made).expect("renamed");
}

fn c(compiler: &str, define: Option<&str>) -> Command {
    let mut command = Command::new(compiler);
    command.args(["-shared", "-fPIC", "-O1", "-w"]);
    command.args(define.map(|name| format!("-D{name}")));
    command
}

/// With the standard library in a library of its own.
fn rust() -> Command {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir"])
        .output();
    let libraries = String::from_utf8(output.expect("rustc").stdout).expect("UTF-8");
    let mut command = Command::new("rustc");
    command.args([
        "--edition",
        "2024",
        "--crate-type",
        "cdylib",
        "-C",
        "prefer-dynamic",
    ]);
    command.arg(format!("-Clink-arg=-Wl,-rpath,{}", libraries.trim()));
    command
}

fn go() -> Command {
    let mut command = Command::new("go");
    command
        .args(["build", "-buildmode=c-shared"])
        .env("GO111MODULE", "off");
    command.env("GOCACHE", folder().join("go"));
    command
}

/// Whether the compiler that the scenario takes is there.
#[must_use]
pub fn has_compiler(scenario: &Scenario) -> bool {
    scenario
        .file
        .extension()
        .is_none_or(|ending| ending != "go")
        || Command::new("go").arg("version").output().is_ok()
}
