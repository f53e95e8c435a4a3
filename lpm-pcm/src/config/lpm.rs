//! The `[[lpm]]` tables: which LPMs run.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lpm_host::trust::Requirements;
use lpm_host::{CallMode, Confinement, Isolation};
use serde::Deserialize;
use toml::Spanned;

use super::confine::ConfineTable;
use super::error::{Fault, check_name, check_path};
use super::trust::Trust;
use super::{duration, text};

/// One `[[lpm]]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LpmEntry {
    /// `name`: unique, shown in everything that is printed.
    pub name: String,
    /// `library`: what the LPM comes from.
    pub library: LpmLocation,
    /// `sha256` and `[trust]`: what the library's file has to be like.
    pub requirements: Requirements,
    /// `optional`: whether the PCM also becomes ready without this LPM.
    pub optional: bool,
    /// `after`: the LPMs that it is deinitialized before; `None`: all that stand before it.
    pub after: Option<Vec<String>>,
    /// `calls` and `threads`: where calls into it run.
    pub call_mode: CallMode,
    /// `isolation`: whether it runs in a process of its own.
    pub isolation: Isolation,
    /// `confine`: what it may take and do there.
    pub confinement: Confinement,
    /// `result_time_limit`: how long an answer may take; `None`: the host's default.
    pub result_time_limit: Option<Duration>,
    /// `initialize_limit`; `None`: the host's default.
    pub initialize_limit: Option<Duration>,
    /// `deinitialize_limit`; `None`: the host's default.
    pub deinitialize_limit: Option<Duration>,
    /// `config`: text for the LPM; a table as TOML.
    pub config: String,
    /// Where `config` was written, for the LPM's error messages.
    pub config_source: String,
    /// The directory from which relative paths in `config` are meant.
    pub config_dir: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LpmTable {
    pub(super) name: Spanned<String>,
    library: Spanned<PathBuf>,
    sha256: Option<Spanned<String>>,
    #[serde(default)]
    optional: bool,
    after: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    calls: Calls,
    threads: Option<Spanned<NonZeroUsize>>,
    #[serde(default)]
    isolation: Isolated,
    confine: Option<Spanned<ConfineTable>>,
    result_time_limit: Option<Spanned<String>>,
    initialize_limit: Option<Spanned<String>>,
    deinitialize_limit: Option<Spanned<String>>,
    config: Option<Spanned<toml::Value>>,
}

/// Where an LPM is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LpmLocation {
    /// In a shared library; absolute, or relative to the working directory.
    Library(PathBuf),
    /// In this program: the sample LPM, where its library is not found.
    BuiltInSample,
}

/// `calls` as written.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Calls {
    #[default]
    Inline,
    Worker,
}

/// `isolation` as written.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Isolated {
    #[default]
    None,
    Process,
}

impl From<Isolated> for Isolation {
    fn from(written: Isolated) -> Self {
        match written {
            Isolated::None => Self::None,
            Isolated::Process => Self::Process,
        }
    }
}

impl Calls {
    fn mode(self, threads: Option<Spanned<NonZeroUsize>>) -> Result<CallMode, Fault> {
        match (self, threads) {
            (Self::Inline, None) => Ok(CallMode::Inline),
            (Self::Inline, Some(threads)) => {
                let message = "`threads` goes with `calls = \"worker\"`";
                Err(Fault::of(&threads, message))
            }
            (Self::Worker, None) => Ok(CallMode::worker()),
            (Self::Worker, Some(threads)) => Ok(CallMode::Worker {
                threads: threads.into_inner(),
            }),
        }
    }
}

impl LpmTable {
    /// `path` is that of the file, which says `text`; the LPMs of `before` stand in front of this
    /// one, and `trust` holds for all of them.
    pub(super) fn entry(
        self,
        path: &Path,
        text: &str,
        before: &[LpmEntry],
        trust: &Trust,
    ) -> Result<LpmEntry, Fault> {
        let limit = |text: Option<Spanned<String>>, key| {
            text.map(|text| duration::parse(&text, key)).transpose()
        };
        check_name(&self.name, "name")?;
        if before.iter().any(|lpm| lpm.name == *self.name.get_ref()) {
            let message = format!(
                "a second LPM with the name {:?}; a library may be listed several times, each \
                 time under a `name` of its own",
                self.name.get_ref()
            );
            return Err(Fault::of(&self.name, message));
        }
        for other in self.after.iter().flatten() {
            if !before.iter().any(|lpm| lpm.name == *other.get_ref()) {
                let name = other.get_ref();
                let message =
                    format!("`after` names {name:?}; no LPM of this name stands before this one");
                return Err(Fault::of(other, message));
            }
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        check_path(&self.library, "library")?;
        let requirements = trust.of(&self.name, self.sha256.as_ref())?;
        let confinement = match self.confine {
            Some(confine) if matches!(self.isolation, Isolated::None) => {
                let message = "`confine` goes with `isolation = \"process\"`";
                return Err(Fault::of(&confine, message));
            }
            Some(confine) => confine.into_inner().confinement(folder)?,
            None => Confinement::default(),
        };
        let mut entry = LpmEntry {
            name: self.name.into_inner(),
            library: LpmLocation::Library(folder.join(self.library.into_inner())),
            requirements,
            optional: self.optional,
            after: self
                .after
                .map(|names| names.into_iter().map(Spanned::into_inner).collect()),
            call_mode: self.calls.mode(self.threads)?,
            isolation: self.isolation.into(),
            confinement,
            result_time_limit: limit(self.result_time_limit, "result_time_limit")?,
            initialize_limit: limit(self.initialize_limit, "initialize_limit")?,
            deinitialize_limit: limit(self.deinitialize_limit, "deinitialize_limit")?,
            config: String::new(),
            config_source: path.display().to_string(),
            config_dir: Some(folder_or_current(folder)),
        };
        let Some(config) = self.config else {
            return Ok(entry);
        };
        let start = config.span().start;
        match config.into_inner() {
            toml::Value::String(config) => entry.config = config,
            toml::Value::Table(table) => match text::verbatim(text, start, &table) {
                Some(config) => entry.config = config,
                None => {
                    entry.config = table.to_string();
                    entry.config_source = format!(
                        "{}: `config` of LPM {:?}, written out",
                        path.display(),
                        entry.name
                    );
                }
            },
            other => {
                let found = other.type_str();
                let message = format!("`config` has to be a table or a text; found: {found}");
                return Err(Fault::new(start, message));
            }
        }
        Ok(entry)
    }
}

fn folder_or_current(folder: &Path) -> PathBuf {
    if folder.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        folder.to_owned()
    }
}
