//! Waits for a signal with a handler that stays registered.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::SIGUSR2;

lpm_hazard::on_admit!(wait);

fn wait() {
    let seen = Arc::new(AtomicBool::new(false));
    let id = signal_hook::flag::register(SIGUSR2, Arc::clone(&seen)).expect("registered");
    signal_hook::low_level::raise(SIGUSR2).expect("raised");
    assert!(seen.load(Ordering::Relaxed));
    signal_hook::low_level::unregister(id);
}
