//! What an LPM in a process of its own says of one of many messages.

use lpm_abi::{AbiAnswer, AbiDecision};

use crate::verdict::PerFlow;

/// What an LPM said of one of the messages.
pub(crate) struct Answered {
    pub(crate) answer: AbiAnswer,
    /// It took the request's handle for an answer that may come later.
    pub(crate) is_deferred: bool,
    pub(crate) decisions: PerFlow<AbiDecision>,
}
