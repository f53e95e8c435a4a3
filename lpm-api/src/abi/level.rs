//! How verbose logs are, as a number that crosses the boundary: 0 nothing, 1 error, … 5 trace.

use tracing_core::{Level, LevelFilter};

/// The number of a level.
#[must_use]
pub const fn level_number(level: Level) -> u32 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

/// What a number lets through.
#[must_use]
pub const fn level_filter(number: u32) -> LevelFilter {
    match number {
        0 => LevelFilter::OFF,
        1 => LevelFilter::ERROR,
        2 => LevelFilter::WARN,
        3 => LevelFilter::INFO,
        4 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    }
}
