//! How many instructions a call takes, counted by callgrind, next to the number on record: a
//! regression shows on a machine that is busy, too.

use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;
use serde::{Deserialize, Serialize};

use crate::home;
use crate::workload::{COMMAND, COUNTED, WORKLOADS};

/// How many calls are counted; twice as many are counted as well, so that what happens once does
/// not count.
const CALLS: u64 = 2_000;

/// How many percent more than on record are a regression.
const MARGIN: f64 = 5.0;

/// The same, where another compiler or another valgrind was used for the record.
const MARGIN_ELSEWHERE: f64 = 25.0;

/// Count the instructions of calls, and compare with those on record
#[derive(Debug, Parser)]
#[command(name = "lpm-bench instructions")]
struct Args {
    /// Put what is counted now on record
    #[arg(long)]
    record: bool,
}

/// What is on record.
#[derive(Debug, PartialEq, Deserialize, Serialize)]
struct Record {
    /// The counts depend on these.
    tools: Tools,
    /// Instructions a call, by workload.
    instructions: BTreeMap<String, f64>,
}

#[derive(Debug, PartialEq, Deserialize, Serialize)]
struct Tools {
    compiler: String,
    valgrind: String,
}

pub(crate) fn run(arguments: &[OsString]) -> Result<ExitCode, Box<dyn Error>> {
    let name = OsString::from("instructions");
    let args = Args::parse_from([name].iter().chain(arguments));
    let counted = Record {
        tools: Tools::here()?,
        instructions: count_all()?,
    };
    let path = home().join("instructions.toml");
    if args.record {
        fs::write(&path, counted.to_text()?).map_err(|error| in_file(&path, &error))?;
        println!("recorded in {}", path.display());
        return Ok(ExitCode::SUCCESS);
    }
    let text = fs::read_to_string(&path).map_err(|error| in_file(&path, &error))?;
    let recorded = toml::from_str(&text).map_err(|error| in_file(&path, &error))?;
    Ok(compare(&counted, &recorded))
}

/// Prints both, and fails where there is a regression.
fn compare(counted: &Record, recorded: &Record) -> ExitCode {
    let margin = if counted.tools == recorded.tools {
        MARGIN
    } else {
        println!(
            "counted with {} and {}, recorded with {} and {}: up to {MARGIN_ELSEWHERE} % more are no regression",
            counted.tools.compiler,
            counted.tools.valgrind,
            recorded.tools.compiler,
            recorded.tools.valgrind
        );
        MARGIN_ELSEWHERE
    };
    println!(
        "{:40} {:>9} {:>9} {:>8}",
        "instructions a call", "recorded", "now", "change"
    );
    let mut regressions = 0;
    for (name, &now) in &counted.instructions {
        let Some(&before) = recorded.instructions.get(name) else {
            println!("{name:40} {:>9} {now:>9.1}  not on record", "");
            regressions += 1;
            continue;
        };
        let change = (now / before - 1.0) * 100.0;
        let word = match change {
            _ if change > margin => "  REGRESSION",
            _ if change < -margin => "  (better: record it)",
            _ => "",
        };
        regressions += usize::from(change > margin);
        println!("{name:40} {before:>9.1} {now:>9.1} {change:>+7.1} %{word}");
    }
    if regressions == 0 {
        return ExitCode::SUCCESS;
    }
    println!(
        "{regressions} of {} take more than {margin} % more than on record, or are not on record. If that is \
         how it has to be: cargo run --release -p lpm-bench -- instructions --record",
        counted.instructions.len()
    );
    ExitCode::FAILURE
}

fn count_all() -> Result<BTreeMap<String, f64>, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let counts = WORKLOADS.iter().map(|(name, _)| {
        let [once, twice] = [CALLS, 2 * CALLS].map(|calls| count(name, calls, folder.path()));
        let each = twice?.saturating_sub(once?) as f64 / CALLS as f64;
        Ok((String::from(*name), (each * 10.0).round() / 10.0))
    });
    counts.collect()
}

/// The instructions of so many calls.
fn count(workload: &str, calls: u64, folder: &Path) -> Result<u64, Box<dyn Error>> {
    let out = folder.join("callgrind.out");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--demangle=no"])
        .arg(format!("--toggle-collect={COUNTED}"))
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(std::env::current_exe()?)
        .args([COMMAND, workload, &calls.to_string()])
        .output()
        .map_err(no_valgrind)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{workload}: {}: {said}", output.status).into());
    }
    let text = fs::read_to_string(&out).map_err(|error| in_file(&out, &error))?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let total = total.and_then(|total| total.trim().parse().ok());
    match total {
        None | Some(0) => Err(format!("{workload}: callgrind counted nothing").into()),
        Some(total) => Ok(total),
    }
}

impl Tools {
    fn here() -> Result<Self, Box<dyn Error>> {
        let rustc = std::env::var_os("RUSTC").map_or_else(|| "rustc".into(), PathBuf::from);
        Ok(Self {
            compiler: version(Command::new(rustc))?,
            valgrind: version(Command::new("valgrind")).map_err(|error| {
                match error.downcast() {
                    Ok(error) => no_valgrind(*error).into(),
                    Err(error) => error,
                }
            })?,
        })
    }
}

fn version(mut program: Command) -> Result<String, Box<dyn Error>> {
    let output = program.arg("--version").output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

impl Record {
    fn to_text(&self) -> Result<String, toml::ser::Error> {
        let text = toml::to_string(self)?;
        Ok(format!(
            "# Instructions a call takes, counted by callgrind. To record them anew:\n\
             #   cargo run --release -p lpm-bench -- instructions --record\n\n{text}"
        ))
    }
}

fn no_valgrind(error: std::io::Error) -> String {
    format!("valgrind cannot be run: {error} (Debian: apt install valgrind)")
}

fn in_file(path: &Path, error: &dyn Error) -> String {
    format!("{}: {error}", path.display())
}
