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
fn counted(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
