//! Writes to and reads from a database of LMDB, which keeps a key per environment.
#![allow(unsafe_code, reason = "the crate's interface")]

use heed::types::Str;
use heed::{Database, EnvOpenOptions};

lpm_hazard::on_admit!(store);

fn store() {
    let directory = tempfile::tempdir().expect("a directory");
    // SAFETY: nobody else has the file.
    let env = unsafe {
        EnvOpenOptions::new()
            .map_size(1 << 20)
            .open(directory.path())
    };
    let env = env.expect("an environment");
    let mut write = env.write_txn().expect("a transaction");
    let database: Database<Str, Str> = env.create_database(&mut write, None).expect("a database");
    database.put(&mut write, "key", "value").expect("written");
    write.commit().expect("committed");
    let read = env.read_txn().expect("a transaction");
    assert_eq!(database.get(&read, "key").expect("read"), Some("value"));
    drop(read);
    env.prepare_for_closing().wait();
}
