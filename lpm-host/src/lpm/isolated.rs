//! An LPM in a process of its own: a child of the PCM, which loads the library and makes the calls.
//!
//! The PCM holds the same object behind the ABI as for any LPM; it passes on what crosses there.
//! On Linux calls go through memory that both processes have mapped, all else over a socket;
//! elsewhere, and on Linux with `--cfg lpm_pipes`, for tests, everything goes through the child's
//! standard input and output. What is said is the same. What comes back is believed no more than it
//! has to be: it is bounded, and checked as the answer of any LPM is.
//!
//! | file | subject |
//! |---|---|
//! | `program` | which program runs LPMs |
//! | `adapter` | the LPM as the PCM calls it |
//! | `hand_over` | state that it hands over or takes over, in parts |
//! | `many`, `answered` | decisions on many messages in one call |
//! | `process`, `child`, `keeper` | the process, and the thread that keeps it; `piped` in place of `child` over pipes |
//! | `spawned`, `ended` | any process that was started, and how it ended |
//! | `job` | how a process ends with its PCM on Windows |
//! | `reports` | what it reports |
//! | `link` | calls that are under way |
//! | `turns` | places for calls |
//! | `ring`, `memory` | the shared memory, and who has the turn there; `places` in place of both over pipes |
//! | `watch`, `word` | how one waits for the other there |
//! | `frames` | what is said over the wire |
//! | `words`, `calls`, `decide`, `task` | what is said, in words of memory |
//! | `copied`, `batch` | a message in such words, and many that wait |
//! | `runner`, `runs`, `load`, `serve` | the child's side |
//! | `confine` | how the child confines itself; `unconfined` where it cannot |
//! | `up`, `logs` | what it reports, at its side |
//! | `fuzzing` | what is fuzzed of it |

mod adapter;
pub(crate) mod answered;
pub(crate) mod batch;
mod calls;
#[cfg_attr(any(lpm_pipes, not(target_os = "linux")), path = "isolated/piped.rs")]
mod child;
#[cfg_attr(not(target_os = "linux"), path = "isolated/unconfined.rs")]
mod confine;
pub(crate) mod copied;
pub(crate) mod decide;
mod ended;
pub(crate) mod error;
mod frames;
#[cfg(all(
    target_os = "linux",
    not(lpm_pipes),
    any(fuzzing, all(test, not(loom)))
))]
pub(crate) mod fuzzing;
mod hand_over;
#[cfg(windows)]
mod job;
mod keeper;
mod link;
mod load;
mod logs;
mod many;
#[cfg_attr(any(lpm_pipes, not(target_os = "linux")), path = "isolated/places.rs")]
mod memory;
pub(crate) mod process;
mod program;
mod reports;
#[cfg(all(target_os = "linux", not(lpm_pipes)))]
mod ring;
mod runner;
mod runs;
mod serve;
mod spawned;
mod task;
mod turns;
mod up;
#[cfg_attr(
    any(lpm_pipes, not(target_os = "linux")),
    allow(dead_code, reason = "it pays off with shared memory only")
)]
mod watch;
#[cfg(all(target_os = "linux", not(lpm_pipes)))]
mod word;
mod words;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use lpm_abi::{AbiInit, AbiInitialized};
use lpm_api::LpmHandle;

use self::error::IsolationError;
use self::keeper::Told;
use self::process::Process;
use self::reports::Reports;
use super::error::LpmError;
use super::panics::Attachment;
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
    if program::is_asked() {
        let Err(_gone) = runner::run();
        // Nothing of the LPM runs any more, as where the system ends this process with its PCM.
        ended::end_this_process();
    }
}

/// What this system cannot do of a confinement, in a line each: what is an event
/// ([`LpmNotConfined`](crate::event::EventId::LpmNotConfined)) when an LPM starts with it. Nothing
/// of this process changes.
#[must_use]
pub fn lacks(confinement: &Confinement) -> Vec<String> {
    confine::lacks(confinement)
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
    pub(crate) fn start(
        &self,
        init: &AbiInit<'_>,
        begun: &OnceLock<Arc<Process>>,
    ) -> Result<(Arc<Process>, AbiInitialized), NotStarted> {
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
            (Told::Started, None) => return Err(IsolationError::Undescribed.into()),
        };
        Ok((process, lpm))
    }
}

/// How long a process whose LPM is deinitialized may take to end.
pub(crate) const ENDING: std::time::Duration = std::time::Duration::from_secs(5);
