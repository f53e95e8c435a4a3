//! What an LPM library says about itself, before anything of it is initialized.

use std::sync::Arc;

use libunload::{Copies, LeftBehind};

use super::module::{LoadError, LoadedModule};
use super::trace::TraceLimit;
use super::trust::LpmLibrary;
use super::visits::VisitLimit;
use crate::event::EventLog;
use crate::pin_reason::UnloadOutcome;

/// What an LPM library says about itself. To learn it, the library is loaded and unloaded again; the LPM in
/// it is not initialized.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LpmDescription {
    /// The package it was built from.
    pub name: String,
    /// That package's version.
    pub version: String,
    /// Its authors.
    pub authors: Vec<String>,
    /// The version of the LPM API that it speaks.
    pub api_version: u32,
    /// The version of the `lpm-api` package that it was built with.
    pub lpm_api: String,
    /// What became of the library.
    pub outcome: UnloadOutcome,
}

impl LpmDescription {
    /// Loads the library, asks it, and unloads it. Its initializers and finalizers run on this thread,
    /// without a limit in time. What it reports meanwhile goes to the event log.
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
        let module = loaded.module();
        let package = module.package();
        // Copied, since the texts are the library's memory.
        let text = |text: &str| text.to_owned();
        let mut description = Self {
            name: text(package.name.as_str()),
            version: text(package.version.as_str()),
            authors: package.authors.split(':').map(text).collect(),
            api_version: module.api_version(),
            lpm_api: loaded.lpm_api(),
            outcome: UnloadOutcome::Unmapped,
        };
        description.authors.retain(|author| !author.is_empty());
        description.outcome = loaded.unload(&mut LeftBehind::default());
        Ok(description)
    }
}
