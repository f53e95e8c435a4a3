//! The RSVP node: stories of single flows, and random ones that leave nothing behind.
#![forbid(unsafe_code)]
#![allow(unreachable_pub, reason = "modules of a test")]

mod hostile;
mod lossy;
mod memory;
mod random;
mod reject;
mod reliable;
mod stories;
mod world;
