//! The stable ABI between an LPM library and the PCM that loads it, version 1.
//!
//! LPM authors never touch this module: [`export_lpm!`](crate::export_lpm) fills it in. PCMs use
//! it through `lpm-host`.
//!
//! What crosses is the RSVP message as it came off the wire with an index of its objects, both
//! borrowed, so that a new object type changes nothing here.
//!
//! abi_stable compares layouts when a library is loaded, and the versions of the packages the
//! types come from: `lpm-api` releases that Cargo takes as semver-compatible are ABI-compatible.

mod adapter;
mod admit_call;
mod defer;
mod export;
pub mod extension;
mod message;
mod module;
mod object;
mod panic_report;
mod trace;
mod types;

pub use self::admit_call::{AdmitCall, AdmitCallFunctions};
pub use self::defer::Defer;
pub use self::export::{Export, Package, header, module};
pub use self::extension::{AbiCounter, AbiExtension, AbiStatistics, Erased, ExtensionFunctions};
pub use self::message::{commit_resv, delete_state, message};
pub use self::module::{AbiLpmModule, AbiLpmModuleRef};
pub use self::object::{AbiLpm, AbiLpm_TO, AbiLpmBox};
pub use self::trace::{
    AbiCallsite, AbiCurrentSpan, AbiField, AbiInterest, AbiParent, AbiRegistered, AbiTraceHost,
    AbiValue, NO_SPAN,
};
pub use self::types::{
    AbiAddressRow, AbiAdmit, AbiAnswer, AbiCallbacks, AbiCommit, AbiDecision, AbiDeinitialize,
    AbiDeleteState, AbiFailure, AbiHost, AbiInit, AbiInitialized, AbiInterface, AbiMessage,
    AbiObjectEntry, AbiObjectsRequest, AbiPackage, AbiPanic, AbiResult, AbiTime,
};
/// What an LPM library exports: abi_stable's header in front of the module.
pub use abi_stable::library::LibHeader;

/// The version of the LPM API that this crate speaks.
pub const API_VERSION: u32 = 1;
