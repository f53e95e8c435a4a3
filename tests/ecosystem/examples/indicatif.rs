//! Shows a progress bar that a thread keeps moving.
#![forbid(unsafe_code)]

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget};

lpm_hazard::on_admit!(show);

fn show() {
    let bar = ProgressBar::with_draw_target(Some(3), ProgressDrawTarget::hidden());
    bar.enable_steady_tick(Duration::from_millis(1));
    bar.inc(3);
    bar.disable_steady_tick();
    bar.finish();
}
