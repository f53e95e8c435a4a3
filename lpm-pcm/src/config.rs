//! `pcm.toml`: which LPMs run, in which order, what they are told, where events go,
//! what the SBM stand-in is like, and with which keys messages are checked.
//!
//! Every key is documented in `pcm.example.toml` next to this crate's manifest. Other programs read
//! it like this:
//!
//! ```no_run
//! use lpm_host::event::TracingEventLog;
//! use lpm_host::Pcm;
//! use lpm_pcm::{config::Config, node};
//!
//! let config = Config::read("/etc/lpm/pcm.toml".as_ref())?;
//! let pcm: Pcm = node::pcm(&config, TracingEventLog)?;
//! pcm.become_dsbm()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod confine;
mod duration;
mod error;
mod events;
mod keys;
mod lpm;
mod run;
mod sample;
mod sbm;
mod text;
mod trust;

use std::path::Path;

use lpm_sbm::SbmConfig;
use serde::Deserialize;

use crate::text_file;

use error::Fault;
use events::EventsTable;
use keys::KeysTables;
use lpm::LpmTable;
use run::RunTable;
use sbm::{InterfaceTables, SbmTable};
use trust::TrustTable;

use crate::integrity::KeyEntry;

pub(crate) use duration::parse_argument as parse_duration_argument;
pub use error::ConfigError;
pub use events::{EventTarget, EventsEntry, Format, SyslogAddress};
pub use lpm::{LpmEntry, LpmLocation};
pub use run::RunConfig;

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
    /// With what INTEGRITY objects are checked.
    pub keys: Vec<KeyEntry>,
    /// The RSVP node of `pcm run`.
    pub run: RunConfig,
    /// Whether debuggers find the source of the LPMs' code ([`lpm_host::PcmBuilder::debuggable`]).
    /// No key of the file says so.
    pub debug_lpms: bool,
}

