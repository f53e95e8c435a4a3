//! What is measured, subject by subject.

mod cycle;
mod decision;
pub(crate) mod deferral;
mod guard;
pub(crate) mod parse;
mod policy;
mod replay;

use std::error::Error;
use std::path::PathBuf;

use crate::report::Section;

/// What sections need to know.
pub(crate) struct Context {
    pub(crate) quick: bool,
    pub(crate) pcm: PathBuf,
}

type Measure = fn(&Context) -> Result<Section, Box<dyn Error>>;

/// All sections, in the order of the report. Libraries that can never be unloaded come into the
/// process with `cycle`; it is the last that runs in this process alone.
pub(crate) const SECTIONS: [(&str, Measure); 7] = [
    ("decision", decision::measure),
    ("guard", guard::measure),
    ("deferral", deferral::measure),
    ("parse", parse::measure),
    ("policy", policy::measure),
    ("cycle", cycle::measure),
    ("replay", replay::measure),
];
