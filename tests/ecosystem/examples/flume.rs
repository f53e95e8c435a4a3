//! Passes values between threads, async and not.
#![forbid(unsafe_code)]

use std::thread;

lpm_hazard::on_admit!(pass);

fn pass() {
    let (sender, receiver) = flume::bounded(1);
    let thread = thread::spawn(move || futures::executor::block_on(sender.send_async(1)));
    assert_eq!(receiver.recv(), Ok(1));
    thread.join().expect("no panic").expect("received");
}
