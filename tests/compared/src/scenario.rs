//! What a scenario's file says of itself.

use std::fs;
use std::path::{Path, PathBuf};

/// Who opens and closes the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `dlopen` and `dlclose`.
    Plain,
    /// `libunload`.
    Ours,
}

impl Way {
    /// As on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Ours => "ours",
        }
    }
}

/// One scenario. (`inspect`, `check` and `lpm` are for a test of `pcm`.) The keys are those of the
/// lines `// key: value` at the head of its file.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The file's name without its ending.
    pub name: String,
    /// The source.
    pub file: PathBuf,
    /// The row of the issue that it belongs to, or `–`.
    pub row: String,
    /// What the library does.
    pub what: String,
    /// `link`: what the linker is told.
    pub link: Vec<String>,
    /// `cycles`: how often the library is opened, used and closed.
    pub cycles: u32,
    /// `with`: a scenario whose library the host has open for good.
    pub with: Option<String>,
    /// `second`: a scenario whose library is opened after this one, if it is not the same file's.
    pub second: Option<String>,
    /// `close-first: yes`: the first library is closed before the second.
    pub closes_first: bool,
    /// `accepts`: what the host's part may find that is neither way's fault.
    pub accepts: Option<String>,
    /// `closes: no`: the process exits while the library is open.
    pub closes: bool,
    source: String,
}

impl Scenario {
    /// All of them, in the order of their rows.
    ///
    /// # Panics
    ///
    /// When they cannot be read.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let files = fs::read_dir(folder).expect("the scenarios");
        let mut all: Vec<Self> = files
            .map(|file| Self::read(file.expect("a scenario").path()))
            .collect();
        all.sort_by_key(|scenario| (scenario.row.parse().unwrap_or(0), scenario.name.clone()));
        all
    }

    /// The one of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::all()
            .into_iter()
            .find(|scenario| scenario.name == name)
    }

    fn read(file: PathBuf) -> Self {
        let source = fs::read_to_string(&file).expect("a scenario");
        let mut lines = source.lines().map_while(|line| line.strip_prefix("// "));
        let (row, what) = lines
            .next()
            .and_then(|line| line.split_once(" · "))
            .unwrap_or_else(|| panic!("{}: the first line is not `// row · what`", file.display()));
        let keys: Vec<_> = lines.filter_map(|line| line.split_once(": ")).collect();
        let value = |key| {
            keys.iter()
                .find(|(other, _)| *other == key)
                .map(|(_, value)| *value)
        };
        let text = |key| value(key).map(str::to_owned);
        Self {
            name: file
                .file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned(),
            row: row.to_owned(),
            what: what.to_owned(),
            link: value("link")
                .unwrap_or_default()
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
            cycles: value("cycles").map_or(1, |count| count.parse().expect("a number")),
            with: text("with"),
            second: text("second"),
            closes_first: value("close-first") == Some("yes"),
            accepts: text("accepts"),
            closes: value("closes") != Some("no"),
            file,
            source,
        }
    }

    /// Whether the file has a part with this name.
    #[must_use]
    pub fn has(&self, part: &str) -> bool {
        self.source.contains(part)
    }
}
