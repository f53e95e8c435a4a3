//! Failures of the LPM, as they cross the boundary.

use std::fmt::Display;

use abi_stable::std_types::RString;
use lpm_abi::{AbiFailure, LpmStatus};

pub(super) fn failure(message: &dyn Display, status: LpmStatus) -> AbiFailure {
    AbiFailure {
        status: status.0,
        message: RString::from(message.to_string()),
    }
}

pub(super) fn panicked(function: &str) -> AbiFailure {
    failure(&format_args!("panicked in {function}"), LpmStatus::PANICKED)
}
