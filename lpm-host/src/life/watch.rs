//! The watchdog: one thread of the process that looks at all PCMs, again and again.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crate::serving::Serving;

/// Keeps a PCM under watch; dropping it ends that.
///
/// One thread of the process watches all PCMs.
pub(crate) struct Watchdog {
    number: u64,
}

/// What the thread watches, and whether there is one.
#[derive(Default)]
struct WatchList {
    watched: Vec<(u64, Duration, Weak<Serving>)>,
    last_number: u64,
    has_thread: bool,
    /// When the thread looks next, at the latest.
    next_look: Option<Instant>,
}

static WATCH_LIST: Mutex<Option<WatchList>> = Mutex::new(None);
static CHANGED: Condvar = Condvar::new();

impl Watchdog {
    /// Looks every `period` at the latest.
    pub(crate) fn start(serving: &Arc<Serving>, period: Duration) -> io::Result<Self> {
        let mut list = WATCH_LIST.lock().unwrap_or_else(PoisonError::into_inner);
        let list = list.get_or_insert_default();
        if !list.has_thread {
            thread::Builder::new()
                .name(String::from("lpm-watchdog"))
                .spawn(look_again_and_again)?;
            list.has_thread = true;
        }
        list.last_number += 1;
        let number = list.last_number;
        list.watched.push((number, period, Arc::downgrade(serving)));
        // Not woken where it looks soon enough: PCMs may start and stop all the time.
        let latest = Instant::now() + period;
        if list.next_look.is_none_or(|next_look| next_look > latest) {
            CHANGED.notify_all();
        }
        Ok(Self { number })
    }

    /// How often to look, for these result time limits: so that none is missed by much.
    pub(crate) fn period(limits: impl Iterator<Item = Duration>) -> Duration {
        const SHORTEST: Duration = Duration::from_millis(2);
        const LONGEST: Duration = Duration::from_millis(100);
        let tenth = limits.min().unwrap_or(LONGEST) / 10;
        tenth.clamp(SHORTEST, LONGEST)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let mut list = WATCH_LIST.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(list) = &mut *list {
            list.watched.retain(|(number, ..)| *number != self.number);
        }
    }
}

fn look_again_and_again() {
    /// How long the thread stays when there is nothing to watch.
    const IDLE: Duration = Duration::from_secs(5);
    let mut list = WATCH_LIST.lock().unwrap_or_else(PoisonError::into_inner);
    let mut looked = Instant::now();
    loop {
        let periods = list.iter().flat_map(|list| &list.watched);
        let period = periods.map(|(_, period, _)| *period).min();
        // Counted from the last look: PCMs that start and stop all the time put none off.
        let wait = period.unwrap_or(IDLE).saturating_sub(looked.elapsed());
        if !wait.is_zero() {
            if let Some(list) = &mut *list {
                list.next_look = Some(Instant::now() + wait);
            }
            let waited = CHANGED.wait_timeout(list, wait);
            list = waited.unwrap_or_else(PoisonError::into_inner).0;
            continue;
        }
        looked = Instant::now();
        let Some(inner) = &mut *list else { return };
        if inner.watched.is_empty() {
            inner.has_thread = false;
            return;
        }
        let watched: Vec<_> = inner
            .watched
            .iter()
            .filter_map(|(.., serving)| serving.upgrade())
            .collect();
        // What is looked at may call the embedder's code, and may be the last to hold a PCM.
        drop(list);
        for serving in watched {
            serving.look();
        }
        list = WATCH_LIST.lock().unwrap_or_else(PoisonError::into_inner);
    }
}
