//! How a PCM is, at one moment.

use std::sync::Arc;

use super::lifecycle::{Lifecycle, Phase, lock};
use crate::seat::seated::{Route, Seat};
use crate::status::{self, InitializedStatus, LpmHealth, LpmStatusReport, Status};

impl Lifecycle {
    /// [`Pcm::status`](crate::Pcm::status).
    pub(crate) fn status(&self) -> Status {
        let phase = match *self.lock_phase() {
            Phase::Standby => status::Phase::Standby,
            Phase::Changing => status::Phase::Changing,
            Phase::Renewing | Phase::InCharge(_) => status::Phase::InCharge,
            Phase::ShutDown => status::Phase::ShutDown,
        };
        let seats = self.serving.seats();
        let configs = lock(&self.configs);
        let lpms = configs.iter().map(|config| {
            let seat = seats.iter().find(|seat| seat.config.name == config.name);
            LpmStatusReport {
                name: Arc::clone(&config.name),
                source: seat
                    .map_or(&config.source, |seat| &seat.about.source)
                    .clone(),
                health: seat.map_or(LpmHealth::NotInitialized, |seat| match seat.standing() {
                    Some(Route::Quarantine) => LpmHealth::Quarantined,
                    Some(Route::Inline | Route::Worker) | None => LpmHealth::Serving,
                }),
                initialized: seat.map(|seat| initialized(seat)),
            }
        });
        Status {
            phase,
            lpms: lpms.collect(),
            pinned: self.pinned.all(),
        }
    }
}

fn initialized(seat: &Seat) -> InitializedStatus {
    InitializedStatus {
        handle: seat.handle,
        pe_type: seat.about.pe_type,
        version: seat.version.clone(),
        open_requests: seat.requests.outstanding(),
    }
}
