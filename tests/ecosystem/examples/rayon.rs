//! Adds up on a pool of its own, which it drops.
#![forbid(unsafe_code)]

use rayon::ThreadPoolBuilder;
use rayon::prelude::*;

lpm_hazard::on_admit!(add_up);

fn add_up() {
    let pool = ThreadPoolBuilder::new()
        .num_threads(2)
        .build()
        .expect("a pool");
    let sum: u32 = pool.install(|| (1..=100_u32).into_par_iter().sum());
    assert_eq!(sum, 5_050);
}
