//! Runs a job on a pool, and joins it.
#![forbid(unsafe_code)]

use std::sync::mpsc;

use threadpool::ThreadPool;

lpm_hazard::on_admit!(run);

fn run() {
    let pool = ThreadPool::new(2);
    let (sender, receiver) = mpsc::channel();
    pool.execute(move || sender.send(1).expect("received"));
    assert_eq!(receiver.recv(), Ok(1));
    pool.join();
}
