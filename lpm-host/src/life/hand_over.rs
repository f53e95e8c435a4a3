//! State handed over: from an LPM that is replaced to the one of its name in its place (extension
//! `lpm.hand-over.1`).
//!
//! The new one is initialized, and in the list, but whoever would call it waits; no call goes into
//! the old one any more. Once those that were inside it have returned it writes what it likes, the
//! new one reads that, and who waited is let in. All of that together has the time that the old one
//! has to deinitialize, since it is a part of its end; calls wait no longer than they always do.
//! What goes wrong leaves the new LPM with nothing, and is an event: where it did not get through
//! reading, nobody knows with what, so that it is initialized once more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lpm_api::{HandOver, LpmStatus};

use super::deadline::{self, Overdue};
use crate::event::{EventId, EventLog};
use crate::lpm::error::HandOverFailed;
use crate::pin_reason::PinReason;
use crate::seat::closed::{ClosedSeat, Leaving};
use crate::seat::seated::{Route, Seat, Slot};

/// Bytes that an LPM may hand over: some hundred for each of half a million flows and more.
const MOST: u64 = 256 << 20;

/// An LPM takes the place of another.
pub(super) struct Succession {
    new: Arc<Seat>,
    events: Arc<dyn EventLog>,
}

/// Why an LPM starts with nothing.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("its predecessor was in quarantine")]
    Quarantine,
    #[error("calls into its predecessor did not return within {0:?}")]
    CallsInside(Duration),
    #[error("hand_over of its predecessor did not return within {0:?}")]
    HandOverLate(Duration),
    #[error("hand_over of its predecessor failed: {0}")]
    HandOver(#[source] HandOverFailed),
    #[error("take_over did not return within {0:?}")]
    TakeOverLate(Duration),
    #[error("state of {bytes} bytes was not taken over: {error}")]
    TakeOver {
        bytes: usize,
        #[source]
        error: HandOverFailed,
    },
}

impl Failed {
    /// Whether the LPM may have taken over some of it.
    fn spoils(&self) -> bool {
        match self {
            Self::TakeOverLate(_) => true,
            Self::TakeOver { .. } => self.status() == Some(LpmStatus::PANICKED),
            _ => false,
        }
    }

    /// The LPM's own, or that of the time limit.
    fn status(&self) -> Option<LpmStatus> {
        match self {
            Self::HandOverLate(_) | Self::TakeOverLate(_) => Some(LpmStatus::DEADLINE),
            Self::HandOver(HandOverFailed::Lpm(error))
            | Self::TakeOver {
                error: HandOverFailed::Lpm(error),
                ..
            } => Some(error.status),
            _ => None,
        }
    }
}

