//! Asks for the local time, for which `chrono` reads and keeps a table per thread.
#![forbid(unsafe_code)]

use chrono::Local;

lpm_hazard::on_admit!(ask);

fn ask() {
    assert!(Local::now().timestamp() > 0);
}
