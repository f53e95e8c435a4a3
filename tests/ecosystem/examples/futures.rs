//! Runs a task on a thread pool of `futures`.
#![forbid(unsafe_code)]

use futures::executor::{ThreadPool, block_on};
use futures::task::SpawnExt;

lpm_hazard::on_admit!(run);

fn run() {
    let pool = ThreadPool::builder().pool_size(2).create().expect("a pool");
    let handle = pool.spawn_with_handle(async { 3 }).expect("spawned");
    assert_eq!(block_on(handle), 3);
}
