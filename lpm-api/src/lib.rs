//! Write a Local Policy Module (LPM): a shared library that decides, from policy, whether RSVP
//! flows may have the quality of service they ask for.
//!
//! A Policy Control Module (PCM), the program that loads LPMs, drives each of them through this
//! life:
//!
//! 1. It loads the library and checks that both sides agree on the ABI ([`export_lpm!`]).
//! 2. [`Lpm::initialize`] starts the LPM with its handle and configuration ([`InitInfo`]). A
//!    library that is configured several times is initialized as often, each time with a handle of
//!    its own.
//! 3. [`Lpm::ip_address_table`] tells it the host's addresses ([`AddressRow`]), before any request
//!    and whenever they change.
//! 4. [`Lpm::admit`] decides on each Path, Resv, PathErr and ResvErr message, flow by flow
//!    ([`AdmitRequest`], [`Decision`]), at once or [later](AdmitRequest::defer) ([`Deferral`]). The
//!    PCM combines what all LPMs say: one veto rejects, and at least one LPM must accept.
//! 5. [`Lpm::commit_resv`] tells that resources were reserved ([`CommitResv`]), and
//!    [`Lpm::delete_state`] that flows are gone ([`DeleteState`]).
//! 6. [`Lpm::rsvp_objects`] supplies policy data for messages on their way out
//!    ([`ObjectsRequest`]).
//! 7. [`Lpm::deinitialize`] ends the LPM, on demotion or shutdown ([`DeinitReason`]): it frees
//!    resources and closes connections before it returns, since
//! 8. the PCM then unloads the library.
//!
//! Where somebody wants to know, [`Lpm::explain`] says why it decided so. An LPM that is replaced
//! may leave its state to the next one ([`Lpm::hand_over`], [`Lpm::take_over`]). Further abilities
//! are [extensions](Statistics) that an LPM may offer.
//!
//! A complete LPM, which admits flows in office hours only:
//!
//! ```
#![doc = include_str!("../examples/first_lpm.rs")]
//! ```
//!
//! The crate is a `cdylib`; `pcm replay` and every other PCM load the library it builds. Panics
//! are caught at the boundary and reported to the PCM, so the LPM's profile must keep
//! `panic = "unwind"`.
//!
//! # Testing
//!
//! `lpm_host::testing` (crate `lpm-host`, feature `testing`) runs an LPM inside a unit test,
//! without a shared library. `pcm check` runs the library through what the API asks of it;
//! `pcm new` makes a crate to begin with.
//!
//! # Logging
//!
//! Use the macros of [`tracing`], as anywhere:
//!
//! ```
//! use lpm_api::tracing::{info, info_span};
//!
//! let _span = info_span!("decide", flow = 1).entered();
//! info!(user = "alice", "admitted");
//! ```
//!
//! Events and spans appear in the PCM's own log, inside the span that the PCM is in, with a field
//! `lpm` that names the LPM. (A field of your own of that name is renamed `lpm_`.) There is nothing
//! to set up, and nothing to shut down: it works from the start of [`Lpm::initialize`] to the end
//! of [`Lpm::deinitialize`], on any thread. What the PCM's filters do not let through costs about a
//! nanosecond, and its fields are not evaluated. An LPM that logs more than the PCM allows it is
//! cut short, and so is a record of more than 64 KiB.
//!
//! - The bridge to the PCM is the library's global subscriber, so an LPM cannot set one:
//!   `tracing_subscriber::fmt().init()` panics, and `try_init` returns an error. A subscriber for
//!   some code only (`tracing::subscriber::with_default`) works.
//! - `tracing` as a dependency of your own works the same, with its attributes; it has to be 0.1.
//! - Records of the `log` crate come along once `tracing_log::LogTracer::init()` was called in
//!   `initialize`. Their target is `log`, and what the `log` crate calls their target is in the
//!   field `log.target`.
//! - What is printed to stdout or stderr is the PCM's stdout or stderr, and in nobody's log.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod address_table;
mod admit;
mod callbacks;
mod commit;
mod decision;
mod deferral;
mod deinit;
mod dn;
mod flow_key;
mod hand_over;
mod init;
mod interface;
mod lpm;
mod name;
mod objects;
mod pe_type;
mod policy_error;
mod rate;
mod state;
mod statistics;

// The boundary itself: what crosses it is checked by layout when a library is loaded.
#[allow(unsafe_code)]
pub mod abi;

pub use lpm_abi::{LpmHandle, LpmStatus, RequestHandle};
pub use lpm_rsvp;
pub use tracing;

pub use self::address_table::{AddressRow, AddressTableRefused};
pub use self::admit::{AdmitRequest, Answer};
pub use self::callbacks::{PcmCallbacks, ResultError};
pub use self::commit::{CommitDecision, CommitResv};
pub use self::decision::{Decision, Priority, RejectReason};
pub use self::deferral::{Deferral, ObjectsDeferral};
pub use self::deinit::{DeinitError, DeinitReason};
pub use self::dn::{DnError, DnProblem};
pub use self::flow_key::{Direction, FlowKey};
pub use self::hand_over::{HandOver, TakeOverRefused};
pub use self::init::{InitError, InitInfo};
pub use self::interface::Interface;
pub use self::lpm::Lpm;
pub use self::name::Name;
pub use self::objects::{ObjectsAnswer, ObjectsRequest};
pub use self::pe_type::PeType;
pub use self::policy_error::{LpmPolicyError, Metric, Scope};
pub use self::rate::{Rate, RateError};
pub use self::state::{DeleteReason, DeleteState};
pub use self::statistics::Statistics;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
