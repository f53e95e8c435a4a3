//! What an LPM library says about itself, before anything of it is initialized.

use std::path::Path;
use std::sync::Arc;

use libunload::{Copies, LeftBehind};
use lpm_abi::{API_VERSION, AbiLpmModuleRef};

use super::module::{LoadError, LoadedModule};
use super::trace::TraceLimit;
use super::trust::LpmLibrary;
use super::visits::VisitLimit;
use crate::event::EventLog;
use crate::pin_reason::UnloadOutcome;

/// What an LPM library says about itself. To learn it, the library is loaded and unloaded again;
/// the LPM in it is not initialized.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LpmDescription {
    /// The package it was built from; for an LPM in C, the file's name.
    pub name: String,
    /// That package's version.
    pub version: String,
    /// Its authors.
    pub authors: Vec<String>,
    /// The version of the LPM API that it speaks.
    pub api_version: u32,
    /// The version of the `lpm-api` package that it was built with; empty for an LPM in C, which is
    /// written against `lpmapi.h`.
    pub lpm_api: String,
    /// What became of the library.
    pub outcome: UnloadOutcome,
}

impl LpmDescription {
    /// Loads the library, asks it, and unloads it. Its initializers and finalizers run on this
    /// thread, without a limit in time. What it reports meanwhile goes to the event log.
    ///
    /// # Errors
    ///
    /// The library cannot serve as an LPM; [`LoadError`] says why.
    pub fn of(library: &LpmLibrary, events: impl EventLog + 'static) -> Result<Self, LoadError> {
        let events: Arc<dyn EventLog> = Arc::new(events);
        let loaded = LoadedModule::load(
            library,
            &Copies::new(),
            TraceLimit::default(),
            VisitLimit::default(),
            &events,
        )?;
        let mut description = match loaded.module() {
            Some((module, lpm_api)) => Self::of_module(module, lpm_api),
            None => Self::of_c_library(loaded.path()),
        };
        description.outcome = loaded.unload(&mut LeftBehind::default());
        Ok(description)
    }

    fn of_module(module: AbiLpmModuleRef, lpm_api: &str) -> Self {
        let package = module.package();
        // Copied, since the texts are the library's memory.
        let text = |text: &str| text.to_owned();
        let authors = package.authors.split(':');
        Self {
            name: text(package.name.as_str()),
            version: text(package.version.as_str()),
            authors: authors
                .filter(|author| !author.is_empty())
                .map(text)
                .collect(),
            api_version: module.api_version(),
            lpm_api: text(lpm_api),
            outcome: UnloadOutcome::Unmapped,
        }
    }

    /// The functions of the header say nothing of where they come from.
    fn of_c_library(path: &Path) -> Self {
        let name = path.file_stem().unwrap_or_default();
        Self {
            name: name.to_string_lossy().into_owned(),
            version: String::new(),
            authors: Vec::new(),
            api_version: API_VERSION,
            lpm_api: String::new(),
            outcome: UnloadOutcome::Unmapped,
        }
    }
}
