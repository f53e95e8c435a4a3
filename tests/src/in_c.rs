//! Fixtures in C against `lpmapi.h`, each built for its test, and what they write down.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use lpm_host::LpmConfig;
use tempfile::TempDir;

use crate::trusted;

/// A fixture in C, and the file that it writes lines to.
pub struct InC {
    folder: TempDir,
    library: PathBuf,
    name: &'static str,
}

impl InC {
    /// Whether there are any: on Windows only where they were built before.
    #[must_use]
    pub fn are_there() -> bool {
        cfg!(not(windows)) || std::env::var_os(lpm_fixtures::IN_C).is_some()
    }

    /// The fixture of this name.
    ///
    /// # Panics
    ///
    /// When it does not compile.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self::with(name, &[])
    }

    /// A fixture that does something in this way, by its number.
    ///
    /// # Panics
    ///
    /// When it does not compile.
    #[must_use]
    pub fn in_this_way(name: &'static str, way: &str) -> Self {
        Self::with(name, &[("WAY", way)])
    }

    /// The fixture, with macros of its own defined.
    ///
    /// # Panics
    ///
    /// When it does not compile.
    #[must_use]
    pub fn with(name: &'static str, macros: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let record = format!("{:?}", folder.path().join("record"));
        let macros = [macros, &[("RECORD", &*record)]].concat();
        Self {
            library: lpm_fixtures::lpm_in_c(name, &macros, folder.path()),
            folder,
            name,
        }
    }

    /// The LPM.
    #[must_use]
    pub fn lpm(&self) -> LpmConfig {
        self.named(self.name)
    }

    /// The LPM under another name.
    #[must_use]
    pub fn named(&self, name: &str) -> LpmConfig {
        LpmConfig::new(name, trusted(&self.library))
    }

    /// What it has written since this was asked before, once that are so many lines.
    ///
    /// # Panics
    ///
    /// When its file cannot be taken away.
    #[must_use]
    pub fn has_said(&self, lines: usize) -> Vec<String> {
        let file = self.folder.path().join("record");
        let count = || fs::read_to_string(&file).map_or(0, |said| said.lines().count());
        // Whatever is not written by then is not written at all.
        let until = Instant::now() + Duration::from_secs(120);
        while count() < lines && Instant::now() < until {
            thread::sleep(Duration::from_millis(2));
        }
        self.said()
    }

    /// What it has written since this was asked before.
    ///
    /// # Panics
    ///
    /// When its file cannot be taken away.
    #[must_use]
    pub fn said(&self) -> Vec<String> {
        let file = self.folder.path().join("record");
        let Ok(said) = fs::read_to_string(&file) else {
            return Vec::new();
        };
        fs::remove_file(file).expect("it is taken away");
        said.lines().map(str::to_owned).collect()
    }
}