impl Succession {
    /// That each of the new LPMs takes the place of the one that had its name: they are kept
    /// waiting from now on, and until this is dropped.
    pub(super) fn of<'s>(
        gone: &[&Arc<Seat>],
        new: &'s [Arc<Seat>],
        events: &Arc<dyn EventLog>,
    ) -> Vec<Self> {
        // One that missed something knows something wrong.
        let is_sound = |old: &Seat| !old.backlog.lock().is_lost();
        let succeeds = |new: &'s Arc<Seat>| {
            let mut gone = gone.iter();
            let old = gone.find(|old| old.config.name == new.config.name && is_sound(old))?;
            new.begin_taking_over();
            // It had none before.
            let _ = old.successor.set(Arc::clone(new));
            Some(Self {
                new: Arc::clone(new),
                events: Arc::clone(events),
            })
        };
        new.iter().filter_map(succeeds).collect()
    }

    /// Whether this is the one that takes the place of that LPM.
    pub(super) fn is_after(&self, old: &Seat) -> bool {
        old.successor
            .get()
            .is_some_and(|new| Arc::ptr_eq(new, &self.new))
    }

    /// Hands over, and lets in who waits. The LPM that has to be initialized once more is the
    /// second result.
    pub(super) fn hand_over(self, old: ClosedSeat) -> (ClosedSeat, Option<Arc<Seat>>) {
        let begun = Instant::now();
        let (old, handed_over) = self.handed_over(old, begun);
        let record = |id, detail: String, status: Option<LpmStatus>| {
            let event = self.new.about.about(id, detail);
            self.events.record(&match status {
                Some(status) => event.status(status),
                None => event,
            });
        };
        match handed_over {
            Ok(None) => {}
            Ok(Some(HandOver { format, bytes })) => {
                let (count, elapsed) = (bytes.len(), begun.elapsed());
                let from = old.seat.handle;
                let detail = format!(
                    "took over {count} bytes of state (format {format}) from its predecessor, \
                     handle {from}, in {elapsed:.1?}"
                );
                record(EventId::LpmTookOver, detail, None);
            }
            Err(failed) => {
                let is_spoilt = failed.spoils();
                if is_spoilt {
                    self.new.spoil();
                }
                record(
                    EventId::LpmTakeOverFailed,
                    format!("starts with nothing: {failed}"),
                    failed.status(),
                );
                if is_spoilt {
                    return (old, Some(Arc::clone(&self.new)));
                }
            }
        }
        (old, None)
    }

    fn handed_over(
        &self,
        old: ClosedSeat,
        begun: Instant,
    ) -> (ClosedSeat, Result<Option<HandOver>, Failed>) {
        let limit = old.seat.config.deinitialize_limit;
        let left = || limit.saturating_sub(begun.elapsed());
        let ClosedSeat { seat, slot } = old;
        let closed = |slot| ClosedSeat {
            seat: Arc::clone(&seat),
            slot,
        };
        let slot = match slot {
            Leaving::Retired(slot) => match slot.drain(left()) {
                Ok(slot) => *slot,
                Err(inside) => {
                    let retired = Leaving::Retired(inside.into());
                    return (closed(retired), Err(Failed::CallsInside(limit)));
                }
            },
            other => return (closed(other), Ok(None)),
        };
        let Slot::Running(lpm) = slot else {
            return (closed(Leaving::Left(slot)), Ok(None));
        };
        if seat.standing() == Some(Route::Quarantine) {
            let left = Leaving::Left(Slot::Running(lpm));
            return (closed(left), Err(Failed::Quarantine));
        }
        let call = move || {
            let state = lpm.hand_over(MOST);
            (lpm, state)
        };
        let (lpm, state) = match deadline::call("lpm-hand-over", left(), call) {
            Ok(returned) => returned,
            Err(Overdue) => {
                let lost = Leaving::Lost(PinReason::HandOverOverdue { limit });
                return (closed(lost), Err(Failed::HandOverLate(limit)));
            }
        };
        let old = closed(Leaving::Left(Slot::Running(lpm)));
        match state {
            Ok(None) => (old, Ok(None)),
            Ok(Some(state)) => (old, self.take_over(state, left(), limit).map(Some)),
            Err(error) => (old, Err(Failed::HandOver(error))),
        }
    }

    fn take_over(
        &self,
        state: HandOver,
        left: Duration,
        limit: Duration,
    ) -> Result<HandOver, Failed> {
        let new = Arc::clone(&self.new);
        let call = move || {
            let taken = match &*new.gate.enter() {
                Slot::Running(lpm) => lpm.take_over(&state),
                Slot::Closed => Ok(()),
            };
            (state, taken)
        };
        let (state, taken) = deadline::call("lpm-take-over", left, call)
            .map_err(|Overdue| Failed::TakeOverLate(limit))?;
        match taken {
            Ok(()) => Ok(state),
            Err(error) => Err(Failed::TakeOver {
                bytes: state.bytes.len(),
                error,
            }),
        }
    }
}

impl Drop for Succession {
    fn drop(&mut self) {
        self.new.end_taking_over(&self.events);
    }
}
