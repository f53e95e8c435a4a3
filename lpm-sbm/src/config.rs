//! What the SBM is told about itself.

use std::time::Duration;

use crate::bandwidth::{InterfaceName, PoolConfig};

/// What the SBM is told about itself.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SbmConfig {
    /// How many refreshes in a row may be missed before state times out: K of RFC 2205 §3.7.
    pub missed_refreshes: u32,
    /// The longest refresh period that a message may announce. One that announces a longer one is
    /// taken to announce this: else a neighbour that is gone could have its state last for months.
    pub max_refresh: Duration,
    /// How long a flow may last; `None` for as long as it is refreshed.
    pub max_flow_duration: Option<Duration>,
    /// How many flows are kept at most.
    pub max_flows: usize,
    /// Whether a Resv without Path state is refused (RFC 2205 §3.1.8), or admitted and noted, as
    /// suits a capture that begins in the middle.
    pub require_path: bool,
    /// The bandwidth of interfaces. Others, if none of these is for [`InterfaceName::Any`], have
    /// as much as anybody asks for.
    pub interfaces: Vec<(InterfaceName, PoolConfig)>,
}

impl Default for SbmConfig {
    fn default() -> Self {
        Self {
            missed_refreshes: 3,
            max_refresh: Duration::from_secs(3_600),
            max_flow_duration: None,
            max_flows: 65_536,
            require_path: false,
            interfaces: Vec::new(),
        }
    }
}
