//! What became of each scenario, side by side.

use std::fmt::Write;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::build::has_compiler;
use crate::scenario::{Scenario, Way};

/// A scenario and what became of it, both ways.
#[derive(Clone, Debug)]
pub struct Row {
    /// The scenario.
    pub scenario: Scenario,
    /// With `dlopen` and `dlclose`.
    pub plain: Outcome,
    /// With `libunload`.
    pub ours: Outcome,
}

/// What became of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What was said of the library, if it got as far.
    pub closed: Option<String>,
    /// What else there is to know: what `libunload` warned of, and what the scenario accepts.
    pub notes: Vec<String>,
    /// What was wrong, in this order: refused, lost, killed, hung.
    pub wrong: Vec<String>,
}

impl Outcome {
    /// Whether all went well, whatever is mapped.
    #[must_use]
    pub fn works(&self) -> bool {
        self.wrong.is_empty()
    }

    /// Whether the library was said to be unmapped.
    #[must_use]
    pub fn is_unmapped(&self) -> bool {
        self.closed
            .as_deref()
            .is_some_and(|closed| closed.starts_with("unmapped"))
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let wrong = self.wrong.iter().map(|wrong| format!("**{wrong}**"));
        let said = self.closed.clone().into_iter().chain(self.notes.clone());
        let parts: Vec<_> = said.chain(wrong).collect();
        f.write_str(&parts.join("; "))
    }
}

/// Runs every scenario both ways with the program `compared`; those without a compiler are left
/// out.
#[must_use]
pub fn results(program: &Path) -> Vec<Row> {
    let scenarios = Scenario::all().into_iter().filter(has_compiler);
    scenarios.map(|scenario| row(program, scenario)).collect()
}

/// Runs one scenario both ways.
#[must_use]
pub fn row(program: &Path, scenario: Scenario) -> Row {
    let plain = outcome(program, &scenario, Way::Plain);
    let ours = outcome(program, &scenario, Way::Ours);
    Row {
        scenario,
        plain,
        ours,
    }
}

/// The table in Markdown.
#[must_use]
pub fn of(rows: &[Row]) -> String {
    let mut table =
        "| the library | `dlopen`, `dlclose` | here | scenario |\n|---|---|---|---|\n".to_owned();
    for Row {
        scenario,
        plain,
        ours,
    } in rows
    {
        let _ = writeln!(
            table,
            "| {} | {plain} | {ours} | `{}` |",
            scenario.what, scenario.name
        );
    }
    table
}

fn outcome(program: &Path, scenario: &Scenario, way: Way) -> Outcome {
    /// Where something hangs, it hangs for ever; this is long enough for the slowest machine.
    const LONGEST: Duration = Duration::from_secs(120);
    let mut command = Command::new(program);
    command
        .args([&scenario.name, way.name()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().expect("this program can be run");
    let mut out = child.stdout.take().expect("piped");
    let reader = thread::spawn(move || {
        let mut text = Vec::new();
        let _ = out.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().expect("a child") {
            Some(status) => break Some(status),
            None if begun.elapsed() > LONGEST => {
                child.kill().expect("killed");
                child.wait().expect("a child");
                break None;
            }
            None => thread::sleep(Duration::from_millis(2)),
        }
    };
    let text = reader.join().expect("no panic");
    let said: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("@ "))
        .collect();
    let told = |key: &str| {
        let mut said = said.iter().rev();
        said.find_map(|line| line.strip_prefix(key))
            .map(without_numbers)
    };
    let mut wrong = Vec::new();
    wrong.extend(told("refused: ").map(|why| format!("refused: {why}")));
    let mut notes = Vec::from_iter(told("warned: "));
    match told("later: ") {
        Some(found) if Some(&found) == scenario.accepts.as_ref() => notes.push(found),
        found => wrong.extend(found),
    }
    let when = match said.iter().rev().find(|line| !line.starts_with("later")) {
        Some(&"loading") => " while it is loaded",
        Some(&"using") => " while it is used",
        Some(&"closing") => " while it is closed",
        Some(&"exits") => " at the end of the process",
        Some(_) => " afterwards",
        None => " before",
    };
    match status {
        None => wrong.push(format!("hangs{when}")),
        Some(status) => {
            if let Some(signal) = status.signal() {
                wrong.push(format!("{}{when}", signal_name(signal)));
            } else if !status.success() {
                wrong.push(format!("the process fails{when}"));
            }
        }
    }
    Outcome {
        closed: told("closed: "),
        notes,
        wrong,
    }
}

fn signal_name(signal: i32) -> String {
    match signal {
        libc::SIGSEGV => "SIGSEGV".to_owned(),
        libc::SIGABRT => "SIGABRT".to_owned(),
        libc::SIGBUS => "SIGBUS".to_owned(),
        libc::SIGILL => "SIGILL".to_owned(),
        libc::SIGTRAP => "SIGTRAP".to_owned(),
        libc::SIGPIPE => "SIGPIPE".to_owned(),
        libc::SIGUSR1 => "SIGUSR1".to_owned(),
        other => format!("signal {other}"),
    }
}

/// Numbers of threads and addresses differ from run to run.
fn without_numbers(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let number = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_address = number.strip_prefix("0x").is_some_and(is_hex);
        let is_number = number.len() > 2 && number.bytes().all(|byte| byte.is_ascii_digit());
        if is_address || is_number {
            word.replace(number, "…")
        } else {
            word.to_owned()
        }
    });
    let text = words.collect::<Vec<_>>().join(" ");
    // There may be more or fewer threads or places of which the same is said.
    let mut parts: Vec<_> = text.split("; ").collect();
    // The first part begins with what became of the library.
    parts.dedup_by(|part, before| before.ends_with(*part));
    parts.join("; ")
}
