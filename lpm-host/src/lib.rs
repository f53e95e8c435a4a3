//! Embed a Policy Control Module (PCM): load Local Policy Modules (LPMs), ask them whether RSVP
//! flows may have what they ask for, combine what they say, and really unload them.
//!
//! 1. [`Pcm::builder`] takes the LPMs in order, each a [`LpmConfig`] with a library that the caller
//!    vouches for ([`LpmLibrary::trust`], the one `unsafe` step), and an
//!    [`EventLog`](event::EventLog).
//! 2. [`Pcm::become_dsbm`] loads each library from a private copy, checks that both sides agree on
//!    the ABI, and initializes the LPM with a handle of its own ([`Startup`]).
//! 3. [`Pcm::admit`] decides on a message: every LPM is asked, and their answers are combined flow
//!    by flow ([`Verdict`]). Any number of threads may do so at once.
//! 4. [`Pcm::demote`] or [`Pcm::shutdown`] waits for the calls under way, deinitializes the LPMs in
//!    reverse order, and unloads the libraries. It proves that they are no longer mapped, or leaves
//!    them mapped and says why ([`Teardown`], [`UnloadOutcome`]).
//!
//! ```no_run
//! use std::net::Ipv4Addr;
//! use std::time::SystemTime;
//!
//! use lpm_host::{LpmConfig, LpmLibrary, Pcm, ReceivedMessage};
//! use lpm_host::lpm_api::Interface;
//! use lpm_host::lpm_rsvp::{Message, ObjectIndex};
//!
//! # fn receive() -> Vec<u8> { Vec::new() }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // SAFETY: this is the LPM we ship.
//! let library = unsafe { LpmLibrary::trust("/usr/lib/lpm/liboffice_hours.so") };
//! let pcm = Pcm::builder().lpm(LpmConfig::new("office hours", library).config("8-18")).build()?;
//! pcm.become_dsbm()?;
//!
//! let bytes = receive();
//! let mut index = ObjectIndex::new();
//! let verdict = pcm.admit(&ReceivedMessage {
//!     message: Message::parse(&bytes, &mut index)?,
//!     interface: Interface { index: 2, address: Ipv4Addr::new(192, 0, 2, 1).into() },
//!     received: SystemTime::now(),
//!     integrity_verified: false,
//! })?;
//! println!("{}", verdict.outcome());
//!
//! for library in pcm.demote()?.libraries {
//!     println!("{}: {}", library.library.display(), library.outcome);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! An LPM that misbehaves does not take the PCM with it: panics are caught, lifecycle calls have a
//! deadline, a library whose unmapping might not be safe stays mapped, and all of it is recorded as
//! [`Event`](event::Event)s. What no host can do is keep native code from writing where it should
//! not.
//!
//! # Features
//!
//! `testing` adds a PCM that runs an LPM inside a unit test: module `testing`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod answers;
mod ask;
mod builder;
mod clock;
mod config;
mod confinement;
mod dispatch;
pub mod error;
pub mod event;
mod event_limit;
mod initialized;
/// LPMs in processes of their own.
pub mod isolated {
    pub use crate::error::IsolationError;
    pub use crate::lpm::isolated::{lacks, run_if_asked};
}
mod known;
mod life;
mod lock;
mod manual_clock;
mod message;
mod metrics;
mod pcm;
mod pin_reason;
mod requests;
mod roster;
mod seat;
mod serving;
mod source;
pub mod status;
mod tally;
#[cfg(feature = "testing")]
pub mod testing;
/// What a library's file has to be like to be loaded.
pub mod trust {
    pub use crate::lpm::trust::error::{KeyError, TrustError};
    pub use crate::lpm::trust::requirements::Requirements;
}
mod verdict;

// The LPM behind the ABI; everything above this is safe code.
#[allow(unsafe_code)]
mod lpm;

pub use libunload::visit_thread;
pub use lpm_api::{
    AddressRow, CommitDecision, Decision, DeinitReason, DeleteReason, Interface, LpmHandle,
    LpmStatus, PeType,
};
pub use {libunload, lpm_api, lpm_rsvp};

pub use self::answers::objects::{OutgoingVerdict, SuppliedObjects};
pub use self::ask::admission::Admission;
pub use self::ask::tell::{CommittedResv, StateGone};
pub use self::builder::PcmBuilder;
pub use self::config::{CallMode, Isolation, LpmConfig};
pub use self::confinement::Confinement;
pub use self::initialized::InitializedLpm;
pub use self::life::pending_change::PendingChange;
pub use self::life::reconfigure::Reconfiguration;
pub use self::life::startup::Startup;
pub use self::life::teardown::{DeinitializedLpm, Teardown, UnloadedLibrary};
pub use self::lpm::describe::LpmDescription;
pub use self::lpm::trace::TraceLimit;
pub use self::lpm::trust::LpmLibrary;
pub use self::manual_clock::ManualClock;
pub use self::message::{OutgoingMessage, ReceivedMessage};
pub use self::pcm::Pcm;
pub use self::pin_reason::{PinReason, UnloadOutcome};
pub use self::source::LpmSource;
pub use self::verdict::{FlowVerdict, Outcome, Verdict};

#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    #[cfg(all(target_os = "linux", not(lpm_pipes)))]
    pub use crate::lpm::isolated::fuzzing::*;
    pub use crate::lpm::lpmapi::fuzzing::*;
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
