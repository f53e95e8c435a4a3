//! `pcm.toml`: which LPMs run, in which order, what they are told, where events go,
//! and what the SBM stand-in is like.
//!
//! Every key is documented in `pcm.example.toml` next to this crate's manifest.

mod duration;
mod events;
mod sample;
mod sbm;
mod text;

use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lpm_host::CallMode;
use lpm_sbm::SbmConfig;
use serde::Deserialize;
use thiserror::Error;
use toml::Spanned;

pub(crate) use duration::parse_argument as parse_duration_argument;
use events::EventsTable;
use sbm::{InterfaceTables, SbmTable};

pub use events::{EventTarget, EventsEntry, Format, SyslogAddress};

/// What `pcm.toml` says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The LPMs in the order in which they are initialized and asked. Never empty.
    pub lpms: Vec<LpmEntry>,
    /// Where events go besides the output.
    pub events: Vec<EventsEntry>,
    /// What the SBM stand-in is like.
    pub sbm: SbmConfig,
}

/// One `[[lpm]]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LpmEntry {
    /// `name`: unique, shown in everything that is printed.
    pub name: String,
    /// `library`: the shared library; absolute, or relative to the working directory.
    pub library: PathBuf,
    /// `optional`: whether the PCM also becomes ready without this LPM.
    pub optional: bool,
    /// `after`: the LPMs that it is deinitialized before; `None`: all that stand before it.
    pub after: Option<Vec<String>>,
    /// `calls` and `threads`: where calls into it run.
    pub call_mode: CallMode,
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

/// `pcm.toml` cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The configuration file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Not TOML, an unknown or missing key, or a value of the wrong type.
    #[error("{}: line {line}, column {column}: {message}", path.display())]
    Invalid {
        /// The configuration file.
        path: PathBuf,
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault in characters, from 1.
        column: usize,
        /// What is wrong, with the key.
        message: String,
    },
    /// No `[[lpm]]` table at all.
    #[error(
        "{}: no LPM is configured; add an [[lpm]] table with `name` and `library`",
        path.display()
    )]
    NoLpm {
        /// The configuration file.
        path: PathBuf,
    },
    /// The sample LPM, used when no configuration is given, is not where it should be.
    #[error(
        "the sample LPM {file} is not found; looked for it in {}; build it with \
         `cargo build -p lpm-sample`, or name the LPMs to run with --config",
        list(looked_in)
    )]
    NoSample {
        /// The library's file name on this system.
        file: String,
        /// The folders looked in.
        looked_in: Vec<PathBuf>,
    },
}

impl Config {
    /// Reads the configuration file at `path`.
    ///
    /// # Errors
    /// The file cannot be read, is no TOML, has an unknown or a missing key, a value of the
    /// wrong type, no LPM, or two of the same name.
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Config::parse(path, &text)
    }

    /// The embedded default: the sample LPM with its demo policy.
    ///
    /// # Errors
    /// The sample LPM's library is not found.
    pub fn embedded() -> Result<Config, ConfigError> {
        Ok(Config {
            lpms: vec![sample::entry()?],
            events: Vec::new(),
            sbm: SbmConfig::default(),
        })
    }

    /// Reads a configuration from `text`; `path` stands for it in errors, and relative paths in it
    /// are meant from the folder of `path`.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
        let file: File = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            invalid(path, text, start, error.message())
        })?;
        if file.lpm.is_empty() {
            return Err(ConfigError::NoLpm {
                path: path.to_owned(),
            });
        }
        let mut lpms: Vec<LpmEntry> = Vec::with_capacity(file.lpm.len());
        for table in file.lpm {
            let name = table.name.as_ref();
            let fault = if name.trim().is_empty() {
                Some("`name` is empty".to_owned())
            } else if lpms.iter().any(|lpm| lpm.name == *name) {
                Some(format!(
                    "a second LPM with the name {name:?}; a library may be listed several times, \
                     each time under a `name` of its own"
                ))
            } else {
                None
            };
            if let Some(message) = fault {
                return Err(invalid(path, text, table.name.span().start, &message));
            }
            let entry = table.entry(path, text, &lpms)?;
            lpms.push(entry);
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        let fault = |(start, message): Fault| invalid(path, text, start, &message);
        let events = file.events.into_iter().map(|table| table.entry(folder));
        let events = events.collect::<Result<_, _>>().map_err(fault)?;
        let sbm = file.sbm.config(file.interface).map_err(fault)?;
        Ok(Config { lpms, events, sbm })
    }
}

