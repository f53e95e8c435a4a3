//! The stable ABI between a Local Policy Module (LPM), a shared library, and the Policy Control
//! Module (PCM) that loads it: version 1.
//!
//! Authors of LPMs use `lpm-api`, whose `export_lpm!` fills this in, and PCMs use `lpm-host`. What
//! is here is what both agree on, and nothing else: it knows neither side.
//!
//! What crosses is the RSVP message as it came off the wire with an index of its objects, both
//! borrowed, so that a new object type changes nothing here.
//!
//! abi_stable compares layouts when a library is loaded, and the version of the package that each
//! type comes from, which is this one. So nothing that is here changes in 1.x, and new abilities
//! are [extensions](ExtensionFunctions), asked for by name. `lpm-api` and `lpm-host` are free to
//! change.

#![cfg_attr(docsrs, feature(doc_cfg))]
// What crosses is checked by layout when a library is loaded; each block says what remains to be
// promised.
#![allow(unsafe_code)]

mod admit;
mod decision;
mod extension;
mod failure;
mod hand_over;
mod handle;
mod host;
mod init;
mod interface;
mod lpm;
mod message;
mod module;
mod objects;
mod reasons;
mod results;
mod statistics;
mod status;
mod tell;
mod time;
mod trace;

pub use self::admit::{AbiAdmit, Admit, AdmitCall, AdmitCallFunctions};
pub use self::decision::{AbiAnswer, AbiDecision};
pub use self::extension::{AbiExtension, Erased, ExtensionFunctions};
pub use self::failure::AbiFailure;
pub use self::hand_over::AbiHandOver;
pub use self::handle::{LpmHandle, RequestHandle};
pub use self::host::{AbiHost, AbiPanic};
pub use self::init::{AbiInit, AbiInitialized};
pub use self::interface::{AbiAddressRow, AbiInterface};
pub use self::lpm::{AbiDeinitialize, AbiLpm, AbiLpm_TO, AbiLpmBox};
pub use self::message::{AbiMessage, AbiObjectEntry};
pub use self::module::{AbiLpmModule, AbiLpmModule_Prefix, AbiLpmModuleRef, AbiPackage};
pub use self::objects::{AbiObjectsRequest, Defer};
pub use self::reasons::AbiReasons;
pub use self::results::{AbiCallbacks, AbiResult};
pub use self::statistics::{AbiCounter, AbiStatistics};
pub use self::status::LpmStatus;
pub use self::tell::{AbiCommit, AbiDeleteState};
pub use self::time::AbiTime;
pub use self::trace::{
    AbiCallsite, AbiCurrentSpan, AbiField, AbiInterest, AbiParent, AbiRegistered, AbiTraceHost,
    AbiValue, NO_SPAN,
};

/// The version of the LPM API that this crate speaks.
pub const API_VERSION: u32 = 1;
