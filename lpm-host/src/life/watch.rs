//! The watchdog: requests whose time is over, and calls that do not return.

use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};
use std::{fmt, io};

use lpm_api::LpmStatus;

use crate::clock::milliseconds;
use crate::life::lifecycle::Lifecycle;
use crate::seat::Seat;
use crate::{EventId, EventLog};
use libunload::gate::PassSeen;

/// The calls into an LPM that were under way at the last look.
#[derive(Default)]
pub(crate) struct Watched {
    calls: Vec<(PassSeen, u32)>,
    is_quarantined: bool,
}

impl Seat {
    /// Does what is due at `now`: ends requests that were not answered in time, and puts the LPM in
    /// quarantine while a call hangs in it.
    pub(crate) fn do_what_is_due(&self, now: u32, events: &dyn EventLog) {
        let late = self.requests.expire(now);
        if late > 0 {
            let limit = self.config.result_time_limit;
            let detail = format!(
                "{late} deferred {} not answered within {limit:?}: the flows are rejected",
                if late == 1 {
                    "request was"
                } else {
                    "requests were"
                }
            );
            events.record(
                &self
                    .about
                    .about(EventId::LpmTimedOut, detail)
                    .status(LpmStatus::TIME_OUT),
            );
        }
        self.watch(now, events);
    }

    fn watch(&self, now: u32, events: &dyn EventLog) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let seen: Vec<_> = self
            .gate
            .passes()
            .into_iter()
            .map(|pass| {
                let before = watched.calls.iter().find(|(other, _)| *other == pass);
                (pass, before.map_or(now, |(_, since)| *since))
            })
            .collect();
        let limit = milliseconds(self.config.result_time_limit);
        let hanging: Vec<_> = seen
            .iter()
            .filter(|(_, since)| now.wrapping_sub(*since) >= limit)
            .map(|(pass, _)| *pass)
            .collect();
        watched.calls = seen;
        let was_quarantined = std::mem::replace(&mut watched.is_quarantined, !hanging.is_empty());
        drop(watched);

        match (was_quarantined, hanging.is_empty()) {
            (false, false) => {
                self.quarantine();
                let detail = format!(
                    "{} into the LPM did not return within {:?} ({}): it is in quarantine, and \
                     all flows are rejected, until it does",
                    if hanging.len() == 1 {
                        "a call"
                    } else {
                        "calls"
                    },
                    self.config.result_time_limit,
                    Threads(&hanging),
                );
                events.record(
                    &self
                        .about
                        .about(EventId::LpmQuarantined, detail)
                        .status(LpmStatus::QUARANTINED),
                );
            }
            (true, true) => {
                let missed = self.release();
                let detail = format!(
                    "the call returned: the LPM is asked again; calls it missed meanwhile: {missed}"
                );
                events.record(&self.about.about(EventId::LpmReleased, detail));
            }
            _ => {}
        }
    }
}

struct Threads<'a>(&'a [PassSeen]);

impl fmt::Display for Threads<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, pass) in self.0.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { ", " }, pass.thread)?;
        }
        Ok(())
    }
}

/// Keeps a PCM under watch; dropping it ends that.
///
/// One thread of the process watches all PCMs.
pub(crate) struct Watchdog {
    number: u64,
}

/// What the thread watches, and whether there is one.
#[derive(Default)]
struct Kennel {
    watched: Vec<(u64, Duration, Weak<Lifecycle>)>,
    last_number: u64,
    has_thread: bool,
    /// When the thread looks next, at the latest.
    next_look: Option<Instant>,
}

static KENNEL: Mutex<Option<Kennel>> = Mutex::new(None);
static CHANGED: Condvar = Condvar::new();

impl Watchdog {
    /// Looks every `period` at the latest.
    pub(crate) fn start(lifecycle: &Arc<Lifecycle>, period: Duration) -> io::Result<Self> {
        let mut kennel = KENNEL.lock().unwrap_or_else(PoisonError::into_inner);
        let kennel = kennel.get_or_insert_default();
        if !kennel.has_thread {
            thread::Builder::new()
                .name(String::from("lpm-watchdog"))
                .spawn(look_again_and_again)?;
            kennel.has_thread = true;
        }
        kennel.last_number += 1;
        let number = kennel.last_number;
        kennel
            .watched
            .push((number, period, Arc::downgrade(lifecycle)));
        // Not woken where it looks soon enough: PCMs may start and stop all the time.
        let latest = Instant::now() + period;
        if kennel.next_look.is_none_or(|next_look| next_look > latest) {
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
        let mut kennel = KENNEL.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kennel) = &mut *kennel {
            kennel.watched.retain(|(number, ..)| *number != self.number);
        }
    }
}

fn look_again_and_again() {
    /// How long the thread stays when there is nothing to watch.
    const IDLE: Duration = Duration::from_secs(5);
    let mut kennel = KENNEL.lock().unwrap_or_else(PoisonError::into_inner);
    let mut looked = Instant::now();
    loop {
        let periods = kennel.iter().flat_map(|kennel| &kennel.watched);
        let period = periods.map(|(_, period, _)| *period).min();
        // Counted from the last look: PCMs that start and stop all the time put none off.
        let wait = period.unwrap_or(IDLE).saturating_sub(looked.elapsed());
        if !wait.is_zero() {
            if let Some(kennel) = &mut *kennel {
                kennel.next_look = Some(Instant::now() + wait);
            }
            let waited = CHANGED.wait_timeout(kennel, wait);
            kennel = waited.unwrap_or_else(PoisonError::into_inner).0;
            continue;
        }
        looked = Instant::now();
        let Some(inner) = &mut *kennel else { return };
        if inner.watched.is_empty() {
            inner.has_thread = false;
            return;
        }
        let watched: Vec<_> = inner
            .watched
            .iter()
            .filter_map(|(.., lifecycle)| lifecycle.upgrade())
            .collect();
        // What is looked at may call the embedder's code, and may be the last to hold a PCM.
        drop(kennel);
        for lifecycle in watched {
            lifecycle.watchdog_looks();
        }
        kennel = KENNEL.lock().unwrap_or_else(PoisonError::into_inner);
    }
}
