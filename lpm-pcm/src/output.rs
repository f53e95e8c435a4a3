//! What `pcm` prints: one [`Record`](record::Record) after the other, as a [`table`] for people or
//! as [`json`] for programs.

pub mod asked;
pub mod filter;
pub mod flow;
pub mod json;
pub(crate) mod outcomes;
pub(crate) mod pe_type;
pub(crate) mod plain;
pub mod printer;
pub mod progress;
pub mod record;
pub mod reporter;
pub mod table;
pub mod tally;
mod texts;
pub mod time;
