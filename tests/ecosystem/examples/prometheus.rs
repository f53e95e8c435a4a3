//! Counts in the default registry of `prometheus`.
#![forbid(unsafe_code)]

use prometheus::{Encoder, TextEncoder};

lpm_hazard::on_admit!(count);

fn count() {
    let counter = prometheus::IntCounter::new("asked", "how often").expect("a counter");
    // The first thread registers it.
    let _ = prometheus::default_registry().register(Box::new(counter.clone()));
    counter.inc();
    let mut text = Vec::new();
    TextEncoder::new()
        .encode(&prometheus::gather(), &mut text)
        .expect("text");
    assert!(!text.is_empty());
}
