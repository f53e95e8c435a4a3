//! How many decisions came to what.

use lpm_host::Outcome;

/// How many there were of each outcome.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcomes {
    pub(crate) accept: u64,
    pub(crate) reject: u64,
    pub(crate) drop: u64,
    pub(crate) dont_care: u64,
}

impl Outcomes {
    /// Counts one.
    pub(crate) fn count(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::Accept => &mut self.accept,
            Outcome::Reject => &mut self.reject,
            Outcome::Drop => &mut self.drop,
            Outcome::DontCare => &mut self.dont_care,
        } += 1;
    }
}
