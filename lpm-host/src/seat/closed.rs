//! An LPM on its way out.

use std::sync::Arc;

use libunload::gate::Retired;
use lpm_api::LpmStatus;

use super::seated::{Seat, Slot};
use super::worker::NotTaken;
use crate::pin_reason::PinReason;
use crate::requests::registry;

/// An LPM that no new call goes into, and that calls may still be inside.
pub(crate) struct ClosedSeat {
    pub(crate) seat: Arc<Seat>,
    pub(crate) slot: Leaving,
}

/// How far it is on its way out.
pub(crate) enum Leaving {
    /// Calls may still be inside.
    Retired(Retired<Slot>),
    /// Nobody is inside any more.
    Left(Slot),
    /// A call into it did not return, and has it.
    Lost(PinReason),
}

impl ClosedSeat {
    /// Lets no further call into the LPM.
    pub(crate) fn new(seat: &Arc<Seat>) -> Self {
        Self {
            seat: Arc::clone(seat),
            slot: Leaving::Retired(seat.gate.replace(Box::new(Slot::Closed))),
        }
    }

    /// Rejects what the LPM has not answered. Those who wait for it are woken, on this thread.
    pub(crate) fn reject_outstanding(&self) {
        registry::unregister(self.seat.handle);
        self.seat.requests.close(LpmStatus::INVALID_LPM_HANDLE);
        self.seat.tellings.close();
        if let Some(worker) = &self.seat.worker {
            worker.close(NotTaken::Stopped);
        }
    }
}
