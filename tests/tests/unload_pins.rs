//! Hazards with which unmapping would crash: the library stays, every reason is named, and the host
//! goes on.
//!
//! Each test runs in a process of its own, loads the fixture of its name, has long-lived threads
//! ask it, unloads it, and ends the threads.
#![forbid(unsafe_code)]
#![cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lpm_fixtures::file_name;
use lpm_host::error::PcmError;
use lpm_host::event::EventId;
use lpm_host::status::PinnedLibrary;
use lpm_host::{LpmStatus, Pcm, PinReason, UnloadOutcome, libunload};
use lpm_tests::callers::Callers;
use lpm_tests::platform::{assert_gone, unmaps};
use lpm_tests::process::in_own_process;
use lpm_tests::unloading::{Others, only_library, reasons, reasons_to_pin};
use lpm_tests::{RecordedEvents, fixture, mappings_of, running};

/// Tests that the fixtures of these names stay, since these threads of theirs run.
macro_rules! threads_run {
    ($($test:ident: $fixture:literal leaves $threads:expr,)*) => {$(
        #[test]
        fn $test() {
            where_seen(stringify!($test), || {
                assert_eq!(running(reasons_to_pin(fixture($fixture))), $threads);
            });
        }
    )*};
}

threads_run! {
    thread_sleeping: "thread-sleeping" leaves ["sleeper"],
    thread_spinning: "thread-spinning" leaves ["spinner"],
    thread_holding_lock: "thread-holding-lock" leaves ["lock-1", "lock-2"],
    tokio_leaked: "tokio-leaked" leaves ["leaked-tokio", "leaked-tokio"],
    rayon_global_pool: "rayon-global-pool" leaves ["rayon-0", "rayon-1"],
}

/// What it found by name is stood in for, too.
#[test]
fn thread_started_unseen() {
    where_seen("thread_started_unseen", || {
        let reasons = reasons_to_pin(fixture("thread-started-unseen"));
        let [PinReason::Library(libunload::PinReason::ThreadRunning(thread))] = &reasons[..] else {
            panic!("{reasons:?}")
        };
        assert_eq!(thread.name, "unseen");
    });
}

/// The same, and the C library does not know it either.
#[test]
fn thread_of_the_kernel() {
    where_seen("thread_of_the_kernel", || {
        let reasons = reasons_to_pin(fixture("thread-of-the-kernel"));
        assert!(
            matches!(
                &reasons[..],
                [PinReason::Library(
                    libunload::PinReason::CodeOnStack(_) | libunload::PinReason::StackUnknown(_)
                )]
            ),
            "{reasons:?}"
        );
    });
}

#[test]
fn exit_handler_for_good() {
    where_seen("exit_handler_for_good", || {
        let reasons = reasons_to_pin(fixture("exit-handler-for-good"));
        assert_eq!(
            reasons,
            [libunload::PinReason::ExitHandlers { count: 1 }.into()]
        );
    });
}

#[test]
fn hangs_in_deinitialize() {
    in_own_process("hangs_in_deinitialize", || {
        let limit = Duration::from_millis(50);
        let lpm = fixture("hangs-in-deinitialize").deinitialize_limit(limit);
        let reasons = reasons_to_pin(lpm);
        assert_eq!(reasons, [PinReason::DeinitializeOverdue { limit }]);
    });
}

/// Calls that do not return keep their own library, and nothing else; when they return at last, the
/// threads go on as if nothing had happened.
#[test]
fn hangs_in_admit() {
    in_own_process("hangs_in_admit", || {
        let others = Others::start();
        let (callers, callers_of_others) = (Callers::start(3), Callers::start(1));
        let directory = tempfile::tempdir().expect("a directory");
        let events = RecordedEvents::default();
        let waited = Duration::from_millis(50);
        let pcm = Pcm::builder()
            .lpm(fixture("hangs-in-admit").config(directory.path().to_str().expect("UTF-8")))
            .lpm(fixture("panics-in-deinitialize"))
            .drain_limit(waited)
            .event_log(events.clone())
            .build();
        let pcm = Arc::new(pcm.expect("builds"));
        pcm.become_dsbm().expect("starts");
        callers.order(&pcm);
        for call in ["inside-0", "inside-1", "inside-2"] {
            wait_for(&directory.path().join(call));
        }

        let teardown = pcm.demote().expect("in charge");
        let inside = PinReason::CallsInside { count: 3, waited };
        let [healthy, hanging] = teardown.libraries.try_into().expect("two libraries");
        assert_gone(&healthy.outcome);
        assert_eq!(reasons(&hanging.outcome), [inside]);
        let pinned = pcm.status().pinned.pop().expect("the last one");
        assert_eq!(pinned.library, hanging.library);
        let PinnedLibrary { reasons, .. } = pinned;
        assert_eq!(UnloadOutcome::Pinned { reasons }, hanging.outcome);
        let statuses: Vec<_> = teardown.lpms.iter().map(|lpm| lpm.status).collect();
        assert_eq!(statuses, [LpmStatus::PANICKED, LpmStatus::DEADLINE]);
        let pinned = if unmaps() { 1 } else { 2 };
        assert_eq!(events.of(EventId::LibraryPinned).len(), pinned);
        assert_eq!(pcm.status().pinned.len(), pinned);
        others.go_on(&callers_of_others);

        File::create(directory.path().join("go-on")).expect("a file");
        // The second LPM was gone when these calls came to it.
        assert_eq!(callers.wait(), [Err(PcmError::NotDsbm); 3]);
        others.go_on(&callers);
        assert_ne!(mappings_of(&file_name("hangs-in-admit")), 0);
        assert_eq!(
            events.of(EventId::LpmPanicked).len(),
            1,
            "that of the healthy one's end"
        );
        callers.end();
        callers_of_others.end();
        others.end();
    });
}

/// A thread that ends while the LPM is in use runs its destructors there and then.
#[test]
fn thread_local_hanging() {
    where_seen("thread_local_hanging", || {
        let others = Others::start();
        let (callers, ending) = (Callers::start(2), Callers::start(1));
        let directory = tempfile::tempdir().expect("a directory");
        let config = directory.path().to_str().expect("UTF-8");
        let pcm = Pcm::builder()
            .lpm(fixture("thread-local-hanging").config(config))
            .build();
        let pcm = Arc::new(pcm.expect("builds"));
        pcm.become_dsbm().expect("starts");
        callers.ask(&pcm);
        ending.ask(&pcm);
        ending.dismiss();
        wait_for(&directory.path().join("hanging"));

        let unloaded = only_library(pcm.demote().expect("in charge"));
        let reasons = reasons(&unloaded.outcome);
        let [PinReason::Library(libunload::PinReason::DestructorRunning(thread))] = &reasons[..]
        else {
            panic!("{reasons:?}")
        };
        assert_eq!(thread.name, "caller");
        others.go_on(&callers);
        others.end();
        // The library is whole, so the destructors of these threads would hang as well.
        callers.dismiss();
    });
}

/// Runs it in a process of its own. Where the platform keeps the library anyhow, nobody looks for
/// what else does.
fn where_seen(test: &str, body: impl FnOnce()) {
    if unmaps() {
        in_own_process(test, body);
    }
}

fn wait_for(file: &Path) {
    while !file.exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
}
