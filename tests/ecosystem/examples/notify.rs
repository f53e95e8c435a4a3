//! Watches a directory.
#![forbid(unsafe_code)]

use std::fs;
use std::sync::mpsc;
use std::time::Duration;

use notify::{RecursiveMode, Watcher};

lpm_hazard::on_admit!(watch);

fn watch() {
    let directory = tempfile::tempdir().expect("a directory");
    let (sender, events) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(sender).expect("a watcher");
    watcher
        .watch(directory.path(), RecursiveMode::Recursive)
        .expect("watched");
    fs::write(directory.path().join("file"), "text").expect("written");
    assert!(events.recv_timeout(Duration::from_secs(60)).is_ok());
}
