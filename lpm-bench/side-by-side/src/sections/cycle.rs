//! Loading, initializing, deinitializing and unloading.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use lpm_host::{LpmLibrary, Pcm, UnloadOutcome};
use tempfile::TempDir;

use super::Context;
use crate::library::{self, built, trusted};
use crate::measure::{Contender, Effort, compare};
use crate::pcms;
use crate::report::{Comparison, Curve, Goal, Plot, Section};

const RAW: &str = "dlopen + dlclose";
const AGAIN: &str = "Pcm, the same one again";
const NEW: &str = "Pcm, a new one";

pub(super) fn measure(context: &Context) -> Result<Section, Box<dyn Error>> {
    let mut section = Section::new("cycle", "Load, initialize, deinitialize, unload");
    section.notes.push(
        "A new PCM makes its private copy of the library first; the same PCM uses its copy again. Each cycle \
         checks that the library was unmapped. abi_stable's own loader never unloads: the row is loading alone, \
         of a fresh copy of the file each time, and is timed after the others have had their turns."
            .to_owned(),
    );
    let counts: &[usize] = if context.quick {
        &[1, 20]
    } else {
        &[1, 100, 1_000]
    };
    let folder = tempfile::tempdir()?;
    let mut others: Vec<Pcm> = Vec::new();
    let mut loaded = 0;
    for &count in counts {
        others.push(load_more(&folder, loaded, count)?);
        loaded = count;
        section.comparisons.push(cycles(count, context)?);
        section.comparisons.push(loading(count, &folder, context)?);
    }
    for pcm in others {
        pcm.demote()?;
    }
    section.goals = Goal::at_most(
        "cycle ≤ 4× raw dlopen + dlclose",
        section.comparisons[0].ratio(AGAIN, RAW),
        4.0,
        "×",
    )
    .into_iter()
    .collect();
    section.plots.push(plot(counts, &section.comparisons));
    Ok(section)
}

/// Loads libraries, so that there are `count` where there were `loaded`.
fn load_more(folder: &TempDir, loaded: usize, count: usize) -> Result<Pcm, Box<dyn Error>> {
    let original = lpm_fixtures::library("accepts");
    let copies = (loaded..count).map(|number| -> Result<LpmLibrary, Box<dyn Error>> {
        let copy = folder.path().join(format!("libaccepts{number}.so"));
        fs::copy(&original, &copy)?;
        Ok(trusted(&copy))
    });
    let copies: Vec<_> = copies.collect::<Result<_, _>>()?;
    pcms::in_charge(copies, "")
}

fn cycles(count: usize, context: &Context) -> Result<Comparison, Box<dyn Error>> {
    let file = lpm_fixtures::library("accepts");
    let module = built("peer_relib_module");
    let accepts = library::accepts();
    let same = pcms::new([accepts.clone()], "")?;
    // Makes its private copy.
    cycle(&same);
    let contenders = vec![
        Contender::single(RAW, trial(|| drop(library::open(&file).expect("loads")))),
        Contender::single(AGAIN, trial(|| cycle(&same))),
        Contender::single(
            NEW,
            trial(|| cycle(&pcms::new([accepts.clone()], "").expect("builds"))),
        ),
        Contender::single(
            "relib",
            trial(|| library::relib_cycle(&module).expect("loads and unloads")),
        ),
    ];
    let rounds = if context.quick { 5 } else { 101 };
    let case = format!("{count} loaded");
    Ok(compare(case, contenders, Effort::of_trials(rounds)))
}

fn loading(
    count: usize,
    folder: &TempDir,
    context: &Context,
) -> Result<Comparison, Box<dyn Error>> {
    let original = built("peer_library");
    let rounds = if context.quick { 5 } else { 31 };
    let copies: Vec<PathBuf> = (0..rounds)
        .map(|number| folder.path().join(format!("libpeer{count}-{number}.so")))
        .collect();
    for copy in &copies {
        fs::copy(&original, copy)?;
    }
    let mut copies = copies.iter();
    let contenders = vec![
        Contender::single(
            RAW,
            trial(|| drop(library::open(&original).expect("loads"))),
        ),
        Contender::single(
            "abi_stable's loader, load only",
            trial(move || {
                let copy: &Path = copies.next().expect("one for each round");
                drop(library::load_for_good(copy).expect("loads"));
            }),
        ),
    ];
    let case = format!("{count} loaded, never to be unloaded");
    Ok(compare(case, contenders, Effort::of_trials(rounds)))
}

fn trial<'a>(mut work: impl FnMut() + Send + 'a) -> crate::measure::Lane<'a> {
    Box::new(move |_| {
        let begun = Instant::now();
        work();
        begun.elapsed()
    })
}

fn cycle(pcm: &Pcm) {
    pcm.become_dsbm().expect("starts");
    let teardown = pcm.demote().expect("in charge");
    for library in teardown.libraries {
        assert_eq!(library.outcome, UnloadOutcome::Unmapped);
    }
}

fn plot(counts: &[usize], comparisons: &[Comparison]) -> Plot {
    let cycles: Vec<_> = comparisons.iter().step_by(2).collect();
    let curves = cycles[0].rows.iter().map(|row| Curve {
        what: row.what.clone(),
        points: counts
            .iter()
            .zip(&cycles)
            .filter_map(|(count, cycle)| {
                Some((*count as f64, cycle.row(&row.what)?.value.median / 1e6))
            })
            .collect(),
    });
    Plot {
        name: "cycle",
        title: "A cycle, by loaded libraries",
        x: "loaded libraries",
        y: "milliseconds",
        curves: curves.collect(),
    }
}
