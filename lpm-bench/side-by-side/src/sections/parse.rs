//! Reading a message, looking at all of it, and building one.

use std::error::Error;
use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lpm_bench::walk::walk;
use lpm_bench::{capture, messages};
use lpm_rsvp::{Message, ObjectIndex, checksum};

use super::Context;
use crate::measure::{Contender, Effort, Lane, calls, compare};
use crate::report::{Comparison, Section};

pub(super) fn measure(context: &Context) -> Result<Section, Box<dyn Error>> {
    let mut section = Section::new("parse", "Parse, walk, build");
    section.notes.push(
        "Walking looks at every object, flow, sender and policy element. The floor copies the same bytes and \
         computes their checksum once. Of tshark and scapy, start-up does not count: a capture of a few messages is \
         read as well, and taken off."
            .to_owned(),
    );
    type Build = fn() -> Vec<u8>;
    let kinds: [(&str, Build); 5] = [
        ("Path", || messages::path(1)),
        ("Path with identity", || messages::path_with_identity(1, 1)),
        ("Resv, 1 flow", || messages::resv(1, 1)),
        ("Resv, 8 flows", || messages::resv(1, 8)),
        ("Resv, 1 000 flows", || messages::resv(1, 1_000)),
    ];
    for (name, build) in kinds {
        section.comparisons.push(message(name, build, context));
    }
    section
        .comparisons
        .push(for_scale(context, &mut section.notes)?);
    Ok(section)
}

fn message(name: &str, build: fn() -> Vec<u8>, context: &Context) -> Comparison {
    let bytes = build();
    let mut copy = vec![0; bytes.len()];
    let mut index = ObjectIndex::new();
    let contenders = vec![
        Contender::single(
            "copy + checksum",
            calls(|_| {
                copy.copy_from_slice(black_box(&bytes));
                black_box(checksum(black_box(&copy)));
            }),
        ),
        Contender::single(
            "parse + walk",
            calls(|_| parse_and_walk(&bytes, &mut index)),
        ),
        Contender::single(
            "build",
            calls(|_| {
                black_box(build());
            }),
        ),
    ];
    let case = format!("{name}, {} bytes", bytes.len());
    compare(case, contenders, Effort::of_calls(context.quick))
}

fn parse_and_walk(bytes: &[u8], index: &mut ObjectIndex) {
    let message = Message::parse(black_box(bytes), index).expect("well-formed");
    black_box(walk(&message));
}

/// Programs in other languages, which read captures.
fn for_scale(context: &Context, notes: &mut Vec<String>) -> Result<Comparison, Box<dyn Error>> {
    const FEW: u64 = 10;
    let many = if context.quick { 1_000 } else { 20_000 };
    let folder = tempfile::tempdir()?;
    let captures = [FEW, FEW + many].map(|messages| {
        let path = folder.path().join(format!("{messages}.pcap"));
        File::create(&path)
            .and_then(|file| {
                let mut out = BufWriter::new(file);
                capture::write(&mut out, messages)?;
                out.flush()
            })
            .map(|()| path)
    });
    let [few, most] = captures;
    let captures = [few?, most?];
    let path = messages::path_with_identity(1, 1);
    let resv = messages::resv_with_identity(1, 1);
    let mut index = ObjectIndex::new();
    let mut contenders = vec![Contender::single(
        "parse + walk",
        Box::new(|_| {
            let begun = Instant::now();
            for _ in 0..many / 2 {
                parse_and_walk(&path, &mut index);
                parse_and_walk(&resv, &mut index);
            }
            per_message(begun.elapsed(), many)
        }),
    )];
    if has_tshark() {
        let tshark = |capture: &Path| {
            let mut command = Command::new("tshark");
            command.args(["-n", "-V", "-r"]).arg(capture);
            command
        };
        contenders.push(Contender::single(
            "tshark -V",
            program(tshark, &captures, many),
        ));
    } else {
        notes.push("tshark is not installed: left out (`apt install tshark`).".to_owned());
    }
    if scapy_version().is_some() {
        let scapy = |capture: &Path| {
            let mut command = Command::new("python3");
            command.args(["-c", SCAPY]).arg(capture);
            command
        };
        contenders.push(Contender::single("scapy", program(scapy, &captures, many)));
    } else {
        notes.push("scapy is not installed: left out (`pip install scapy`).".to_owned());
    }
    let effort = Effort::of_trials(if context.quick { 1 } else { 5 });
    Ok(compare(
        "Path and Resv with identity, a message",
        contenders,
        effort,
    ))
}

/// Dissects every packet of a capture.
const SCAPY: &str = "
import sys
from scapy.contrib import rsvp
from scapy.all import PcapReader
for packet in PcapReader(sys.argv[1]):
    assert rsvp.RSVP in packet, packet
";

/// The version of scapy, where Python has it.
pub(crate) fn scapy_version() -> Option<String> {
    let script = "import scapy.contrib.rsvp, scapy; print(scapy.VERSION)";
    let output = Command::new("python3").args(["-c", script]).output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?;
    (output.status.success()).then(|| version.trim().to_owned())
}

pub(super) fn has_tshark() -> bool {
    let mut tshark = Command::new("tshark");
    let tshark = tshark
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    tshark.status().is_ok_and(|status| status.success())
}

/// A lane that runs a program over both captures.
fn program<'a>(
    command: impl Fn(&Path) -> Command + Send + 'a,
    captures: &'a [PathBuf; 2],
    many: u64,
) -> Lane<'a> {
    Box::new(move |_| {
        let [few, most] = captures.each_ref().map(|capture| {
            let begun = Instant::now();
            let mut command = command(capture);
            let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
            assert!(status.is_ok_and(|status| status.success()), "{command:?}");
            begun.elapsed()
        });
        per_message(most.saturating_sub(few), many)
    })
}

fn per_message(elapsed: Duration, messages: u64) -> Duration {
    elapsed.div_f64(messages as f64)
}
