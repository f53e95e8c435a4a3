//! The subcommands, one module each.

pub mod check;
pub mod config;
pub mod control;
pub mod diff;
pub mod explain;
pub mod generate;
pub mod inspect;
pub mod lab;
pub(crate) mod library_facts;
pub mod lpm_text;
pub mod new;
pub mod policy;
pub mod replay;
pub mod run;
pub(crate) mod trust_facts;

/// So many of something: `1 error`, `2 errors`.
fn counted(number: impl TryInto<u64>, noun: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
