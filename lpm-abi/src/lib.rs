//! The stable ABI between a Local Policy Module (LPM), a shared library, and the Policy Control Module
//! (PCM) that loads it: version 1.
//!
//! Authors of LPMs use `lpm-api`, whose `export_lpm!` fills this in, and PCMs use `lpm-host`. What is
//! here is what both agree on, and nothing else: it knows neither side.
//!
//! What crosses is the RSVP message as it came off the wire with an index of its objects, both
//! borrowed, so that a new object type changes nothing here.
//!
//! abi_stable compares layouts when a library is loaded, and the version of the package that each type
//! comes from, which is this one. So nothing that is here changes in 1.x, and new abilities are
//! [extensions](extension), asked for by name. `lpm-api` and `lpm-host` are free to change.

#![cfg_attr(docsrs, feature(doc_cfg))]
// What crosses is checked by layout when a library is loaded; each block says what remains to be promised.
#![allow(unsafe_code)]

mod admit_call;
mod defer;
pub mod extension;
mod handle;
mod module;
mod object;
mod status;
mod trace;
mod types;

pub use self::admit_call::{AdmitCall, AdmitCallFunctions};
pub use self::defer::Defer;
pub use self::extension::{AbiCounter, AbiExtension, AbiStatistics, Erased, ExtensionFunctions};
pub use self::handle::{LpmHandle, RequestHandle};
pub use self::module::{AbiLpmModule, AbiLpmModule_Prefix, AbiLpmModuleRef};
pub use self::object::{AbiLpm, AbiLpm_TO, AbiLpmBox};
pub use self::status::LpmStatus;
pub use self::trace::{
    AbiCallsite, AbiCurrentSpan, AbiField, AbiInterest, AbiParent, AbiRegistered, AbiTraceHost,
    AbiValue, NO_SPAN,
};
pub use self::types::{
    AbiAddressRow, AbiAdmit, AbiAnswer, AbiCallbacks, AbiCommit, AbiDecision, AbiDeinitialize,
    AbiDeleteState, AbiFailure, AbiHost, AbiInit, AbiInitialized, AbiInterface, AbiMessage,
    AbiObjectEntry, AbiObjectsRequest, AbiPackage, AbiPanic, AbiResult, AbiTime,
};

/// The version of the LPM API that this crate speaks.
pub const API_VERSION: u32 = 1;
