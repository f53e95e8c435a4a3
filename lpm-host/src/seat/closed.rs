//! An LPM on its way out.

use std::sync::Arc;

use libunload::gate::Retired;

use super::seated::{Seat, Slot};
use super::worker::NotTaken;

use crate::requests::registry;

/// An LPM that no new call goes into, and that calls may still be inside.
pub(crate) struct ClosedSeat {
    pub(crate) seat: Arc<Seat>,
    pub(crate) slot: Retired<Slot>,
}

impl ClosedSeat {
    /// Lets no further call into the LPM.
    pub(crate) fn new(seat: &Arc<Seat>) -> Self {
        Self {
            seat: Arc::clone(seat),
            slot: seat.gate.replace(Box::new(Slot::Closed)),
        }
    }

    /// Rejects what the LPM has not answered. Those who wait for it are woken, on this thread.
    pub(crate) fn reject_outstanding(&self) {
        registry::unregister(self.seat.handle);
        self.seat.requests.close();
        self.seat.tellings.close();
        if let Some(worker) = &self.seat.worker {
            worker.close(NotTaken::Stopped);
        }
    }
}
