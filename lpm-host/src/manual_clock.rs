//! A clock that the embedder drives.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::clock::Clock;
use crate::serving::Serving;

/// A clock that stands still until it is told to go on: for tests, and for PCMs that live in the
/// time of a recording. See [`PcmBuilder::clock`](crate::PcmBuilder::clock).
///
/// It counts the result time limits, and watches for hangs. The limits of lifecycle calls (loading,
/// `initialize`, `deinitialize`, unloading) and the drain limit are real time.
#[derive(Clone)]
pub struct ManualClock(Arc<Shared>);

struct Shared {
    clock: Arc<Clock>,
    pcms: Mutex<Vec<Weak<Serving>>>,
}

impl ManualClock {
    /// A clock that stands at zero.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            clock: Arc::new(Clock::manual()),
            pcms: Mutex::default(),
        }))
    }

    /// Lets time pass, in whole milliseconds, and has each PCM with this clock do what is due, on
    /// this thread.
    pub fn advance(&self, by: Duration) {
        if by.is_zero() {
            return;
        }
        self.0.clock.advance(by);
        // What is due calls the embedder's code, which may let time pass as well.
        let pcms: Vec<_> = {
            let mut pcms = self.0.pcms.lock().unwrap_or_else(PoisonError::into_inner);
            pcms.retain(|pcm| pcm.strong_count() > 0);
            pcms.iter().filter_map(Weak::upgrade).collect()
        };
        for pcm in pcms {
            pcm.do_what_is_due();
        }
    }

    pub(crate) fn clock(&self) -> Arc<Clock> {
        Arc::clone(&self.0.clock)
    }

    pub(crate) fn drives(&self, pcm: &Arc<Serving>) {
        let mut pcms = self.0.pcms.lock().unwrap_or_else(PoisonError::into_inner);
        pcms.push(Arc::downgrade(pcm));
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ManualClock")
            .field(&self.0.clock.now())
            .finish()
    }
}
