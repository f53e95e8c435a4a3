//! Asks the system about itself.
#![forbid(unsafe_code)]

use sysinfo::System;

lpm_hazard::on_admit!(ask);

fn ask() {
    let mut system = System::new();
    system.refresh_memory();
    assert!(system.total_memory() > 0);
}
