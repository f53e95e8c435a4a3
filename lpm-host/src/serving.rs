//! What every request needs: the LPMs at this time, the clock that they are measured by, where
//! events go, and threads for what comes later. It outlives each list of LPMs; who exchanges them
//! is [`life`](crate::life).

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use libunload::gate::{First, Gate, Pass, Retired};

use crate::clock::Clock;
use crate::dispatch::Dispatcher;
use crate::error::PcmError;
use crate::event::EventLog;
use crate::known::KnownLpms;

use crate::roster::Roster;
use crate::seat::seated::{Route, Seat, Slot};

/// How long a list of LPMs that was replaced is waited for.
pub(crate) const LEAVING: Duration = Duration::from_secs(1);

/// The part of a PCM that answers requests.
pub(crate) struct Serving {
    roster: Gate<Roster>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) events: Arc<dyn EventLog>,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) known: KnownLpms,
    /// LPMs that are not in the list yet.
    opening: Mutex<Vec<Arc<Seat>>>,
    renew: OnceLock<Renew>,
}

/// Initializes an LPM anew.
type Renew = Box<dyn Fn(&Arc<Seat>) + Send + Sync>;

impl Serving {
    /// Without LPMs.
    pub(crate) fn new(events: Arc<dyn EventLog>, clock: Arc<Clock>) -> Self {
        Self {
            roster: Gate::new(Box::new(Roster::standby())),
            clock,
            events,
            dispatcher: Arc::default(),
            known: KnownLpms::default(),
            opening: Mutex::default(),
            renew: OnceLock::new(),
        }
    }

    /// The LPMs, while there are some.
    #[inline]
    pub(crate) fn in_charge(&self) -> Result<Pass<'_, Roster>, PcmError> {
        // Between two calls of this thread: what libraries that go keep in it can be destroyed
        // here.
        libunload::visit_thread();
        let roster = self.roster.enter();
        if roster.in_charge {
            Ok(roster)
        } else {
            Err(PcmError::NotDsbm)
        }
    }

    /// The LPMs, or none, on a thread that is asking no other.
    #[inline]
    pub(crate) fn enter_first(&self) -> Option<First<'_, Roster>> {
        // Between two calls of this thread: what libraries that go keep in it can be destroyed
        // here.
        libunload::visit_thread();
        self.roster.enter_first()
    }

    /// The LPMs of now, to look at without being inside the list.
    pub(crate) fn seats(&self) -> Box<[Arc<Seat>]> {
        self.roster.enter().seats.clone()
    }

    /// Replaces the list of LPMs; whoever is inside the former one is still there.
    pub(crate) fn replace(&self, roster: Roster) -> Retired<Roster> {
        self.roster.replace(Box::new(roster))
    }

    /// Publishes another list of LPMs.
    pub(crate) fn publish(&self, roster: Roster) {
        // A list that somebody is still inside stays: it is small.
        let _ = self.replace(roster).drain(LEAVING);
    }

    /// The watchdog's look.
    pub(crate) fn look(&self) {
        self.clock.update();
        self.do_what_is_due();
    }

    /// Ends what is late, and looks for calls that hang.
    pub(crate) fn do_what_is_due(&self) {
        let opening = {
            let opening = self.opening.lock();
            opening.unwrap_or_else(PoisonError::into_inner).clone()
        };
        for seat in self.seats().iter().chain(&opening) {
            let is_to_be_renewed =
                seat.do_what_is_due(self.clock.now(), self.clock.is_manual(), &self.events);
            if let (true, Some(renew)) = (is_to_be_renewed, self.renew.get()) {
                renew(seat);
            }
        }
    }

    /// Looks after LPMs that are not in the list yet, while `open` makes them ready to be asked.
    pub(crate) fn while_opening<R>(&self, seats: &[Arc<Seat>], open: impl FnOnce() -> R) -> R {
        let set = |seats: Vec<Arc<Seat>>| {
            *self.opening.lock().unwrap_or_else(PoisonError::into_inner) = seats;
        };
        set(seats.to_vec());
        let opened = open();
        set(Vec::new());
        opened
    }

    /// Says who initializes an LPM anew that has missed too much.
    pub(crate) fn renewed_by(&self, renew: impl Fn(&Arc<Seat>) + Send + Sync + 'static) {
        // There is one lifecycle.
        let _ = self.renew.set(Box::new(renew));
    }

    /// [`Pcm::refresh_trace_filters`](crate::Pcm::refresh_trace_filters).
    pub(crate) fn refresh_trace_filters(&self) {
        let seats = self.seats();
        for seat in seats
            .iter()
            .filter(|seat| seat.route() != Route::Quarantine)
        {
            if let Slot::Running(lpm) = &*seat.gate.enter() {
                lpm.refresh_level();
            }
        }
    }
}
