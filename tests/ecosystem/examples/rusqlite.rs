//! Asks a database of SQLite in memory.
#![forbid(unsafe_code)]

use rusqlite::Connection;

lpm_hazard::on_admit!(ask);

fn ask() {
    let connection = Connection::open_in_memory().expect("a database");
    connection
        .execute_batch("create table t (x); insert into t values (3)")
        .expect("executed");
    let three = connection.query_row("select x from t", [], |row| row.get::<_, i64>(0));
    assert_eq!(three, Ok(3));
}
