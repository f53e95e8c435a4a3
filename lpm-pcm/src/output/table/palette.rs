//! What is said in which colour.

use anstyle::{AnsiColor, Style};
use lpm_host::Outcome;

use crate::output::flow::FlowRecord;

/// What is said in which colour.
#[derive(Clone, Copy)]
pub(super) struct Palette {
    pub(super) good: Style,
    pub(super) bad: Style,
    pub(super) caution: Style,
    pub(super) faint: Style,
    pub(super) heading: Style,
}

impl Palette {
    pub(super) const COLOURED: Self = Self {
        good: AnsiColor::Green.on_default(),
        bad: AnsiColor::Red.on_default(),
        caution: AnsiColor::Yellow.on_default(),
        faint: Style::new().dimmed(),
        heading: Style::new().bold(),
    };
    pub(super) const PLAIN: Self = Self {
        good: Style::new(),
        bad: Style::new(),
        caution: Style::new(),
        faint: Style::new(),
        heading: Style::new(),
    };

    /// The colour of what became of a flow.
    pub(super) fn of(self, flow: &FlowRecord<'_>) -> Style {
        match flow.outcome {
            Outcome::Accept => self.good,
            Outcome::Reject => self.bad,
            Outcome::Drop => self.caution,
            Outcome::DontCare => self.faint,
        }
    }
}
