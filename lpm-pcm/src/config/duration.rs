//! Durations in words: "5 s", "90 min".

use std::time::Duration;

use jiff::SignedDuration;
use toml::Spanned;

use super::Fault;

/// What `key` says: a duration longer than none.
pub(super) fn parse(text: Spanned<String>, key: &str) -> Result<Duration, Fault> {
    let parsed: Option<SignedDuration> = text.get_ref().parse().ok();
    let duration = parsed.filter(SignedDuration::is_positive);
    duration
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| {
            let message = format!(
                "`{key}` is {:?}, expected a duration such as \"500 ms\", \"90 min\" or \"8h\"",
                text.get_ref()
            );
            (text.span().start, message)
        })
}
