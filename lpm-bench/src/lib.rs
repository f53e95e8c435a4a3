//! What is asked and replayed in benchmarks: messages, and captures and policies of any size.
#![forbid(unsafe_code)]

pub mod capture;
pub mod messages;
pub mod policy;
#[path = "../../lpm-rsvp/benches/parse/walk.rs"]
pub mod walk;
