//! Keeps values in a cache that forgets.
#![forbid(unsafe_code)]

use std::time::Duration;

use moka::sync::Cache;

lpm_hazard::on_admit!(keep);

fn keep() {
    let cache = Cache::builder()
        .time_to_live(Duration::from_secs(1))
        .build();
    cache.insert(1, "one");
    assert_eq!(cache.get(&1), Some("one"));
}
