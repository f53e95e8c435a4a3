//! How a report is printed.

use std::fmt::Write as _;

use clap::ValueEnum;

use crate::report::{Comparison, Quartiles, Report, Row, Section, figure};

/// How the report is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For the book.
    Markdown,
}

impl Format {
    /// The report as text. `plots` are names of files, in the order of the sections' plots.
    pub(crate) fn print(self, report: &Report) -> String {
        match self {
            Self::Table => table(report),
            Self::Json => serde_json::to_string_pretty(report).expect("plain data") + "\n",
            Self::Markdown => markdown(report),
        }
    }
}

const HEADINGS: [&str; 5] = ["case", "what", "median", "middle half", "ratio"];

fn table(report: &Report) -> String {
    let mut text = String::new();
    for line in machine(report) {
        let _ = writeln!(text, "{line}");
    }
    let cells: Vec<Vec<_>> = report
        .sections
        .iter()
        .map(|section| rows(section))
        .collect();
    let mut widths = HEADINGS.map(str::len);
    for row in cells.iter().flatten() {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut line = |row: &[String; 5]| {
        let [case, what, median, half, ratio] = row;
        let [a, b, c, d, e] = widths;
        let _ = writeln!(
            text,
            "{case:a$}  {what:b$}  {median:>c$}  {half:>d$}  {ratio:>e$}"
        );
    };
    line(&HEADINGS.map(str::to_owned));
    for (section, rows) in report.sections.iter().zip(&cells) {
        line(&[
            format!("-- {}", section.title),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
        ]);
        rows.iter().for_each(&mut line);
    }
    for section in &report.sections {
        for note in &section.notes {
            let _ = writeln!(text, "{}: {note}", section.name);
        }
    }
    for goal in &report.goals {
        let word = if goal.met { "met" } else { "MISSED" };
        let _ = writeln!(text, "goal {word}: {}: {}", goal.what, goal.measured);
    }
    text
}

fn markdown(report: &Report) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "`{}`\n", report.command);
    for line in machine(report) {
        let _ = writeln!(text, "- {line}");
    }
    for section in &report.sections {
        let _ = writeln!(text, "\n### {}\n", section.title);
        let _ = writeln!(text, "| {} |\n|---|---|--:|--:|--:|", HEADINGS.join(" | "));
        for row in rows(section) {
            let _ = writeln!(text, "| {} |", row.join(" | "));
        }
        for note in &section.notes {
            let _ = writeln!(text, "\n{note}");
        }
        for plot in &section.plots {
            let _ = writeln!(text, "\n![{}](benchmarks/{}.svg)", plot.title, plot.name);
        }
    }
    text
}

fn machine(report: &Report) -> [String; 3] {
    let machine = &report.machine;
    let peers = machine.peers.iter();
    let peers: Vec<_> = peers
        .map(|peer| format!("{} {}", peer.name, peer.version))
        .collect();
    [
        format!(
            "{}, {} cores, {} GiB; load {:.2} when it began, on {}",
            machine.processor, machine.cores, machine.memory_gib, machine.load, machine.began
        ),
        format!("{}; {}", machine.system, machine.compiler),
        peers.join(", "),
    ]
}

fn rows(section: &Section) -> Vec<[String; 5]> {
    let rows = section.comparisons.iter().flat_map(|comparison| {
        comparison.rows.iter().enumerate().map(|(place, row)| {
            let case = if place == 0 { &*comparison.case } else { "" };
            cells(case, comparison, row)
        })
    });
    rows.collect()
}

fn cells(case: &str, comparison: &Comparison, row: &Row) -> [String; 5] {
    let Quartiles {
        lower,
        median,
        upper,
    } = row.value;
    let (median, spread) = match comparison.unit {
        "ns" => {
            let (scale, unit) = unit_of(median);
            let scaled = |value| figure(value / scale);
            (
                format!("{} {unit}", scaled(median)),
                format!("{} – {}", scaled(lower), scaled(upper)),
            )
        }
        unit => (
            format!("{} {unit}", figure(median)),
            format!("{} – {}", figure(lower), figure(upper)),
        ),
    };
    let spread = if row.samples.len() > 1 {
        spread
    } else {
        String::new()
    };
    let ratio = row
        .ratio
        .map_or_else(String::new, |ratio| figure(ratio.median));
    [case.to_owned(), row.what.clone(), median, spread, ratio]
}

fn unit_of(nanoseconds: f64) -> (f64, &'static str) {
    match nanoseconds {
        ..1e4 => (1.0, "ns"),
        ..1e7 => (1e3, "µs"),
        ..1e10 => (1e6, "ms"),
        _ => (1e9, "s"),
    }
}
