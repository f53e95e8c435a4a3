//! Loads, asks and unloads each LPM over and over, in a process of its own, and says what became of
//! it.
//!
//! ```text
//! lpm-ecosystem             # all of them, as a table
//! lpm-ecosystem NAME        # one, in this process
//! ```
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lpm_host::{LpmConfig, Pcm, UnloadOutcome};
use lpm_tests::callers::Callers;
use lpm_tests::unloading::only_library;
use lpm_tests::{RecordedEvents, resident_bytes, trusted};

/// How often each is loaded; the first few make what stays for good, such as caches of the C
/// library.
const CYCLES: u64 = 20;
const WARM_UP: u64 = 5;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments[..] {
        [] => table(),
        [name] => println!("@ {}", cycles(name)),
        _ => eprintln!("expected nothing, or the name of an LPM"),
    }
}

fn table() {
    let redis = Redis::start();
    println!("| crate | outcome of {CYCLES} cycles | growth a cycle | descriptors left |");
    println!("|---|---|---|---|");
    for name in names() {
        println!(
            "| `{}` | {} |",
            name.replace('_', "-"),
            told(&name, redis.as_ref())
        );
    }
}

fn names() -> Vec<String> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let name = |source: fs::DirEntry| source.path().file_stem()?.to_str().map(str::to_owned);
    let sources = fs::read_dir(sources).expect("the LPMs");
    let mut names: Vec<_> = sources.filter_map(|source| name(source.ok()?)).collect();
    names.sort();
    names
}

/// What the process of this LPM said, or how it ended.
fn told(name: &str, redis: Option<&Redis>) -> String {
    let program = env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.arg(name).stderr(Stdio::null());
    if let Some(redis) = redis {
        command.env("ECOSYSTEM_REDIS", redis.address());
    }
    let output = command.output().expect("this program can be run");
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().find_map(|line| line.strip_prefix("@ ")) {
        Some(told) if output.status.success() => told.to_owned(),
        told => {
            let signal = output
                .status
                .signal()
                .map(|signal| format!("signal {signal}"));
            let how = signal.unwrap_or_else(|| "the process fails".to_owned());
            let after = told.map_or("", |_| " at its end");
            format!("**{how}{after}** | | ")
        }
    }
}

/// Runs the cycles; says what became of the library, by how much the memory grew, and which
/// descriptors are left.
fn cycles(name: &str) -> String {
    let program = env::current_exe().expect("this program");
    let folder = program.parent().expect("a folder").join("examples");
    let lpm = LpmConfig::new(name, trusted(folder.join(format!("lib{name}.so"))));
    let pcm = Pcm::builder().lpm(lpm).event_log(RecordedEvents::default());
    let pcm = Arc::new(pcm.build().expect("builds"));
    let callers = Callers::start(3);
    let mut outcomes = BTreeMap::<String, u64>::new();
    let (mut resident, mut open) = (0, 0);
    for cycle in 0..CYCLES {
        if cycle == WARM_UP {
            (resident, open) = (resident_bytes(), descriptors());
        }
        pcm.become_dsbm().expect("starts");
        callers.ask(&pcm);
        let unloaded = only_library(pcm.demote().expect("in charge"));
        *outcomes.entry(short(&unloaded.outcome)).or_default() += 1;
    }
    let grown = resident_bytes().saturating_sub(resident) / (CYCLES - WARM_UP);
    let left = descriptors().saturating_sub(open);
    callers.end();
    let outcome = match &outcomes.iter().collect::<Vec<_>>()[..] {
        [(outcome, _)] => (*outcome).clone(),
        several => {
            let each = several
                .iter()
                .map(|(outcome, count)| format!("{count}: {outcome}"));
            each.collect::<Vec<_>>().join("; ")
        }
    };
    format!("{outcome} | {} KiB | {left}", grown.div_ceil(1024))
}

/// Without the numbers of threads, and each reason once.
fn short(outcome: &UnloadOutcome) -> String {
    let text = outcome.to_string();
    let words = text.split(' ').map(|word| {
        let is_number = word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { "…" } else { word }
    });
    let text = words.collect::<Vec<_>>().join(" ");
    let Some(reasons) = text.strip_prefix("stays mapped: ") else {
        return text;
    };
    let mut reasons: Vec<_> = reasons.split("; ").collect();
    reasons.sort_unstable();
    reasons.dedup();
    format!("stays mapped: {}", reasons.join("; "))
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd")
        .expect("the descriptors")
        .count()
}

/// A server for the one LPM that asks one.
struct Redis {
    process: Child,
    directory: tempfile::TempDir,
}

impl Redis {
    /// `None` where it is not installed.
    fn start() -> Option<Self> {
        let directory = tempfile::tempdir().expect("a directory");
        let process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(socket(directory.path()))
            .stdout(Stdio::null())
            .spawn();
        let redis = Self {
            process: process.ok()?,
            directory,
        };
        let begun = Instant::now();
        while !socket(redis.directory.path()).exists() {
            assert!(
                begun.elapsed() < Duration::from_secs(120),
                "redis-server does not start"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(redis)
    }

    fn address(&self) -> String {
        format!("redis+unix://{}", socket(self.directory.path()).display())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("socket")
}
