//! Takes and resolves a backtrace with the crate `backtrace`, and drops its cache.
#![forbid(unsafe_code)]

use backtrace::Backtrace;

lpm_hazard::on_admit!(look);

fn look() {
    let backtrace = Backtrace::new();
    assert!(!backtrace.frames().is_empty());
    drop(backtrace);
    backtrace::clear_symbol_cache();
}
