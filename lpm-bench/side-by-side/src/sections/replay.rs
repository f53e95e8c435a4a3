//! `pcm replay` of long captures.

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lpm_bench::{capture, policy};
use tempfile::TempDir;

use super::Context;
use super::parse::has_tshark;
use crate::library::built;
use crate::measure::{Contender, Effort, compare};
use crate::report::{Comparison, Curve, Goal, Plot, Quartiles, Row, Section, figure};

const PCM: &str = "pcm replay";
const TSHARK: &str = "tshark";
const DEMO: &str = "pcm replay, demo policy";

pub(super) fn measure(context: &Context) -> Result<Section, Box<dyn Error>> {
    let mut section = Section::new("replay", "pcm replay of a capture");
    section.notes.push(format!(
        "{} flows of as many users, refreshed again and again; each Path and Resv carries an identity. The whole \
         output is written, to /dev/null. Everything runs on one core (`taskset`).",
        figure(capture::FLOWS.into())
    ));
    let folder = tempfile::tempdir()?;
    let bench = Bench::new(&folder, context)?;
    let (short, lengths, rounds): (u64, [u64; 3], _) = if context.quick {
        (1_000, [10_000, 20_000, 40_000], 2)
    } else {
        (50_000, [10_000, 100_000, 1_000_000], 5)
    };

    let has_tshark = has_tshark();
    let short = bench.capture(short)?;
    section
        .comparisons
        .push(bench.beside_tshark(&short, rounds, has_tshark)?);
    let mut rates = Vec::new();
    let mut memory = [(PCM, Vec::new()), (TSHARK, Vec::new())];
    for length in lengths {
        let capture = bench.capture(length)?;
        let runs = (0..rounds).map(|_| bench.rate(bench.pcm(&capture), length));
        rates.push((length, runs.collect::<Result<Vec<f64>, _>>()?));
        memory[0].1.push((length, bench.peak(bench.pcm(&capture))?));
        if has_tshark {
            memory[1]
                .1
                .push((length, bench.peak(tshark(&capture.path))?));
        }
        std::fs::remove_file(&capture.path)?;
    }
    section.comparisons.push(Comparison {
        case: "pcm replay, on one core".to_owned(),
        unit: "messages/s",
        rows: rates
            .iter()
            .map(|(length, rates)| row(*length, rates))
            .collect(),
    });
    section
        .comparisons
        .extend(
            memory
                .iter()
                .filter(|(_, peaks)| !peaks.is_empty())
                .map(|(what, peaks)| Comparison {
                    case: format!("peak memory, {what}"),
                    unit: "MiB",
                    rows: peaks
                        .iter()
                        .map(|(length, peak)| row(*length, &[*peak]))
                        .collect(),
                }),
        );
    section
        .comparisons
        .push(bench.start_up(if context.quick { 3 } else { 31 }, has_tshark)?);

    let peaks: Vec<f64> = memory[0].1.iter().map(|(_, peak)| *peak).collect();
    let growth = peaks
        .last()
        .zip(peaks.first())
        .map(|(last, first)| last / first);
    let rate = rates
        .last()
        .map(|(_, rates)| Quartiles::of(rates.iter().copied()).median);
    let start_up = section.comparisons.last().and_then(|last| last.row(DEMO));
    let start_up = start_up.map(|row| row.value.median / 1e6);
    section.goals = [
        Goal::at_least(
            "replay ≥ 1 000 000 messages/s on one core",
            rate,
            1e6,
            " messages/s",
        ),
        Goal::at_most(
            "memory independent of the capture's length (longest by shortest, ≤ 1.1)",
            growth,
            1.1,
            "×",
        ),
        Goal::at_most("start-up to first decision ≤ 5 ms", start_up, 5.0, " ms"),
    ]
    .into_iter()
    .flatten()
    .collect();
    section.plots.push(Plot {
        name: "replay-memory",
        title: "Peak memory by the capture's length",
        x: "messages",
        y: "MiB",
        curves: memory
            .into_iter()
            .filter(|(_, peaks)| !peaks.is_empty())
            .map(|(what, peaks)| Curve {
                what: what.to_owned(),
                points: peaks
                    .iter()
                    .map(|(length, peak)| (*length as f64, *peak))
                    .collect(),
            })
            .collect(),
    });
    Ok(section)
}

/// What is replayed, with what.
struct Bench<'a> {
    folder: &'a TempDir,
    program: &'a Path,
    config: PathBuf,
}

/// A capture of known length.
struct Capture {
    path: PathBuf,
    messages: u64,
}

impl<'a> Bench<'a> {
    /// Writes the configuration: the identity LPM, with a policy for all users.
    fn new(folder: &'a TempDir, context: &'a Context) -> Result<Self, Box<dyn Error>> {
        let config = folder.path().join("pcm.toml");
        let policy = folder.path().join("policy.toml");
        std::fs::write(&policy, policy::identity_policy(capture::FLOWS))?;
        let library = built("lpm_identity");
        let text = format!(
            "[[lpm]]\nname = 'identity'\nlibrary = '{}'\n[lpm.config]\npolicy_file = '{}'\n",
            library.display(),
            policy.display()
        );
        std::fs::write(&config, text)?;
        Ok(Self {
            folder,
            program: &context.pcm,
            config,
        })
    }

