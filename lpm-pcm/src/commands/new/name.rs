//! Names that a crate can have.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// A name that Cargo and the compiler take.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CrateName(String);

/// Why a crate cannot be named so.
#[derive(Debug, PartialEq, Eq, Error)]
pub(super) enum NameError {
    /// The path ends in none.
    #[error("`{}` does not end in a name for the crate", .0.display())]
    Missing(PathBuf),
    /// Cargo, the compiler or the code of LPMs takes no such name.
    #[error("`{name}` cannot be the name of a crate: {why}")]
    Refused { name: String, why: &'static str },
}

/// Names that mean something else in an LPM's code.
const TAKEN: [&str; 9] = [
    "std",
    "core",
    "alloc",
    "proc_macro",
    "test",
    "lpm_api",
    "lpm_host",
    "lpm_rsvp",
    "tracing",
];

/// Words of the language (Rust reference, "Keywords": strict and reserved).
const KEYWORDS: [&str; 52] = [
    "Self", "abstract", "as", "async", "await", "become", "box", "break", "const", "continue",
    "crate", "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if",
    "impl", "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub",
    "ref", "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// The longest name that crates.io takes.
const LONGEST: usize = 64;

impl CrateName {
    /// The last part of the path, if it is such a name.
    pub(super) fn of(path: &Path) -> Result<Self, NameError> {
        let name = path.file_name().map(|name| name.to_string_lossy());
        let Some(name) = name else {
            return Err(NameError::Missing(path.to_owned()));
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let begins = name.starts_with(|c: char| c.is_ascii_alphabetic());
        let refuse = |why| {
            let name = name.clone().into_owned();
            Err(NameError::Refused { name, why })
        };
        if !begins || !name.chars().all(allowed) {
            return refuse(
                "it has to begin with a letter (a to z), and has letters, digits, `-` and `_` only",
            );
        }
        if name.len() > LONGEST {
            return refuse("it is longer than 64 characters");
        }
        let identifier = name.replace('-', "_");
        if KEYWORDS.contains(&&*identifier) {
            return refuse("it is a keyword of Rust");
        }
        if TAKEN.contains(&&*identifier) {
            return refuse("it is the name of a crate that every LPM uses");
        }
        Ok(Self(name.into_owned()))
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_compile() {
        for name in ["a", "office-hours", "/tmp/x/Rate_2", "./z"] {
            assert!(CrateName::of(Path::new(name)).is_ok(), "{name}");
        }
        let long = "x".repeat(65);
        for name in [
            "", "/", "..", "-a", "2nd", "_a", "a b", "ä", "a.b", "fn", "self", "lpm-api", "std",
            &long,
        ] {
            assert!(CrateName::of(Path::new(name)).is_err(), "{name}");
        }
    }
}
