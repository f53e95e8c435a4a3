//! Runs tasks and a timer on the global executor of `async-std`, whose threads stay.
#![forbid(unsafe_code)]

use std::time::Duration;

use async_std::task;

lpm_hazard::on_admit!(run);

fn run() {
    let sum = task::block_on(async {
        let slow = task::spawn(async {
            task::sleep(Duration::from_millis(1)).await;
            1
        });
        slow.await + 2
    });
    assert_eq!(sum, 3);
}
