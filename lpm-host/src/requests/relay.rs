//! Where results go in a process that runs an LPM for a PCM elsewhere: there.

use std::sync::{Arc, OnceLock};

use lpm_abi::{AbiDecision, AbiResult};
use lpm_api::LpmStatus;

/// Takes results for a PCM in another process, and says what that says of them.
pub(crate) trait Relay: Send + Sync {
    /// How many flows an open request has, which is over after that.
    fn flows(&self, request: u64) -> Option<usize>;
    /// Decisions, as many as the request has flows.
    fn decisions(&self, result: &AbiResult, decisions: &[AbiDecision]) -> LpmStatus;
    /// Another number of them.
    fn wrong_count(&self, result: &AbiResult, found: usize, expected: usize) -> LpmStatus;
    /// Objects.
    fn objects(&self, result: &AbiResult, objects: &[u8]) -> LpmStatus;
    /// A result that is none, for what is wrong with it.
    fn refuse(&self, result: &AbiResult, what: &str) -> LpmStatus;
}

static RELAY: OnceLock<Arc<dyn Relay>> = OnceLock::new();

/// From now on results of all LPMs in this process go there.
pub(crate) fn set(relay: Arc<dyn Relay>) {
    // A process runs one LPM.
    let _ = RELAY.set(relay);
}

/// Where results go, if not to this process's own PCMs.
pub(super) fn get() -> Option<&'static dyn Relay> {
    RELAY.get().map(|relay| &**relay)
}
