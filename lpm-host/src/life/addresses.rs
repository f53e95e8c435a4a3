//! The addresses of the host, and which LPM has them (lpmapi `LPM_IpAddressTable`).

use std::sync::Arc;

use lpm_abi::AbiAddressRow;
use lpm_api::{AddressRow, LpmStatus};

use super::deadline::{self, NoThread};
use super::lifecycle::Lifecycle;
use crate::answers::faults::Telling;
use crate::lock::lock;
use crate::lpm::instance::Instance;
use crate::seat::backlog::Kept;
use crate::seat::seated::{Route, Seat, Slot};
use crate::seat::told::Told;

impl Lifecycle {
    /// [`Pcm::set_ip_address_table`](crate::Pcm::set_ip_address_table).
    pub(crate) fn set_ip_address_table(&self, table: &[AddressRow]) {
        let table: Arc<[AddressRow]> = table.into();
        // Held during the calls, so that the last table that was set is the last one each LPM gets.
        let mut addresses = lock(&self.addresses);
        *addresses = Arc::clone(&table);
        let seats = self.serving.seats();
        self.tell_addresses(&seats, &table);
    }

    pub(super) fn tell_addresses(&self, seats: &[Arc<Seat>], table: &Arc<[AddressRow]>) {
        for seat in seats {
            let table = Arc::clone(table);
            let tell = move |lpm: &Instance| {
                let rows: Vec<_> = table.iter().copied().map(AbiAddressRow::from).collect();
                lpm.ip_address_table(&rows)
            };
            if seat.route() == Route::Quarantine {
                let kept = Kept {
                    telling: Telling::IpAddressTable,
                    call: Box::new(tell),
                };
                seat.tell_or_keep(kept, &*self.serving.events);
                continue;
            }
            let status = tell_in_time(seat, self.serving.clock.now(), tell);
            if !status.is_ok() {
                let event = Telling::IpAddressTable.failed(&seat.about, status);
                self.serving.events.record(&event);
            }
        }
    }
}

/// Makes the call on a thread of its own, and waits for it no longer than the LPM's limit from
/// `now` on.
fn tell_in_time(
    seat: &Arc<Seat>,
    now: u32,
    tell: impl FnOnce(&Instance) -> LpmStatus + Send + 'static,
) -> LpmStatus {
    let mut begun = None;
    let told = seat.wait_for_told(now, |wait| {
        let (seat, wait) = (Arc::clone(seat), Arc::clone(wait));
        let call = move || {
            let status = match &*seat.gate.enter() {
                Slot::Running(lpm) => tell(lpm),
                Slot::Closed => LpmStatus::OK,
            };
            seat.tellings.end(&wait, Told(Some(status)));
        };
        match deadline::begin_call("lpm-addresses", call) {
            Ok(call) => begun = Some(call),
            Err(NoThread { call, .. }) => call(),
        }
        Ok::<_, std::convert::Infallible>(())
    });
    match (told, begun) {
        (Ok(Some(LpmStatus::DEADLINE)), _) => LpmStatus::DEADLINE,
        (Ok(Some(status)), begun) => {
            // What it left in the thread ends with that.
            if let Some(call) = begun {
                call.wait();
            }
            status
        }
        (Ok(None) | Err(_), _) => LpmStatus::OK,
    }
}
