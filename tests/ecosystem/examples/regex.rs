//! Matches, with caches in a pool per thread.
#![forbid(unsafe_code)]

use std::sync::LazyLock;

use regex::Regex;

lpm_hazard::on_admit!(find);

fn find() {
    static NAME: LazyLock<Regex> = LazyLock::new(|| Regex::new("CN=([a-z]+)").expect("valid"));
    let found = NAME.captures("CN=alice").expect("a match");
    assert_eq!(&found[1], "alice");
}
