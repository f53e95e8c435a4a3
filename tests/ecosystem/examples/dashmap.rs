//! Fills a concurrent map from threads.
#![forbid(unsafe_code)]

use std::thread;

use dashmap::DashMap;

lpm_hazard::on_admit!(fill);

fn fill() {
    let map = DashMap::new();
    thread::scope(|scope| {
        for number in 0..3 {
            let map = &map;
            scope.spawn(move || map.insert(number, number));
        }
    });
    assert_eq!(map.len(), 3);
}
