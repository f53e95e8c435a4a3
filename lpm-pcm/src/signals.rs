//! Ctrl-C and SIGTERM: leave by the same road as always, only earlier. SIGHUP: open files of events
//! anew; where there are none, nothing.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Whether the program has been asked to stop.
///
/// A second signal of the same kind ends the process at once, so that an LPM that hangs cannot hold
/// it.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// The signal's number; 0 for none.
    signal: Arc<AtomicUsize>,
}

impl Stop {
    /// Takes over SIGINT (Ctrl-C) and SIGTERM. SIGHUP no longer ends the process, which would leave
    /// LPMs behind that are not deinitialized.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn on_signals() -> io::Result<Self> {
        let stop = Self::default();
        reopen_requests()?;
        for signal in [SIGINT, SIGTERM] {
            let again = Arc::new(AtomicBool::new(false));
            // In this order: the first signal finds `again` unset and sets it.
            flag::register_conditional_shutdown(signal, status(signal), Arc::clone(&again))?;
            flag::register(signal, again)?;
            let number = usize::try_from(signal).unwrap_or_default();
            flag::register_usize(signal, Arc::clone(&stop.signal), number)?;
        }
        Ok(stop)
    }

    /// Whether the program has been asked to stop.
    #[must_use]
    pub fn is_asked_for(&self) -> bool {
        self.signal.load(Ordering::Relaxed) != 0
    }

    /// The exit status that shells expect of a program that the signal stopped: 128 and its number.
    #[must_use]
    pub fn exit_code(&self) -> Option<ExitCode> {
        let signal = i32::try_from(self.signal.load(Ordering::Relaxed)).unwrap_or_default();
        (signal != 0).then(|| ExitCode::from(u8::try_from(status(signal)).unwrap_or(u8::MAX)))
    }
}

/// A flag that is set whenever files are to be opened anew by their names: on SIGHUP, where there
/// is one.
///
/// # Errors
/// The operating system refuses.
pub fn reopen_requests() -> io::Result<Arc<AtomicBool>> {
    let asked_for = Arc::new(AtomicBool::new(false));
    #[cfg(unix)]
    flag::register(signal_hook::consts::SIGHUP, Arc::clone(&asked_for))?;
    Ok(asked_for)
}

fn status(signal: i32) -> i32 {
    128 + signal
}
