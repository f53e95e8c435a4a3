//! What can be wrong with `pcm.toml`.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use toml::Spanned;

use crate::output::plain::steers;

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
}

/// What is wrong, and where it starts in the text, in bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    start: usize,
    message: String,
}

impl Fault {
    pub(super) fn new(start: usize, message: impl Into<String>) -> Self {
        Self {
            start,
            message: message.into(),
        }
    }

    /// A fault of a value.
    pub(super) fn of<T>(value: &Spanned<T>, message: impl Into<String>) -> Self {
        Self::new(value.span().start, message)
    }

    /// The fault in the file of this path, which says `text`.
    pub(super) fn within(self, path: &Path, text: &str) -> ConfigError {
        let before = text.get(..self.start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        ConfigError::Invalid {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: shown(&self.message),
        }
    }
}

/// A message on one line, as long as anybody reads: it may repeat a value, which may be of any
/// length.
fn shown(message: &str) -> String {
    const LONGEST: usize = 500;
    let mut shown = in_plain_words(&message.trim_end().replace('\n', ", "));
    if let Some((end, _)) = shown.char_indices().nth(LONGEST) {
        shown.truncate(end);
        shown.push('…');
    }
    let is_about_escapes = ["escape", "unicode"]
        .iter()
        .any(|word| shown.contains(word));
    if is_about_escapes && !shown.ends_with(HOW_TO_WRITE_PATHS) {
        shown.push_str(HOW_TO_WRITE_PATHS);
    }
    shown
}

/// What the reader of TOML says of types, in the words of the reference.
fn in_plain_words(message: &str) -> String {
    const WORDS: [(&str, &str); 9] = [
        ("expected path string", "expected a path in quotes"),
        ("expected a string", "expected a text in quotes"),
        (
            "expected a nonzero usize",
            "expected a whole number from 1 on",
        ),
        (
            "expected u32",
            "expected a whole number from 0 to 4294967295",
        ),
        ("expected u64", "expected a whole number from 0 on"),
        ("expected usize", "expected a whole number from 0 on"),
        ("expected a boolean", "expected true or false"),
        (
            "invalid type: map, expected a sequence",
            "expected a list: a table that may stand several times is written in two brackets, such as [[lpm]]",
        ),
        ("expected a sequence", "expected a list in brackets"),
    ];
    let said = |message: String, (from, to): &(&str, &str)| message.replace(from, to);
    let message = WORDS.iter().fold(message.to_owned(), said);
    // What TOML calls them nobody has to know.
    message
        .replace("invalid type: ", "found ")
        .replace("invalid value: ", "found ")
}

const HOW_TO_WRITE_PATHS: &str = "; in double quotes a backslash begins an escape such as \\t: \
                                  write paths in single quotes, as in 'C:\\temp\\new.dll'";

/// Refuses a name that would steer the terminal that it is shown on.
pub(super) fn check_name(name: &Spanned<String>, key: &str) -> Result<(), Fault> {
    let text = name.get_ref();
    if text.trim().is_empty() {
        return Err(Fault::of(name, format!("`{key}` is empty")));
    }
    check_plain(name, text, key, ": take letters, digits and spaces")
}

/// Refuses a path in which a backslash became something else.
pub(super) fn check_path(path: &Spanned<PathBuf>, key: &str) -> Result<(), Fault> {
    let text = path.get_ref().to_string_lossy();
    if text.is_empty() {
        return Err(Fault::of(path, format!("`{key}` is empty")));
    }
    check_plain(path, &text, key, HOW_TO_WRITE_PATHS)
}

fn check_plain<T>(at: &Spanned<T>, text: &str, key: &str, what_to_do: &str) -> Result<(), Fault> {
    match text.chars().find(|c| steers(*c)) {
        Some(control) => {
            let message = format!("`{key}` has {control:?} in it{what_to_do}");
            Err(Fault::of(at, message))
        }
        None => Ok(()),
    }
}
