//! The same library, the same use of it, the same life afterwards: once with plain `dlopen` and
//! `dlclose`, once with `libunload`, each in a process of its own.
//!
//! A scenario is a file in `scenarios/`. Its first line says which row of the book's table it is in
//! and what it is about; lines after that may say how it is linked and run (see [`Scenario`]). The
//! same file is compiled up to three times: as the library, with `SECOND` defined as another
//! library that is opened after it, and with `HOST` defined as a part of the host, which is there
//! before and stays. Their functions are called in the order of [`child::run`].
#![cfg(all(target_os = "linux", target_env = "gnu"))]

pub mod build;
pub mod child;
pub mod scenario;
pub mod table;

pub use self::scenario::{Scenario, Way};
