//! The hazards of unloading, one test each, with real libraries built for the purpose.
//!
//! Libraries are compiled when the test runs, from the text next to it, with `cc` or `rustc`. A test
//! whose failure would end the process runs in a process of its own.

mod fixture;

use std::sync::mpsc;
use std::thread;

use super::{PinReason, UnloadOutcome};
use fixture::{Fixture, call, function, unload};

const THREAD_LOCALS: &str = r#"
    use std::cell::RefCell;
    thread_local! { static SEEN: RefCell<Vec<u8>> = RefCell::new(vec![1]); }
    #[unsafe(no_mangle)] pub extern "C" fn run() -> i32 {
        let name = std::thread::current().name().map_or(0, str::len);
        SEEN.with(|seen| { seen.borrow_mut().push(1); seen.borrow().len() as i32 + name as i32 * 0 })
    }
"#;

/// The threads that called the library go on, and end after it is gone.
#[test]
fn thread_locals_of_long_lived_threads() {
    let fixture = Fixture::rust(THREAD_LOCALS);
    let library = fixture.open();
    let (called, all_called) = mpsc::channel();
    let mut threads = Vec::new();
    for _ in 0..3 {
        let run = function(&library, "run");
        let called = called.clone();
        let (release, released) = mpsc::channel::<()>();
        let thread = thread::spawn(move || {
            called.send(run()).expect("the test waits");
            let _ = released.recv();
        });
        threads.push((thread, release));
    }
    for _ in 0..3 {
        assert_eq!(all_called.recv(), Ok(2));
    }
    assert_eq!(call(&library, "run"), 2);
    assert_eq!(unload(library), UnloadOutcome::Unmapped);
    for (thread, release) in threads {
        drop(release);
        thread.join().expect("the thread ends in peace");
    }
}

/// A thread that the library leaves behind would go on in code that is gone.
#[test]
fn thread_left_sleeping() {
    let fixture = Fixture::rust(
        r#"
        #[unsafe(no_mangle)] pub extern "C" fn run() -> i32 {
            std::thread::Builder::new().name("forgotten".into()).spawn(|| loop {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }).unwrap();
            0
        }
        "#,
    );
    let library = fixture.open();
    call(&library, "run");
    let UnloadOutcome::Pinned { reasons } = unload(library) else { panic!("it was unmapped") };
    let named = |reason: &PinReason| {
        matches!(reason, PinReason::ThreadRunning(thread) if thread.name == "forgotten")
    };
    assert!(reasons.iter().any(named), "{reasons:?}");
}
