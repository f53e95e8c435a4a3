//! Whether an LPM kept to the memory that it was given.

use std::sync::OnceLock;

/// What is held against the LPMs of a library.
#[derive(Debug, Default)]
pub(crate) struct Conduct(OnceLock<String>);

impl Conduct {
    /// Notes that the library's code wrote beyond what it was given; the first such note stays.
    pub(crate) fn note(&self, overstep: String) {
        // It has been noted before.
        let _ = self.0.set(overstep);
    }

    /// What it did, if it wrote beyond what it was given.
    pub(crate) fn overstep(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}
