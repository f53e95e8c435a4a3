//! Which LPMs a PCM runs, and within which limits.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::confinement::Confinement;
use crate::error::BuildError;
use crate::source::LpmSource;

/// One configured LPM. The same library may be configured several times: it is loaded once and
/// initialized as often.
///
/// Two that are equal configure the same LPM: [`Pcm::reconfigure`](crate::Pcm::reconfigure) keeps
/// it running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LpmConfig {
    pub(crate) name: Arc<str>,
    pub(crate) source: LpmSource,
    pub(crate) config: String,
    pub(crate) config_source: String,
    pub(crate) config_dir: Option<PathBuf>,
    pub(crate) config_version: String,
    pub(crate) optional: bool,
    pub(crate) result_time_limit: Duration,
    pub(crate) initialize_limit: Duration,
    pub(crate) deinitialize_limit: Duration,
    pub(crate) call_mode: CallMode,
    pub(crate) isolation: Isolation,
    pub(crate) confinement: Confinement,
    pub(crate) after: After,
}

/// Where calls into an LPM run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallMode {
    /// On the caller's thread, at the speed of a function call. A call that hangs holds its caller,
    /// and the LPM is in quarantine meanwhile.
    #[default]
    Inline,
    /// On threads of the LPM's own: a caller waits no longer than the result time limit, at the
    /// price of two changes of thread per call.
    Worker {
        /// How many threads; with more than one the LPM is called from several at once.
        threads: NonZeroUsize,
    },
}

impl CallMode {
    /// On one thread of the LPM's own.
    #[must_use]
    pub const fn worker() -> Self {
        Self::Worker {
            threads: NonZeroUsize::MIN,
        }
    }
}

/// Whether an LPM runs in the PCM's process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Isolation {
    /// In the PCM's own process: whatever crashes one crashes the other.
    #[default]
    None,
    /// In a child process: its crash rejects what it was asked, and it starts again. A call costs
    /// two changes of process, and more over pipes, which it goes over where this is not Linux. The
    /// program has to call [`run_if_asked`](crate::isolated::run_if_asked), or to name one that
    /// does ([`PcmBuilder::runner`](crate::PcmBuilder::runner)).
    Process,
}

impl Isolation {
    /// The isolation in one lower-case word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Process => "process",
        }
    }
}

/// Which LPMs must be initialized before an LPM, and deinitialized after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// All that are configured before it.
    Earlier,
    /// Those of these names.
    Named(Vec<Arc<str>>),
}

