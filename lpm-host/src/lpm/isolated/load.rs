//! How a runner gets its LPM.

use std::sync::Arc;

use libunload::PrivateCopy;
use lpm_api::{LpmHandle, LpmStatus};

use super::super::error::LpmError;
use super::super::instance::Instance;
use super::super::module::{self, LoadedModule};
use super::confine::confine;
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

/// A library that nothing was run of, in a process that is as confined as it is to be.
pub(super) struct Prepared {
    copy: PrivateCopy,
    /// The most verbose level that the PCM wants.
    pub(super) level: u32,
    /// What this system cannot do.
    pub(super) missing: Vec<String>,
}

/// Makes ready for the library of a task.
pub(super) fn prepare(mut task: Take<'_>) -> Result<Prepared, Unfit> {
    let malformed = |malformed: Malformed| Unfit::NotLoaded(malformed.to_string());
    let task = Task::take(&mut task, CALLBACKS).map_err(malformed)?;
    let copy = module::stage(&task.library);
    let copy = copy.map_err(|error| Unfit::NotLoaded(error.to_string()))?;
    let missing = confine(&task.confinement).map_err(|error| {
        let library = task.library.path().display();
        Unfit::NotLoaded(format!(
            "{library}: its process cannot be confined: {error}"
        ))
    })?;
    Ok(Prepared {
        copy,
        level: task.level,
        missing,
    })
}

/// Loads the library of a task, and initializes its LPM.
pub(super) fn initialize(
    prepared: Prepared,
    mut task: Take<'_>,
    events: Arc<dyn EventLog>,
) -> Result<(Instance, Description), Unfit> {
    let malformed = |malformed: Malformed| Unfit::NotLoaded(malformed.to_string());
    let task = Task::take(&mut task, CALLBACKS).map_err(malformed)?;
    let library = LoadedModule::load_staged(prepared.copy, &task.library, &events);
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
