//! The tasks, each a name for commands that nobody remembers.

use std::env;
use std::error::Error;
use std::path::Path;
use std::process::Command;

use crate::{columns, layers};

/// Something to do in this repository.
pub(crate) struct Task {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    work: Work,
}

enum Work {
    /// Commands at the root, one after the other. What else was said on the command line goes to
    /// the last one.
    Commands(&'static [&'static [&'static str]]),
    /// A command with something in its environment.
    With(
        &'static [(&'static str, &'static str)],
        &'static [&'static str],
    ),
    /// Code of ours.
    Function(fn(&Path) -> Result<bool, Box<dyn Error>>),
}

use Work::{Commands, Function, With};

/// Puts programs of others where [`run`] finds them.
const TOOLS: &[&str] = &[".ci/tools"];

/// All of them.
pub(crate) const TASKS: &[Task] = &[
    task(
        "ci",
        "all that a change has to pass; installs what it needs on Debian and Ubuntu",
        Commands(&[&[".ci/run"]]),
    ),
    task(
        "release",
        "what a release has to pass besides (hours)",
        Commands(&[&[".ci/release"]]),
    ),
    task(
        "test",
        "all tests",
        Commands(&[&["cargo", "test", "--workspace", "--locked"]]),
    ),
    task(
        "fmt",
        "format everything",
        Commands(&[&["cargo", "fmt", "--all"]]),
    ),
    task(
        "lint",
        "all lints, as errors",
        Commands(&[&[
            "cargo",
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-Dwarnings",
        ]]),
    ),
    task(
        "columns",
        "comments are wrapped at 100 columns",
        Function(columns::check),
    ),
    task(
        "layers",
        "imports run down only, and never in a circle",
        Function(layers::check),
    ),
    task(
        "doc",
        "the documentation of all crates",
        With(
            &[("RUSTDOCFLAGS", "-Dwarnings")],
            &["cargo", "doc", "--workspace", "--no-deps", "--locked"],
        ),
    ),
    task(
        "book",
        "build the book",
        Commands(&[TOOLS, &["mdbook", "build", "docs"]]),
    ),
    task(
        "features",
        "check each combination of features",
        Commands(&[TOOLS, &[".ci/features"]]),
    ),
    task(
        "deny",
        "licences, sources, duplicates, known vulnerabilities",
        Commands(&[TOOLS, &[".ci/deny"]]),
    ),
    task(
        "loom",
        "model-check what is lock-free",
        Commands(&[&[".ci/loom"]]),
    ),
    task(
        "asan",
        "the tests that cross crates, under AddressSanitizer",
        Commands(&[&[".ci/asan"]]),
    ),
    task(
        "valgrind",
        "the tests of lives, misbehaviour and unloading, under valgrind",
        With(
            &[(
                "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER",
                "valgrind -q --error-exitcode=99",
            )],
            &[
                "cargo",
                "test",
                "--locked",
                "-p",
                "lpm-tests",
                "--test=lifecycle",
                "--test=reconfigure",
                "--test=hand_over",
                "--test=reentrancy",
                "--test=lpmapi_functions",
                "--test=lpmapi_misbehaviour",
                "--test=misbehaviour_deferred",
                "--test=misbehaviour_panics",
                "--test=misbehaviour_results",
                "--test=unload_cycles",
                "--test=unload_pins",
                "--test=unload_races",
                "--test=unload_unmaps",
                "--test=unload_visits",
                // valgrind has made code of its own, all of which is searched for addresses.
                "--config=profile.dev.package.libunload.opt-level=2",
                // It runs one thread at a time: one that waits for its turn does not say where it
                // is.
                "--",
                "--test-threads=1",
            ],
        ),
    ),
    task(
        "fuzz",
        "fuzz a parser: parse, walk, round_trip, integrity (takes cargo-fuzz and a nightly compiler)",
        Commands(&[
            &["cargo", "run", "-p", "lpm-rsvp", "--example", "seed_corpus"],
            &[
                "cargo",
                "+nightly",
                "fuzz",
                "run",
                "--fuzz-dir",
                "lpm-rsvp/fuzz",
            ],
        ]),
    ),
    task(
        "apart",
        "check what is in a workspace of its own: fuzz targets, peers of the benchmarks",
        Commands(&[&[".ci/apart"]]),
    ),
    task(
        "cross",
        "check the libraries for other platforms",
        Commands(&[&[".ci/cross"]]),
    ),
    task(
        "windows",
        "build for Windows, and test there or under wine",
        Commands(&[&[".ci/windows"]]),
    ),
    task(
        "aarch64",
        "the tests that cross crates, built for aarch64 and run in qemu",
        Commands(&[&[".ci/aarch64"]]),
    ),
    task(
        "no-std",
        "compile lpm-rsvp without the standard library",
        Commands(&[&[".ci/no-std"]]),
    ),
    task(
        "msrv",
        "check everything with the oldest supported compiler",
        Commands(&[&[".ci/msrv"]]),
    ),
    task(
        "compat",
        "old and new versions, one compiler and another, with each other",
        Commands(&[&[".ci/compat"]]),
    ),
    task(
        "freeze",
        "keep today's crates as a release to test against (tests/compat/README.md)",
        Commands(&[&["tests/compat/freeze"]]),
    ),
    task(
        "semver",
        "compare the interfaces with those of the last release",
        Commands(&[&[".ci/semver"]]),
    ),
    task(
        "packages",
        "what would be uploaded to crates.io, built from nothing else",
        Commands(&[&[".ci/packages"]]),
    ),
    task(
        "dist",
        "a Debian package and a tarball, in target/dist",
        Commands(&[&["packaging/dist"]]),
    ),
    task(
        "stress",
        "cycles N: load and unload; races N: unload while threads call; times N: next to dlopen",
        Commands(&[&[
            "cargo",
            "run",
            "--release",
            "--locked",
            "-p",
            "lpm-tests",
            "--example",
            "stress",
        ]]),
    ),
    task(
        "bench",
        "time everything next to what a user would pick instead (--quick, --book docs/src, sections)",
        Commands(&[&[
            "cargo",
            "run",
            "--release",
            "--locked",
            "-p",
            "lpm-bench",
            "--",
        ]]),
    ),
    task(
        "instructions",
        "count instructions, next to those on record (--record, after a change that is meant)",
        Commands(&[&[
            "cargo",
            "run",
            "--release",
            "--locked",
            "-p",
            "lpm-bench",
            "--",
            "instructions",
        ]]),
    ),
    task(
        "bench-host",
        "one benchmark of lpm-host: admit, gate, requests",
        Commands(&[&["cargo", "bench", "-p", "lpm-host", "--bench"]]),
    ),
    task(
        "bench-parse",
        "time the parser",
        Commands(&[&["cargo", "bench", "-p", "lpm-rsvp", "--bench", "parse"]]),
    ),
];

const fn task(name: &'static str, about: &'static str, work: Work) -> Task {
    Task { name, about, work }
}

impl Task {
    /// Does it; whether all went well.
    pub(crate) fn run(&self, root: &Path, more: &[String]) -> Result<bool, Box<dyn Error>> {
        match self.work {
            Function(function) => function(root),
            With(environment, command) => run(root, environment, command, more),
            Commands(commands) => {
                let (last, before) = commands.split_last().ok_or("no commands")?;
                for command in before {
                    if !run(root, &[], command, &[])? {
                        return Ok(false);
                    }
                }
                run(root, &[], last, more)
            }
        }
    }
}

fn run(
    root: &Path,
    environment: &[(&str, &str)],
    command: &[&str],
    more: &[String],
) -> Result<bool, Box<dyn Error>> {
    let (program, arguments) = command.split_first().ok_or("no command")?;
    let path = env::var_os("PATH").unwrap_or_default();
    let tools = root.join("target/tools/bin");
    let path = env::join_paths([tools].into_iter().chain(env::split_paths(&path)))?;
    let status = Command::new(program)
        .args(arguments)
        .args(more)
        .envs(environment.iter().copied())
        .env("PATH", path)
        .current_dir(root)
        .status()
        .map_err(|error| format!("{program} cannot be run: {error}"))?;
    Ok(status.success())
}
