//! The parts of `pcm`, a Policy Control Module (PCM) ready to run.
//!
//! What is stable is the program: its command line, its configuration file, and the JSON it prints;
//! and of this library [`config`], [`node::pcm`] and [`node::lpm`], with which any program runs the
//! LPMs that a `pcm.toml` names. The rest is there so that the program's parts can be tested and
//! fuzzed, and promises no stable interface.
//!
//! The road of a message: [`capture`] → `lpm_rsvp::Message` → `lpm_host::Pcm::admit` (called in
//! [`commands::replay`]) → [`output`].
#![forbid(unsafe_code)]

pub mod capture;
pub mod child;
pub mod cli;
pub mod commands;
pub mod config;
pub mod events;
pub mod handshake;
pub mod in_child;
pub mod integrity;
pub mod log;
pub mod node;
pub mod output;
#[cfg(target_os = "linux")]
pub mod run;
pub mod secrets;
pub mod signals;
mod sum;
mod text_file;
