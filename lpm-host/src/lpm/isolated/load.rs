//! How a runner gets its LPM.

use std::sync::Arc;

use libunload::Copies;
use lpm_api::{LpmHandle, LpmStatus};

use super::super::error::LpmError;
use super::super::instance::Instance;
use super::super::module::LoadedModule;
use super::super::trace::TraceLimit;
use super::super::visits::VisitLimit;
use super::task::{Description, Task};
use super::words::{Malformed, Take};
use crate::event::EventLog;
use crate::requests::results::CALLBACKS;
use crate::source::LpmSource;

/// Why there is no LPM.
pub(super) enum Unfit {
    NotLoaded(String),
    NotInitialized(LpmStatus, String),
    /// It returned a PE type that is none.
    PeType(u32),
}

/// The most verbose level that the PCM wants.
pub(super) fn level(mut task: Take<'_>) -> Result<u32, Malformed> {
    Ok(Task::take(&mut task, CALLBACKS)?.level)
}

/// Loads the library of a task, and initializes its LPM.
pub(super) fn initialize(
    mut task: Take<'_>,
    events: Arc<dyn EventLog>,
) -> Result<(Instance, Description), Unfit> {
    let malformed = |malformed: Malformed| Unfit::NotLoaded(malformed.to_string());
    let task = Task::take(&mut task, CALLBACKS).map_err(malformed)?;
    // The PCM counts what is logged.
    let logs = TraceLimit::new(u32::MAX, u32::MAX);
    let library = LoadedModule::load(
        &task.library,
        &Copies::new(),
        logs,
        VisitLimit::default(),
        &events,
    );
    let library = library.map_err(|error| Unfit::NotLoaded(error.to_string()))?;
    let name: Arc<str> = task.init.name.as_str().into();
    let failed = |LpmError { status, message }| Unfit::NotInitialized(status, message);
    let initialized = library.initialize(&name, task.init).map_err(failed)?;
    let pe_type = initialized.pe_type();
    let (is_in_c, version) = (library.conduct().is_some(), library.version());
    let handle = LpmHandle::new(task.init.handle);
    let source = LpmSource::from(task.library);
    let lpm = Instance::new(name, handle, initialized, source, Some(library));
    let lpm = lpm.map_err(Unfit::PeType)?;
    let (offers_statistics, offers_reasons, offers_hand_over) = lpm.offers();
    Ok((
        lpm,
        Description {
            pe_type,
            is_in_c,
            version,
            offers_statistics,
            offers_reasons,
            offers_hand_over,
        },
    ))
}
