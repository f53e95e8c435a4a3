//! What an LPM keeps in the threads that call it is destroyed by these threads, when they come by.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use lpm_host::Pcm;
use lpm_host::error::PcmError;
use lpm_tests::callers::Callers;
use lpm_tests::messages::{admit, path};
use lpm_tests::platform::{assert_gone, unmaps};
use lpm_tests::process::in_own_process;
use lpm_tests::unloading::only_library;
use lpm_tests::{RecordedEvents, fixture};

/// Longer than any thread takes to come by.
const LONG: Duration = Duration::from_secs(60);

/// Starts a PCM whose LPM buffers a line for each call, per thread, for this file.
fn buffering(file: &tempfile::NamedTempFile, limit: Duration) -> Arc<Pcm> {
    let lpm = fixture("thread-local-buffered").config(file.path().to_string_lossy());
    let pcm = Pcm::builder()
        .lpm(lpm)
        .visit_limit(limit)
        .event_log(RecordedEvents::default());
    let pcm = Arc::new(pcm.build().expect("builds"));
    pcm.become_dsbm().expect("starts");
    pcm
}

fn lines(file: &tempfile::NamedTempFile) -> usize {
    fs::read_to_string(file.path())
        .expect("the file")
        .lines()
        .count()
}

#[test]
fn callers_write_what_they_buffered() {
    in_own_process("callers_write_what_they_buffered", || {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let pcm = buffering(&file, LONG);
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let asking: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        let mut asked = 0;
                        while !over.load(Ordering::Relaxed) {
                            match admit(&pcm, &path(4000)) {
                                Ok(_) => asked += 1,
                                Err(PcmError::NotDsbm) => thread::yield_now(),
                                Err(error) => panic!("{error}"),
                            }
                        }
                        asked
                    })
                })
                .collect();
            thread::sleep(Duration::from_millis(20));
            let unloaded = only_library(pcm.demote().expect("in charge"));
            let written = lines(&file);
            over.store(true, Ordering::Relaxed);
            assert_gone(&unloaded.outcome);
            assert_eq!(unloaded.left_behind.thread_locals, 0);
            let asked: usize = asking
                .into_iter()
                .map(|one| one.join().expect("no panic"))
                .sum();
            assert_eq!(written, asked);
        });
    });
}

#[test]
fn threads_that_do_not_come_are_counted() {
    if !unmaps() {
        return;
    }
    in_own_process("threads_that_do_not_come_are_counted", || {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let pcm = buffering(&file, Duration::from_millis(1));
        let callers = Callers::start(3);
        callers.ask(&pcm);
        let unloaded = only_library(pcm.demote().expect("in charge"));
        assert_gone(&unloaded.outcome);
        assert_eq!(unloaded.left_behind.thread_locals, 3);
        assert_eq!(lines(&file), 0);
        callers.end();
    });
}
