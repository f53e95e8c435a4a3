//! Follows the book's first chapter to the letter: writes its files, runs its commands.
#![cfg(unix)]
#![forbid(unsafe_code)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const CHAPTER: &str = include_str!("../../docs/src/first-lpm.md");

/// What the chapter asks for, in order.
#[derive(Debug)]
enum Step {
    Write { file: String, text: String },
    Run { commands: String },
}

#[test]
fn the_first_lpm_builds_and_decides() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace");
    let start = tempfile::tempdir().expect("a directory");
    let project = start.path().join("office-hours");
    use_this_workspace(workspace, start.path());

    let steps = steps();
    assert!(steps.len() >= 6, "{steps:?}");
    let mut output = String::new();
    for step in steps {
        match step {
            Step::Write { file, text } => {
                fs::write(project.join(&file), text).expect("the project exists by now");
            }
            Step::Run { commands } => {
                let within = if project.exists() {
                    &project
                } else {
                    start.path()
                };
                output += &run(&commands, within);
                prepare(workspace, &project);
            }
        }
    }
    assert!(output.contains("office hours"), "{output}");
    assert!(output.contains("accept"), "{output}");
    assert!(output.contains(support::GONE), "{output}");
}

fn steps() -> Vec<Step> {
    let mut steps = Vec::new();
    let mut named = None;
    let mut lines = CHAPTER.lines();
    while let Some(line) = lines.next() {
        if let Some(file) = line
            .strip_prefix('`')
            .and_then(|line| line.strip_suffix("`:"))
        {
            named = Some(file.to_owned());
        } else if let Some(language) = line.strip_prefix("```") {
            let text: Vec<String> = lines
                .by_ref()
                .take_while(|line| *line != "```")
                .map(included)
                .collect();
            let text = text.join("\n") + "\n";
            match (language, named.take()) {
                ("console", None) => steps.push(Step::Run { commands: text }),
                (_, Some(file)) => steps.push(Step::Write { file, text }),
                (_, None) => panic!("a block of {language} with no file's name above it"),
            }
        }
    }
    steps
}

/// The line, or the file it includes.
fn included(line: &str) -> String {
    let name = line
        .strip_prefix("{{#include ")
        .and_then(|line| line.strip_suffix("}}"));
    match name {
        Some(name) => {
            let chapters = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src");
            fs::read_to_string(chapters.join(name)).expect("the included file")
        }
        None => line.to_owned(),
    }
}

fn run(commands: &str, within: &Path) -> String {
    let pcm = Path::new(env!("CARGO_BIN_EXE_pcm"))
        .parent()
        .expect("a folder");
    let mut path = vec![pcm.to_path_buf()];
    path.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    let run = Command::new("sh")
        .args(["-e", "-c", commands])
        .current_dir(within)
        .env("PATH", std::env::join_paths(path).expect("folders"))
        .env("CARGO_NET_OFFLINE", "true")
        // Nobody debugs it, and it builds in less time.
        .env("CARGO_PROFILE_DEV_DEBUG", "none")
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .expect("a shell");
    let (stdout, stderr) = (text(&run.stdout), text(&run.stderr));
    assert!(run.status.success(), "{commands}\n{stdout}\n{stderr}");
    stdout
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Has Cargo take the crates from here instead of from crates.io.
fn use_this_workspace(workspace: &Path, start: &Path) {
    let patches = ["lpm-api", "lpm-host", "lpm-rsvp"].map(|name| {
        let path = workspace.join(name);
        format!(
            "{name} = {{ path = {:?} }}\n",
            path.to_str().expect("UTF-8")
        )
    });
    fs::create_dir(start.join(".cargo")).expect("a folder");
    let config = format!("[patch.crates-io]\n{}", patches.concat());
    fs::write(start.join(".cargo/config.toml"), config).expect("written");
}

/// Gives the new project the versions that are here already, and a place to keep what it builds.
fn prepare(workspace: &Path, project: &Path) {
    let lock = project.join("Cargo.lock");
    if lock.exists() || !project.exists() {
        return;
    }
    fs::copy(workspace.join("Cargo.lock"), lock).expect("copied");
    fs::copy(
        workspace.join("lpm-pcm/demo/office.pcap"),
        project.join("office.pcap"),
    )
    .expect("copied");
    let built = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("tutorial");
    fs::create_dir_all(&built).expect("a folder");
    std::os::unix::fs::symlink(&built, project.join("target")).expect("linked");
}
