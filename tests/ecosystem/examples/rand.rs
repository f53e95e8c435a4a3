//! Takes numbers from the thread-local generator.
#![forbid(unsafe_code)]

lpm_hazard::on_admit!(roll);

fn roll() {
    assert!((1..=6).contains(&rand::random_range(1..=6)));
}