/// Where a fault starts, and what it is.
type Fault = (usize, String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    lpm: Vec<LpmTable>,
    #[serde(default)]
    events: Vec<EventsTable>,
    #[serde(default)]
    sbm: SbmTable,
    #[serde(default)]
    interface: InterfaceTables,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LpmTable {
    name: Spanned<String>,
    library: Spanned<PathBuf>,
    #[serde(default)]
    optional: bool,
    after: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    calls: Calls,
    threads: Option<Spanned<NonZeroUsize>>,
    result_time_limit: Option<Spanned<String>>,
    initialize_limit: Option<Spanned<String>>,
    deinitialize_limit: Option<Spanned<String>>,
    config: Option<Spanned<toml::Value>>,
}

/// `calls` as written.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Calls {
    #[default]
    Inline,
    Worker,
}

impl Calls {
    fn mode(self, threads: Option<Spanned<NonZeroUsize>>) -> Result<CallMode, Fault> {
        match (self, threads) {
            (Self::Inline, None) => Ok(CallMode::Inline),
            (Self::Inline, Some(threads)) => {
                let message = "`threads` goes with `calls = \"worker\"`".to_owned();
                Err((threads.span().start, message))
            }
            (Self::Worker, None) => Ok(CallMode::worker()),
            (Self::Worker, Some(threads)) => Ok(CallMode::Worker {
                threads: threads.into_inner(),
            }),
        }
    }
}

