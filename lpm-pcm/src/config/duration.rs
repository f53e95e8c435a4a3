//! Durations in words: "5 s", "90 min".

use std::time::Duration;

use jiff::SignedDuration;
use toml::Spanned;

use super::error::Fault;

/// What `key` says: a duration longer than none.
pub(super) fn parse(text: &Spanned<String>, key: &str) -> Result<Duration, Fault> {
    of_words(text.get_ref()).ok_or_else(|| {
        let message = format!("`{key}` is {:?}, expected {EXPECTED}", text.get_ref());
        Fault::of(text, message)
    })
}

/// The same on a command line.
///
/// # Errors
/// It is none.
pub(crate) fn parse_argument(text: &str) -> Result<Duration, NoDuration> {
    of_words(text).ok_or(NoDuration)
}

/// An argument is not what was expected.
#[derive(Debug, thiserror::Error)]
#[error("expected {EXPECTED}")]
pub(crate) struct NoDuration;

const EXPECTED: &str = "a duration longer than 0, such as \"500 ms\", \"90 min\" or \"8h\"";

fn of_words(text: &str) -> Option<Duration> {
    let parsed: Option<SignedDuration> = text.parse().ok();
    let duration = parsed.filter(SignedDuration::is_positive)?;
    Duration::try_from(duration).ok()
}
