//! Runs tasks and a timer on the global executor of `smol`, whose threads stay.
#![forbid(unsafe_code)]

use std::time::Duration;

use smol::Timer;

lpm_hazard::on_admit!(run);

fn run() {
    let sum = smol::block_on(async {
        let slow = smol::spawn(async {
            Timer::after(Duration::from_millis(1)).await;
            1
        });
        slow.await + 2
    });
    assert_eq!(sum, 3);
}
