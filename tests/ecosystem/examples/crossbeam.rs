//! Passes values through channels and garbage through the epochs of `crossbeam`.
#![forbid(unsafe_code)]

use crossbeam::channel;
use crossbeam::epoch;

lpm_hazard::on_admit!(run);

fn run() {
    let (sender, receiver) = channel::bounded(1);
    crossbeam::scope(|scope| {
        scope.spawn(|_| sender.send(1).expect("received"));
        assert_eq!(receiver.recv(), Ok(1));
    })
    .expect("no panic");
    epoch::pin().defer(|| drop(vec![0; 100]));
    epoch::pin().flush();
}
