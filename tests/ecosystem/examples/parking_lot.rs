//! Waits for contended locks, each thread in a slot of its own.
#![forbid(unsafe_code)]

use std::thread;

use parking_lot::{Condvar, Mutex};

lpm_hazard::on_admit!(wait);

fn wait() {
    let (ready, changed) = (Mutex::new(false), Condvar::new());
    thread::scope(|scope| {
        scope.spawn(|| {
            *ready.lock() = true;
            changed.notify_all();
        });
        let mut ready = ready.lock();
        while !*ready {
            changed.wait(&mut ready);
        }
    });
}