impl Config {
    /// Reads the configuration file at `path`.
    ///
    /// # Errors
    /// The file cannot be read, is no TOML, has an unknown or a missing key, a value of the
    /// wrong type, no LPM, or two of the same name.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = text_file::read(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(path, &text)
    }

    /// What this file says, or where none is named the embedded default.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn read_or_embedded(path: Option<&Path>) -> Result<Self, ConfigError> {
        path.map_or_else(|| Ok(Self::embedded()), Self::read)
    }

    /// The embedded default: the sample LPM with its demo policy. It comes from its library, or is
    /// the one that is built into this program where that is not found beside the program.
    #[must_use]
    pub fn embedded() -> Self {
        Self {
            lpms: vec![sample::entry()],
            events: Vec::new(),
            sbm: SbmConfig::default(),
            keys: Vec::new(),
            run: RunConfig::default(),
            debug_lpms: false,
        }
    }

    /// Reads a configuration from `text`; `path` stands for it in errors, and relative paths in it
    /// are meant from the folder of `path`.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let fault = |fault: Fault| fault.within(path, text);
        let file: File = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            fault(Fault::new(start, error.message()))
        })?;
        if file.lpm.is_empty() {
            return Err(ConfigError::NoLpm {
                path: path.to_owned(),
            });
        }
        let mut lpms: Vec<LpmEntry> = Vec::with_capacity(file.lpm.len());
        let trust = file.trust.read().map_err(fault)?;
        for table in file.lpm {
            let entry = table.entry(path, text, &lpms, &trust).map_err(fault)?;
            lpms.push(entry);
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        let events = file.events.into_iter().map(|table| table.entry(folder));
        let events = events.collect::<Result<_, _>>().map_err(fault)?;
        let sbm = file.sbm.config(file.interface).map_err(fault)?;
        let keys = file.keys.entries(folder).map_err(fault)?;
        let run = file.run.config(folder).map_err(fault)?;
        Ok(Self {
            lpms,
            events,
            sbm,
            keys,
            run,
            debug_lpms: false,
        })
    }
}

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
    #[serde(default)]
    keys: KeysTables,
    #[serde(default)]
    run: RunTable,
    #[serde(default)]
    trust: TrustTable,
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::num::NonZeroUsize;
    use std::path::PathBuf;
    use std::time::Duration;

    use lpm_host::CallMode;

    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("/etc/lpm/pcm.toml"), text).map_err(|error| error.to_string())
    }

    fn library(path: &str) -> LpmLocation {
        LpmLocation::Library(path.into())
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let config = parse(
            "[[lpm]]\nname = 'one'\nlibrary = 'libone.so'\n\
             [[lpm]]\nname = 'two'\nlibrary = '/opt/libtwo.so'\noptional = true\n",
        )
        .unwrap();
        assert_eq!(config.lpms[0].library, library("/etc/lpm/libone.so"));
        assert!(!config.lpms[0].optional);
        assert_eq!(config.lpms[1].library, library("/opt/libtwo.so"));
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
    fn types_are_told_in_plain_words() {
        let lpm = "[[lpm]]\nname = 'a'\nlibrary = 'x'\n";
        for (text, said) in [
            (
                "[[lpm]]\nname = 'a'\nlibrary = 5",
                "found integer `5`, expected a path in quotes",
            ),
            (
                "[lpm]\nname = 'a'\nlibrary = 'x'",
                "in two brackets, such as [[lpm]]",
            ),
            (
                &format!("{lpm}threads = 0"),
                "found integer `0`, expected a whole number from 1 on",
            ),
            (
                &format!("{lpm}optional = 'no'"),
                "found string \"no\", expected true or false",
            ),
            (
                &format!("{lpm}result_time_limit = 5"),
                "expected a text in quotes",
            ),
            (
                &format!("{lpm}result_time_limit = '0s'"),
                "expected a duration longer than 0",
            ),
            (
                &format!("{lpm}[sbm]\nmissed_refreshes = -1"),
                "expected a whole number from 0 to 4294967295",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
            assert!(error.contains(": line "), "{error}");
        }
        let error = parse("[[lpm]]\nname = \"a\\u001b[31m\"\nlibrary = 'x'\n").unwrap_err();
        assert!(
            error.contains("line 2") && !error.contains('\u{1b}'),
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
    fn backslashes_in_double_quotes_are_told() {
        for library in [
            "\"C:\\temp\\new.dll\"",
            "\"C:\\Users\\lpm.dll\"",
            "\"C:\\lpm.dll\"",
        ] {
            let error = parse(&format!("[[lpm]]\nname = 'a'\nlibrary = {library}\n")).unwrap_err();
            assert!(error.contains("line 3"), "{error}");
            assert!(error.contains("'C:\\temp\\new.dll'"), "{error}");
            assert!(!error.chars().any(char::is_control), "{error:?}");
        }
        let path = "[[lpm]]\nname = 'a'\nlibrary = 'C:\\temp\\new.dll'\n";
        assert!(parse(path).is_ok());
        for table in [
            "[[events]]\nto = 'file'\npath = \"C:\\temp\\new.log\"",
            "[[keys]]\nalgorithm = 'hmac-sha1'\nfile = \"C:\\temp\\new.key\"",
            "[run]\ncontrol = \"C:\\temp\\new\"",
        ] {
            let error = parse(&format!("{path}{table}\n")).unwrap_err();
            assert!(error.contains("in single quotes"), "{table}: {error}");
        }
    }

    #[test]
    fn a_long_value_is_not_repeated_whole() {
        let long = "x".repeat(1 << 20);
        for text in [
            format!("[[lpm]]\nname = '{long}'\nlibrary = 'x'\n").repeat(2),
            format!("[[lpm]]\nname = 'a'\nlibrary = 'x'\noptional = '{long}'\n"),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.len() < 1_000, "{} bytes", error.len());
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
                    // What cannot be the same everywhere is a comment.
                    let rest = line.trim_start_matches(['[', '#', ' ']).strip_prefix(&*key);
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
    const TABLES: [(&str, &str); 9] = [
        ("", "The file"),
        ("[[lpm]]\n", "`[[lpm]]`"),
        (
            "[[lpm]]\nname = 'a'\nlibrary = 'a.so'\n[lpm.confine]\n",
            "`[lpm.confine]`",
        ),
        ("[[events]]\n", "`[[events]]`"),
        ("[sbm]\n", "`[sbm]`"),
        ("[interface.1]\n", "`[interface.\"…\"]`"),
        ("[[keys]]\n", "`[[keys]]`"),
        ("[run]\n", "`[run]`"),
        ("[trust]\n", "`[trust]`"),
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
