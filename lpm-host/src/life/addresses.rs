//! The addresses of the host, and which LPM has them (lpmapi `LPM_IpAddressTable`).

use std::sync::Arc;

use lpm_abi::AbiAddressRow;
use lpm_api::{AddressRow, LpmStatus};

use super::deadline;
use super::lifecycle::{Lifecycle, lock};
use crate::event::EventId;
use crate::seat::{Seat, Slot};

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
            let limit = seat.config.result_time_limit;
            let call = {
                let (seat, table) = (Arc::clone(seat), Arc::clone(table));
                move || {
                    let rows: Vec<_> = table.iter().copied().map(AbiAddressRow::from).collect();
                    match &*seat.gate.enter() {
                        Slot::Running(lpm) => lpm.ip_address_table(&rows),
                        Slot::Closed => LpmStatus::OK,
                    }
                }
            };
            let told = deadline::call("lpm-addresses", limit, call);
            let status = told.unwrap_or(LpmStatus::DEADLINE);
            if !status.is_ok() {
                let detail =
                    format!("ip_address_table: {status}; the LPM goes on without the table");
                self.serving.events.record(
                    &seat
                        .about
                        .about(EventId::LpmAddressTableRefused, detail)
                        .status(status),
                );
            }
        }
    }
}
