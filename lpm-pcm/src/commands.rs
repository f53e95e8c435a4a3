//! The subcommands, one module each.

pub mod check;
pub mod generate;
pub mod inspect;
pub mod lpm_text;
pub mod new;
pub mod policy;
pub mod replay;