impl LpmConfig {
    /// An LPM under this name, which events and verdicts show, from this library or this program.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, source: impl Into<LpmSource>) -> Self {
        Self {
            name: name.into(),
            source: source.into(),
            config: String::new(),
            config_source: String::from("configuration"),
            config_dir: None,
            config_version: String::new(),
            optional: false,
            result_time_limit: Duration::from_secs(5),
            initialize_limit: Duration::from_secs(30),
            deinitialize_limit: Duration::from_secs(30),
            call_mode: CallMode::Inline,
            isolation: Isolation::None,
            confinement: Confinement::default(),
            after: After::Earlier,
        }
    }

    /// The text handed to the LPM as its configuration; default empty.
    #[must_use]
    pub fn config(mut self, text: impl Into<String>) -> Self {
        self.config = text.into();
        self
    }

    /// Where that text comes from, for the LPM's error messages; default `configuration`.
    #[must_use]
    pub fn config_source(mut self, source: impl Into<String>) -> Self {
        self.config_source = source.into();
        self
    }

    /// The directory from which relative paths in that text are meant; default: the process's
    /// working directory. Has to be UTF-8.
    #[must_use]
    pub fn config_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.config_dir = Some(dir.into());
        self
    }

    /// Which state of the files that the text names this is, such as their sums; default empty. The
    /// LPM is not told. Where only this differs, [`Pcm::reconfigure`](crate::Pcm::reconfigure)
    /// initializes the LPM anew, so that it reads those files again.
    #[must_use]
    pub fn config_version(mut self, version: impl Into<String>) -> Self {
        self.config_version = version.into();
        self
    }

    /// Whether the PCM becomes ready without this LPM where it does not load or initialize;
    /// default `false`.
    #[must_use]
    pub const fn optional(mut self, optional: bool) -> Self {
        self.optional = optional;
        self
    }

    /// How long an answer of the LPM may take; default 5 s. A deferred request that is not answered
    /// by then is rejected, and an LPM in which a call takes longer is in quarantine until it
    /// returns. Counts in whole milliseconds, from 1 ms to 12 days.
    #[must_use]
    pub const fn result_time_limit(mut self, limit: Duration) -> Self {
        self.result_time_limit = limit;
        self
    }

    /// How long loading the library and `initialize` may take together; default 30 s. An LPM that
    /// takes longer counts as failed, and its library stays mapped.
    #[must_use]
    pub const fn initialize_limit(mut self, limit: Duration) -> Self {
        self.initialize_limit = limit;
        self
    }

    /// How long `deinitialize` may take; default 30 s. The library of an LPM that takes longer
    /// stays mapped.
    #[must_use]
    pub const fn deinitialize_limit(mut self, limit: Duration) -> Self {
        self.deinitialize_limit = limit;
        self
    }

    /// Where calls into the LPM run; default [`CallMode::Inline`].
    #[must_use]
    pub const fn call_mode(mut self, mode: CallMode) -> Self {
        self.call_mode = mode;
        self
    }

    /// Whether the LPM runs in the PCM's process or in one of its own; default [`Isolation::None`].
    /// For LPMs in libraries.
    #[must_use]
    pub const fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = isolation;
        self
    }

    /// What the LPM may take and do in its process; default: as much as the PCM. Goes with
    /// [`Isolation::Process`].
    #[must_use]
    pub fn confine(mut self, to: Confinement) -> Self {
        self.confinement = to;
        self
    }

    /// The LPMs this one depends on: it is deinitialized before them. They must be configured
    /// before it. Default: it depends on all that are configured before it, so that LPMs are
    /// deinitialized one by one in reverse order. LPMs that do not depend on each other are
    /// deinitialized at the same time.
    #[must_use]
    pub fn after<N: Into<Arc<str>>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.after = After::Named(names.into_iter().map(Into::into).collect());
        self
    }

    /// The configured name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the LPM comes from.
    #[must_use]
    pub const fn source(&self) -> &LpmSource {
        &self.source
    }
}

/// Whether a PCM can run these LPMs.
pub(crate) fn check(configs: &[LpmConfig]) -> Result<(), BuildError> {
    if configs.is_empty() {
        return Err(BuildError::NoLpms);
    }
    let mut names = BTreeSet::new();
    for config in configs {
        if let After::Named(others) = &config.after {
            if let Some(other) = others.iter().find(|other| !names.contains(other)) {
                return Err(BuildError::After {
                    name: Arc::clone(&config.name),
                    other: Arc::clone(other),
                });
            }
        }
        if !names.insert(&config.name) {
            return Err(BuildError::DuplicateName {
                name: Arc::clone(&config.name),
            });
        }
        if config.isolation == Isolation::Process && config.source.library().is_none() {
            return Err(BuildError::BuiltInIsolated {
                name: Arc::clone(&config.name),
            });
        }
        let is_confined = config.confinement != Confinement::default();
        if is_confined && config.isolation != Isolation::Process {
            return Err(BuildError::ConfinedHere {
                name: Arc::clone(&config.name),
            });
        }
        let dir = config.config_dir.as_ref();
        if let Some(path) = dir.filter(|path| path.to_str().is_none()) {
            return Err(BuildError::ConfigDir {
                name: Arc::clone(&config.name),
                path: path.clone(),
            });
        }
    }
    Ok(())
}
