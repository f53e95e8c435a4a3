//! Logs to a file through a thread of `tracing-appender`, and ends it.
#![forbid(unsafe_code)]

use tracing::subscriber::with_default;

lpm_hazard::on_admit!(log);

fn log() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = tracing_appender::rolling::never(directory.path(), "log");
    let (writer, guard) = tracing_appender::non_blocking(file);
    let subscriber = tracing_subscriber::fmt().with_writer(writer).finish();
    with_default(subscriber, || tracing::info!("hello"));
    drop(guard);
    let log = std::fs::read_to_string(directory.path().join("log")).expect("the log");
    assert!(log.contains("hello"));
}
