//! How many decisions came to what.

use lpm_host::Outcome;

use super::flow::FlowRecord;

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

/// What becomes of a message as a whole.
pub(crate) fn of_message(flows: &[FlowRecord<'_>]) -> Outcome {
    [Outcome::Drop, Outcome::Accept, Outcome::Reject]
        .into_iter()
        .find(|outcome| flows.iter().any(|flow| flow.outcome == *outcome))
        .unwrap_or(Outcome::DontCare)
}