    fn capture(&self, messages: u64) -> Result<Capture, Box<dyn Error>> {
        let path = self.folder.path().join(format!("{messages}.pcap"));
        let mut out = BufWriter::new(File::create(&path)?);
        capture::write(&mut out, messages)?;
        out.flush()?;
        Ok(Capture { path, messages })
    }

    fn pcm(&self, capture: &Capture) -> Command {
        let mut command = on_one_core(self.program);
        command
            .args(["replay", "--config"])
            .arg(&self.config)
            .arg(&capture.path);
        command
    }

    /// Messages a second.
    fn rate(&self, mut command: Command, messages: u64) -> Result<f64, Box<dyn Error>> {
        let begun = Instant::now();
        let status = silent(&mut command).status();
        let elapsed = begun.elapsed();
        match status {
            Ok(status) if status.success() => Ok(messages as f64 / elapsed.as_secs_f64()),
            Ok(status) => Err(format!("{command:?}: {status}").into()),
            Err(error) => Err(format!("{command:?}: {error}").into()),
        }
    }

    /// The most memory it ever had, in MiB. (What `wait4` tells counts this process, too, from
    /// which it was forked.)
    fn peak(&self, mut command: Command) -> Result<f64, Box<dyn Error>> {
        let mut child = silent(&mut command).spawn()?;
        let status = format!("/proc/{}/status", child.id());
        let mut peak = 0.0_f64;
        while child.try_wait()?.is_none() {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
            // Before it runs the program, it is a copy of this one.
            if text.starts_with("Name:\tpcm") || text.starts_with("Name:\ttshark") {
                peak = peak.max(kib.unwrap_or(0.0) / 1024.0);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(peak)
    }

    fn beside_tshark(
        &self,
        capture: &Capture,
        rounds: usize,
        has_tshark: bool,
    ) -> Result<Comparison, Box<dyn Error>> {
        let lane = |command: &dyn Fn() -> Command| {
            let rate = self.rate(command(), capture.messages);
            Duration::from_secs_f64(1.0 / rate.expect("it ran before"))
        };
        // Whether it runs at all.
        self.rate(self.pcm(capture), capture.messages)?;
        let mut contenders = vec![Contender::single(
            PCM,
            Box::new(move |_| lane(&|| self.pcm(capture))),
        )];
        if has_tshark {
            let tshark = move |_: u64| lane(&|| tshark(&capture.path));
            contenders.push(Contender::single(TSHARK, Box::new(tshark)));
        }
        let case = format!(
            "{} messages, start-up included, a message",
            figure(capture.messages as f64)
        );
        Ok(compare(case, contenders, Effort::of_trials(rounds)))
    }

    /// From the start of the program to its first line about a message, which comes on standard
    /// input.
    fn start_up(&self, rounds: usize, has_tshark: bool) -> Result<Comparison, Box<dyn Error>> {
        let mut message = Vec::new();
        capture::write(&mut message, 1)?;
        let message = &message;
        let demo = || {
            let mut command = Command::new(self.program);
            command.args(["replay", "-"]);
            command
        };
        let thousand = || {
            let mut command = demo();
            command.arg("--config").arg(&self.config);
            command
        };
        let tshark = || {
            let mut command = Command::new("tshark");
            command.args(["-n", "-l", "-r", "-"]);
            command
        };
        let mut contenders = vec![
            Contender::single(DEMO, Box::new(move |_| first_line(demo(), "Path", message))),
            Contender::single(
                "pcm replay, 1 000 users",
                Box::new(move |_| first_line(thousand(), "Path", message)),
            ),
        ];
        if has_tshark {
            let lane = Box::new(move |_: u64| first_line(tshark(), "RSVP", message));
            contenders.push(Contender::single(TSHARK, lane));
        }
        Ok(compare(
            "start-up to the first message",
            contenders,
            Effort::of_trials(rounds),
        ))
    }
}

/// How long it takes until a line with this word comes.
fn first_line(mut command: Command, word: &str, input: &[u8]) -> Duration {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let begun = Instant::now();
    let mut child = command.spawn().expect("it runs");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input).expect("it reads");
    stdin.flush().expect("it reads");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let found = lines.any(|line| line.is_ok_and(|line| line.contains(word)));
    let elapsed = begun.elapsed();
    drop(stdin);
    lines.for_each(drop);
    let _ = child.wait();
    assert!(found, "{command:?} never said {word:?}");
    elapsed
}

fn tshark(capture: &Path) -> Command {
    let mut command = on_one_core(Path::new("tshark"));
    command.args(["-n", "-r"]).arg(capture);
    command
}

fn silent(command: &mut Command) -> &mut Command {
    command.stdout(Stdio::null()).stderr(Stdio::null())
}

fn on_one_core(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", "0"]).arg(program);
    command
}

fn row(length: u64, values: &[f64]) -> Row {
    Row {
        what: format!("{} messages", figure(length as f64)),
        value: Quartiles::of(values.iter().copied()),
        ratio: None,
        samples: values.to_vec(),
    }
}
