//! How a PCM is, at one moment.

use std::sync::Arc;

use super::lifecycle::{Lifecycle, Phase};
use crate::lock::lock;
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
                isolation: config.isolation,
                health: seat.map_or(LpmHealth::NotInitialized, |seat| health(seat)),
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

fn health(seat: &Seat) -> LpmHealth {
    match (&seat.process, seat.standing()) {
        (Some(process), _) if process.has_ended() => LpmHealth::Ended,
        (_, Some(Route::Quarantine)) => LpmHealth::Quarantined,
        (_, Some(Route::Inline | Route::Worker) | None) => LpmHealth::Serving,
    }
}

fn initialized(seat: &Seat) -> InitializedStatus {
    InitializedStatus {
        handle: seat.handle,
        pe_type: seat.about.pe_type,
        version: seat.version.clone(),
        process: seat.process.as_ref().and_then(|process| process.id()),
        open_requests: seat.requests.outstanding(),
    }
}