impl LpmTable {
    fn entry(self, path: &Path, text: &str, before: &[LpmEntry]) -> Result<LpmEntry, ConfigError> {
        let fault = |(start, message): Fault| invalid(path, text, start, &message);
        let limit = |text: Option<Spanned<String>>, key| {
            let limit = text.map(|text| duration::parse(text, key));
            limit.transpose().map_err(fault)
        };
        for other in self.after.iter().flatten() {
            if !before.iter().any(|lpm| lpm.name == *other.get_ref()) {
                let other_name = other.get_ref();
                let message = format!(
                    "`after` names {other_name:?}, which is no LPM that stands before this one"
                );
                return Err(fault((other.span().start, message)));
            }
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        if self.library.as_ref().as_os_str().is_empty() {
            let start = self.library.span().start;
            return Err(invalid(path, text, start, "`library` is empty"));
        }
        let mut entry = LpmEntry {
            name: self.name.into_inner(),
            library: folder.join(self.library.into_inner()),
            optional: self.optional,
            after: self
                .after
                .map(|names| names.into_iter().map(Spanned::into_inner).collect()),
            call_mode: self.calls.mode(self.threads).map_err(fault)?,
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
                let message = format!("`config` is a table or a text, not of type {found}");
                return Err(invalid(path, text, start, &message));
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

fn invalid(path: &Path, text: &str, start: usize, message: &str) -> ConfigError {
    let before = text.get(..start).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    ConfigError::Invalid {
        path: path.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        message: message.trim_end().replace('\n', ", "),
    }
}

fn list(folders: &[PathBuf]) -> String {
    let folders: Vec<_> = folders
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    folders.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("/etc/lpm/pcm.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let config = parse(
            "[[lpm]]\nname = 'one'\nlibrary = 'libone.so'\n\
             [[lpm]]\nname = 'two'\nlibrary = '/opt/libtwo.so'\noptional = true\n",
        )
        .unwrap();
        assert_eq!(config.lpms[0].library, Path::new("/etc/lpm/libone.so"));
        assert!(!config.lpms[0].optional);
        assert_eq!(config.lpms[1].library, Path::new("/opt/libtwo.so"));
        assert!(config.lpms[1].optional);
        assert_eq!(config.lpms[0].config_dir, Some(PathBuf::from("/etc/lpm")));
    }

    #[test]
    fn unknown_keys_name_file_line_and_key() {
        let error = parse("[[lpm]]\nname = 'one'\nlibary = 'libone.so'\n").unwrap_err();
        assert!(
            error.starts_with("/etc/lpm/pcm.toml: line 3, column 1: unknown field `libary`"),
            "{error}"
        );
        let error = parse("[pcm]\n").unwrap_err();
        assert!(
            error.contains("line 1") && error.contains("`pcm`"),
            "{error}"
        );
    }

    #[test]
    fn faults_are_one_line() {
        for text in [
            "",
            "[[lpm]]\nname = 'a'\n",
            "[[lpm]]\nname = 3\nlibrary = 'x'\n",
            "[[lpm]\n",
            "[[lpm]]\nname = ' '\nlibrary = 'x'\n",
            "[[lpm]]\nname = 'a'\nlibrary = ''\n",
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with("/etc/lpm/"), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_library_may_be_listed_twice_a_name_not() {
        let twice = "[[lpm]]\nname = 'a'\nlibrary = 'x'\n[[lpm]]\nname = 'b'\nlibrary = 'x'\n";
        assert_eq!(parse(twice).unwrap().lpms.len(), 2);
        let error = parse(&twice.replace("'b'", "'a'")).unwrap_err();
        assert!(
            error.contains("line 5") && error.contains("second LPM"),
            "{error}"
        );
    }

    #[test]
    fn an_lpm_sees_its_config_at_the_lines_of_the_file() {
        let config = parse(
            "[[lpm]]\nname = 'a'\nlibrary = 'x'\n[lpm.config]\nlimit = 3\n\n\
             [[lpm.config.user]]\nid = 'ada'\n[[lpm]]\nname = 'b'\nlibrary = 'x'\n",
        )
        .unwrap();
        let lines: Vec<_> = config.lpms[0].config.lines().collect();
        assert_eq!(
            lines,
            ["", "", "", "", "limit = 3", "", "[[user]]", "id = 'ada'"]
        );
        assert_eq!(config.lpms[0].config_source, "/etc/lpm/pcm.toml");
        assert_eq!(config.lpms[1].config, "");
    }

    #[test]
    fn subtables_alone_are_enough_for_that() {
        let config =
            parse("[[lpm]]\nname = 'a'\nlibrary = 'x'\n[lpm.config.default] # all\npriority = 3\n")
                .unwrap();
        assert_eq!(
            config.lpms[0].config,
            "\n\n\n[default] # all\npriority = 3\n"
        );
    }

    #[test]
    fn an_inline_config_is_written_out() {
        let config = parse("[[lpm]]\nname = 'a'\nlibrary = 'x'\nconfig = { limit = 3 }\n").unwrap();
        assert_eq!(config.lpms[0].config, "limit = 3\n");
        assert!(config.lpms[0].config_source.contains("LPM \"a\""));
    }

    #[test]
    fn a_text_is_handed_over_as_it_is() {
        let config = parse("[[lpm]]\nname = 'a'\nlibrary = 'x'\nconfig = '8-18'\n").unwrap();
        assert_eq!(config.lpms[0].config, "8-18");
        let error = parse("[[lpm]]\nname = 'a'\nlibrary = 'x'\nconfig = 8\n").unwrap_err();
        assert!(
            error.contains("line 4") && error.contains("integer"),
            "{error}"
        );
    }

    #[test]
    fn an_lpm_says_where_and_how_long_it_is_called() {
        let lpm = |name: &str, keys: &str| {
            format!("[[lpm]]\nname = '{name}'\nlibrary = 'a.so'\n{keys}\n")
        };
        let both = lpm("a", "") + &lpm("b", "after = ['a']\ncalls = 'worker'\nthreads = 3");
        let config = parse(&both).unwrap();
        assert_eq!(config.lpms[0].call_mode, CallMode::Inline);
        assert_eq!(config.lpms[0].after, None);
        let threads = NonZeroUsize::new(3).unwrap();
        assert_eq!(config.lpms[1].call_mode, CallMode::Worker { threads });
        assert_eq!(config.lpms[1].after.as_deref(), Some(&["a".to_owned()][..]));
        let limits = "result_time_limit = '500 ms'\ninitialize_limit = '1 min'";
        let config = parse(&lpm("a", limits)).unwrap();
        let limit = config.lpms[0].result_time_limit;
        assert_eq!(limit, Some(Duration::from_millis(500)));
        let limit = config.lpms[0].initialize_limit;
        assert_eq!(limit, Some(Duration::from_secs(60)));
        assert_eq!(config.lpms[0].deinitialize_limit, None);
        for (keys, complaint) in [
            ("after = ['later']", "line 4"),
            ("threads = 2", "goes with"),
            ("calls = 'somewhere'", "inline"),
            ("calls = 'worker'\nthreads = 0", "line 5"),
            ("result_time_limit = 'soon'", "500 ms"),
        ] {
            let error = parse(&lpm("a", keys)).unwrap_err();
            assert!(error.contains(complaint), "{error}");
        }
    }

    /// The example with each table under the name of its keys.
    #[test]
    fn the_example_is_valid_and_has_every_key() {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("pcm.example.toml");
        let config = Config::read(&example).unwrap();
        assert!(config.lpms.len() >= 2);
        assert!(config.lpms.iter().any(|lpm| lpm.optional));
        assert!(config.lpms.iter().any(|lpm| !lpm.config.is_empty()));
        assert!(config.events.len() >= 2);

        let example = fs::read_to_string(&example).unwrap();
        for (table, _) in TABLES {
            for key in known_keys(table) {
                let written = example.lines().any(|line| {
                    let rest = line.trim_start_matches('[').strip_prefix(&*key);
                    rest.is_some_and(|rest| rest.starts_with([' ', ']', '.']))
                        || line.starts_with(&format!("[lpm.{key}]"))
                });
                assert!(written, "{key} is not in the example");
            }
        }
    }

    #[test]
    fn the_book_has_every_key() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/configuration.md");
        let page = fs::read_to_string(page).unwrap();
        for (table, heading) in TABLES {
            let (_, section) = page
                .split_once(&format!("\n## {heading}\n"))
                .expect(heading);
            let section = section.split("\n## ").next().unwrap_or(section);
            let keys = section.lines().filter_map(|line| line.strip_prefix("| `"));
            let keys = keys.filter_map(|row| row.split('`').next());
            let mut keys: Vec<_> = keys.map(str::to_owned).collect();
            keys.sort();
            assert_eq!(keys, known_keys(table), "{heading}");
        }
    }

    /// The tables as they begin in a file, and the headings of their sections in the book.
    const TABLES: [(&str, &str); 5] = [
        ("", "The file"),
        ("[[lpm]]\n", "`[[lpm]]`"),
        ("[[events]]\n", "`[[events]]`"),
        ("[sbm]\n", "`[sbm]`"),
        ("[interface.1]\n", "`[interface.\"…\"]`"),
    ];

    /// What is wrong with an unknown key says which ones are known.
    fn known_keys(table: &str) -> Vec<String> {
        let error = parse(&format!("{table}no_such_key = 1\n")).unwrap_err();
        let (_, known) = error.split_once("expected").expect(&error);
        let known = known.split('`').skip(1).step_by(2);
        let mut known: Vec<_> = known.map(str::to_owned).collect();
        assert!(!known.is_empty(), "{error}");
        known.sort();
        known
    }
}
