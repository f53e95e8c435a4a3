//! What a library's file tells, read in a child process: so reading has a limit in time and memory,
//! whatever is in the file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lpm_host::LpmLibrary;
use lpm_host::libunload::LibraryFile;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::child::{self, ChildError, End, Journal};
use crate::commands::trust_facts::TrustFacts;
use crate::sum;

/// What a library's file tells.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LibraryFacts {
    pub(crate) size: u64,
    /// If it was asked for.
    pub(crate) sha256: Option<String>,
    pub(crate) target: String,
    pub(crate) makers: Vec<String>,
    pub(crate) needed: Vec<String>,
    pub(crate) hazards: Vec<HazardFact>,
    pub(crate) exports_lpm: Option<bool>,
    /// If all of it was read.
    pub(crate) trust: Option<TrustFacts>,
}

/// What could hinder unloading it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HazardFact {
    hazard: String,
    pub(crate) text: String,
}

/// Why a library's file tells nothing.
#[derive(Debug, Error)]
pub(crate) enum FactsError {
    /// It cannot be read, or is no library for this machine.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// Reading took too long.
    #[error("{}: reading it was ended after {limit:?}; give more with --time-limit", library.display())]
    TookTooLong { library: PathBuf, limit: Duration },
    /// The process that read it came to a bad end.
    #[error("{}: the process that read it {how}", library.display())]
    Ended { library: PathBuf, how: String },
    /// There was no such process.
    #[error(transparent)]
    Child(#[from] ChildError),
}

/// What the child says of a file that tells nothing; the text names it.
#[derive(Debug, Error, Serialize, Deserialize)]
#[error("{0}")]
pub(crate) struct Unreadable(String);

/// What a child is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    /// Read what says what the library is.
    Headers,
    /// Read all of it, for its SHA-256, and whether it is signed by one of these keys, too.
    Whole { keys: Vec<String> },
}

/// Has a child process read the file.
pub(crate) fn read(
    task: &Task,
    library: &Path,
    limit: Duration,
) -> Result<LibraryFacts, FactsError> {
    let finished = child::run::<Result<LibraryFacts, Unreadable>>("read", task, library, limit)?;
    let library = library.to_owned();
    match (finished.records.into_iter().next(), finished.end) {
        (Some(found), End::Well) => Ok(found?),
        (None, End::Well) => Err(FactsError::Ended {
            library,
            how: "said nothing".to_owned(),
        }),
        (_, End::TookTooLong(limit)) => Err(FactsError::TookTooLong { library, limit }),
        (_, End::Early(how)) => Err(FactsError::Ended { library, how }),
    }
}

/// The child's part.
pub(crate) fn in_child(task: &Task, library: &Path, journal: &Journal) {
    journal.write(&facts(task, library));
}

fn facts(task: &Task, library: &Path) -> Result<LibraryFacts, Unreadable> {
    let file = LibraryFile::read(library).map_err(|error| Unreadable(error.to_string()))?;
    let (sha256, trust) = match task {
        Task::Headers => (None, None),
        Task::Whole { keys } => {
            let unreadable = |error| {
                let library = library.display();
                Unreadable(format!("{library}: cannot be read: {error}"))
            };
            let sum = sum::of_file(library).map_err(unreadable)?;
            (Some(sum), Some(TrustFacts::of(library, keys)))
        }
    };
    let hazards = file.hazards().into_iter().map(|hazard| HazardFact {
        hazard: hazard.name().to_owned(),
        text: hazard.to_string(),
    });
    Ok(LibraryFacts {
        size: file.size(),
        sha256,
        target: file.target(),
        makers: file.makers().to_vec(),
        needed: file.needed().to_vec(),
        hazards: hazards.collect(),
        exports_lpm: exports_lpm(&file),
        trust,
    })
}

/// Whether it exports what `export_lpm!` does, or any function of `lpmapi.h`.
fn exports_lpm(file: &LibraryFile) -> Option<bool> {
    let mut symbols = std::iter::once(LpmLibrary::SYMBOL).chain(LpmLibrary::FUNCTIONS_OF_LPMAPI);
    symbols.try_fold(false, |found, symbol| Some(found | file.exports(symbol)?))
}
