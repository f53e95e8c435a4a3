//! Adds up on the global pool of `rayon`, whose threads never end.
#![forbid(unsafe_code)]

use rayon::prelude::*;

lpm_hazard::on_admit!(add_up);

fn add_up() {
    let sum: u32 = (1..=100_u32).into_par_iter().sum();
    assert_eq!(sum, 5_050);
}
