//! Local Policy Modules, timed next to what a user would pick instead.
//! `cargo run --release -p lpm-bench` at the project's root builds and runs this program.

#[allow(dead_code, unused_imports, unsafe_code)]
#[path = "../../../libunload/src"]
mod host_library {
    pub(crate) mod gate;
}
#[allow(dead_code, unused_imports)]
#[path = "../../../lpm-host/src/requests/shard.rs"]
mod shard;
#[allow(dead_code, unused_imports)]
#[path = "../../../lpm-host/src/requests/table.rs"]
mod host_table;

mod child;
mod format;
mod library;
mod machine;
mod measure;
mod memory;
mod pcms;
mod plots;
mod report;
mod sections;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use format::Format;
use machine::Machine;
use report::Report;
use sections::{Context, SECTIONS};

/// Time the project next to what a user would pick instead
#[derive(Debug, Parser)]
#[command(name = "lpm-bench", version)]
struct Args {
    /// Which sections to run; all, if none is named
    #[arg(value_name = "SECTION", value_parser = clap::builder::PossibleValuesParser::new(SECTIONS.map(|(name, _)| name)))]
    sections: Vec<String>,

    /// See whether everything runs, in about a minute; the figures say little
    #[arg(long)]
    quick: bool,

    /// How to print the report
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,

    /// Draw the curves, as SVG files in this folder
    #[arg(long, value_name = "FOLDER")]
    plots: Option<PathBuf>,

    /// Write the pages of the book with the results, and their curves, below this folder
    #[arg(long, value_name = "FOLDER", conflicts_with = "sections")]
    book: Option<PathBuf>,

    /// The program `pcm` whose `replay` is timed
    #[arg(long, value_name = "FILE")]
    pcm: PathBuf,
}

fn main() -> ExitCode {
    if child::is_wanted() {
        return child::run();
    }
    if let Some(done) = memory::run_if_wanted() {
        return done;
    }
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lpm-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let machine = Machine::here();
    let context = Context {
        quick: args.quick,
        pcm: args.pcm.clone(),
    };
    let is_wanted =
        |name: &str| args.sections.is_empty() || args.sections.iter().any(|wanted| wanted == name);
    let mut sections = Vec::new();
    for (name, measure) in SECTIONS.iter().filter(|(name, _)| is_wanted(name)) {
        eprintln!("lpm-bench: {name} …");
        sections.push(measure(&context)?);
    }
    let report = Report {
        command: command(args),
        machine,
        goals: sections
            .iter()
            .flat_map(|section| section.goals.clone())
            .collect(),
        sections,
    };
    if let Some(folder) = &args.plots {
        draw(&report, folder)?;
    }
    if let Some(folder) = &args.book {
        draw(&report, &folder.join("benchmarks"))?;
        write(
            &folder.join("benchmarks/results.md"),
            &Format::Markdown.print(&report),
        )?;
    }
    print!("{}", args.format.print(&report));
    Ok(())
}

/// What does the same again.
fn command(args: &Args) -> String {
    let quick = args.quick.then_some("--quick");
    let arguments: Vec<_> = quick
        .into_iter()
        .chain(args.sections.iter().map(String::as_str))
        .collect();
    match arguments[..] {
        [] => "cargo run --release -p lpm-bench".to_owned(),
        _ => format!(
            "cargo run --release -p lpm-bench -- {}",
            arguments.join(" ")
        ),
    }
}

fn draw(report: &Report, folder: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for plot in report.sections.iter().flat_map(|section| &section.plots) {
        plots::draw(plot, folder)
            .map_err(|error| format!("{}: {}: {error}", folder.display(), plot.name))?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
