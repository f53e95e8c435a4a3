//! Prints an error of `anyhow` with its backtrace.
#![forbid(unsafe_code)]

use std::backtrace::Backtrace;

use anyhow::Context;

lpm_hazard::on_admit!(fail);

fn fail() {
    let error = "x".parse::<u8>().context("a number").expect_err("none");
    let text = format!("{error:?} {}", Backtrace::force_capture());
    assert!(text.contains("a number"));
}
