//! An LPM that missed too much is initialized anew, with another handle.

use std::sync::{Arc, Weak};
use std::thread;

use libunload::gate::inside_any_pass;

use super::lifecycle::{Change, Lifecycle, Phase};
use crate::event::{EventId, EventLog};
use crate::seat::backlog::MOST_KEPT;
use crate::seat::seated::Seat;

/// Has LPMs initialized anew as the clock says: on the thread that lets time pass, or on one of
/// their own.
pub(crate) fn arrange(lifecycle: &Arc<Lifecycle>) {
    let this = Arc::downgrade(lifecycle);
    let on_this_thread = lifecycle.serving.clock.is_manual();
    lifecycle.serving.renewed_by(move |seat| {
        if on_this_thread {
            renew(&this, seat);
            return;
        }
        let (this, seat) = (Weak::clone(&this), Arc::clone(seat));
        // Without a thread it is tried again later.
        let _ = thread::Builder::new()
            .name(String::from("lpm-renew"))
            .spawn(move || renew(&this, &seat));
    });
}

fn renew(lifecycle: &Weak<Lifecycle>, seat: &Arc<Seat>) {
    // Whoever is inside a call would wait for its end.
    if let (Some(lifecycle), false) = (lifecycle.upgrade(), inside_any_pass()) {
        lifecycle.renew(seat);
    }
}

impl Lifecycle {
    /// Initializes the LPM once more, and stops the one that was. Where that fails, that one stays
    /// in quarantine, and its flows are rejected.
    fn renew(self: &Arc<Self>, seat: &Arc<Seat>) {
        let running = {
            let mut phase = self.lock_phase();
            match std::mem::replace(&mut *phase, Phase::Renewing) {
                Phase::InCharge(running) => running,
                other => {
                    *phase = other;
                    return;
                }
            }
        };
        let mut change = Change {
            lifecycle: self,
            to: Phase::InCharge(running),
        };
        let seats = self.serving.seats();
        if !seats.iter().any(|other| Arc::ptr_eq(other, seat)) {
            return;
        }
        let why = match &seat.process {
            Some(process) if process.has_ended() => {
                "its process ended, and it starts in another one: it".to_owned()
            }
            _ => format!("it missed more than {MOST_KEPT} changes while it was in quarantine: it"),
        };
        let detail = format!("{why} is initialized again, with another handle");
        let event = seat.about.about(EventId::LpmReinitialized, detail);
        self.serving.events.record(&event);
        // What failed is on record, and is tried again.
        let _ = self.initialize_anew(&mut change.to, seat);
        drop(change);
    }
}
