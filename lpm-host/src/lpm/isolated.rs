//! An LPM in a process of its own: a child of the PCM, which loads the library and makes the calls.
//!
//! The PCM holds the same object behind the ABI as for any LPM; it passes on what crosses there.
//! Calls go through memory that both processes have mapped, all else over a socket. What comes back
//! is believed no more than it has to be: it is bounded, and checked as the answer of any LPM is.
//!
//! | file | subject |
//! |---|---|
//! | `program` | which program runs LPMs |
//! | `adapter` | the LPM as the PCM calls it |
//! | `hand_over` | state that it hands over or takes over, in parts |
//! | `many`, `answered` | decisions on many messages in one call |
//! | `process`, `child`, `keeper` | the process, and the thread that keeps it |
//! | `reports` | what it reports |
//! | `link` | calls that are under way |
//! | `ring`, `memory` | the shared memory, and who has the turn there |
//! | `watch`, `word` | how one waits for the other there |
//! | `frames` | what is said over the socket |
//! | `words`, `calls`, `task` | what is said, in words of memory |
//! | `runner`, `runs`, `load`, `serve` | the child's side |
//! | `confine` | how the child confines itself |
//! | `up`, `logs` | what it reports, at its side |
//! | `fuzzing` | what is fuzzed of it |

#[cfg(target_os = "linux")]
mod adapter;
pub(crate) mod answered;
#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod child;
#[cfg(target_os = "linux")]
mod confine;
pub(crate) mod error;
#[cfg(target_os = "linux")]
mod frames;
#[cfg(all(target_os = "linux", any(fuzzing, all(test, not(loom)))))]
pub(crate) mod fuzzing;
#[cfg(target_os = "linux")]
mod hand_over;
#[cfg(target_os = "linux")]
mod keeper;
#[cfg(target_os = "linux")]
mod link;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod logs;
#[cfg(target_os = "linux")]
mod many;
#[cfg(target_os = "linux")]
mod memory;
#[cfg_attr(not(target_os = "linux"), path = "isolated/elsewhere.rs")]
pub(crate) mod process;
mod program;
#[cfg(target_os = "linux")]
mod reports;
#[cfg(target_os = "linux")]
mod ring;
#[cfg(target_os = "linux")]
mod runner;
#[cfg(target_os = "linux")]
mod runs;
#[cfg(target_os = "linux")]
mod serve;
#[cfg(target_os = "linux")]
mod task;
#[cfg(target_os = "linux")]
mod up;
#[cfg(target_os = "linux")]
mod watch;
#[cfg(target_os = "linux")]
mod word;
#[cfg(target_os = "linux")]
mod words;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use lpm_abi::{AbiInit, AbiInitialized};

use self::error::IsolationError;
use self::process::Process;
use super::error::LpmError;
use super::trace::TraceLimit;
use super::trust::LpmLibrary;
use crate::confinement::Confinement;
use crate::event::EventLog;

/// Runs an LPM, where this process was started for that by a PCM, and does not return then; else it
/// returns at once. From then on LPMs can run in processes of their own: children of this program,
/// in which this is what runs.
///
/// Belongs first into `main`, before threads, files and signal handlers, which the child has no use
/// for.
pub fn run_if_asked() {
    program::this_one_runs_lpms();
    #[cfg(target_os = "linux")]
    if program::is_asked() {
        let Err(_gone) = runner::run();
        // Nothing of the LPM runs any more, as where the system ends this process with its PCM.
        // SAFETY: it ends the process, and runs nothing before that.
        unsafe { libc::_exit(1) };
    }
}

/// What this system cannot do of a confinement, in a line each: what is an event
/// ([`LpmNotConfined`](crate::event::EventId::LpmNotConfined)) when an LPM starts with it. Nothing
/// of this process changes.
#[must_use]
pub fn lacks(confinement: &Confinement) -> Vec<String> {
    #[cfg(target_os = "linux")]
    let lacks = confine::lacks(confinement);
    #[cfg(not(target_os = "linux"))]
    let lacks = {
        let _ = confinement;
        vec![IsolationError::Unsupported.to_string()]
    };
    lacks
}

/// An LPM that is to run in a process of its own.
pub(crate) struct Isolated<'a> {
    pub(crate) library: &'a LpmLibrary,
    pub(crate) confinement: &'a Confinement,
    /// The program that runs it, if not this one.
    pub(crate) runner: Option<PathBuf>,
    pub(crate) trace_limit: TraceLimit,
    pub(crate) events: &'a Arc<dyn EventLog>,
}

/// Why an LPM does not start in a process of its own.
pub(crate) enum NotStarted {
    Process(IsolationError),
    /// Its library does not load, for this reason.
    NotLoaded(String),
    NotInitialized(LpmError),
}

impl From<IsolationError> for NotStarted {
    fn from(error: IsolationError) -> Self {
        Self::Process(error)
    }
}

impl Isolated<'_> {
    /// Starts the process, and initializes the LPM there. `begun` gets the process at once, since
    /// that may take long.
    #[cfg(target_os = "linux")]
    pub(crate) fn start(
        &self,
        init: &AbiInit<'_>,
        begun: &OnceLock<Arc<Process>>,
    ) -> Result<(Arc<Process>, AbiInitialized), NotStarted> {
        use lpm_api::LpmHandle;

        use self::keeper::Told;
        use self::reports::Reports;
        use super::panics::Attachment;

        let program = program::find(self.runner.as_deref())?;
        let path = self.library.path();
        let attachment = Attachment::new(path, self.trace_limit, Arc::clone(self.events));
        let reports = Reports::new(
            init.name.as_str().into(),
            LpmHandle::new(init.handle),
            path.to_path_buf(),
            attachment,
            Arc::clone(self.events),
            Arc::default(),
        );
        let task = |mut put: words::Put<'_>, level| {
            task::put_task(&mut put, self.library, self.confinement, level, init);
        };
        let (process, told) = keeper::start(program, reports, task, begun)?;
        let lpm = match (told, process.description.get()) {
            (Told::Started, Some(lpm)) => adapter::initialized(&process, lpm),
            (Told::NotInitialized(status, message), _) => {
                process.end(ENDING);
                return Err(NotStarted::NotInitialized(LpmError { status, message }));
            }
            (Told::NotLoaded(why), _) => {
                process.end(ENDING);
                return Err(NotStarted::NotLoaded(why));
            }
            (Told::Started, None) => return Err(IsolationError::Unsupported.into()),
        };
        Ok((process, lpm))
    }

    /// There is no such process.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn start(
        &self,
        _: &AbiInit<'_>,
        _: &OnceLock<Arc<Process>>,
    ) -> Result<(Arc<Process>, AbiInitialized), NotStarted> {
        let _ = (
            self.library,
            self.confinement,
            self.trace_limit,
            self.events,
        );
        program::find(self.runner.as_deref())?;
        Err(IsolationError::Unsupported.into())
    }
}

/// How long a process whose LPM is deinitialized may take to end.
pub(crate) const ENDING: std::time::Duration = std::time::Duration::from_secs(5);
