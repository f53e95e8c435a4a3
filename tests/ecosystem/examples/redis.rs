//! Counts in a server of Redis, where there is one.
#![forbid(unsafe_code)]

use redis::Commands;

lpm_hazard::on_admit!(count);

fn count() {
    let Ok(server) = std::env::var("ECOSYSTEM_REDIS") else {
        return;
    };
    let client = redis::Client::open(server).expect("an address");
    let mut connection = client.get_connection().expect("connects");
    let counted: i64 = connection.incr("asked", 1).expect("counted");
    assert!(counted > 0);
}
