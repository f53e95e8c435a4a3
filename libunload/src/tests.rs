//! The hazards of unloading, one test each, with real libraries built for the purpose.
//!
//! Libraries are compiled when a test runs, from the text next to it, with the Rust, C or C++
//! compiler. Tests that leave something behind, or that would end the process if they failed, run
//! in a process of their own.

mod any_moment;
mod companions;
mod confined;
mod cycles;
mod exits;
mod files;
pub(crate) mod fixture;
mod kept_addresses;
mod order;
mod remnants;
mod thread_locals;
mod threads;
