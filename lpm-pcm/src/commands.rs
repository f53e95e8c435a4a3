//! The subcommands, one module each.

pub mod policy;
pub mod replay;
