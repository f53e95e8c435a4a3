//! What has to come before what: looking before changing, and several libraries that change the
//! same.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::sync::mpsc;
use std::thread;

use super::fixture::{Fixture, call, function, in_own_process, reasons_to_pin, unload};
use crate::library::Library;
use crate::outcome::{PinReason, UnloadOutcome};
use crate::stage::Copies;

/// Handles SIGUSR1, and calls what handled it before, as libraries do that want to be good
/// neighbours.
const HANDLING: &str = r#"
    #include <pthread.h>
    #include <signal.h>
    #include <unistd.h>
    static volatile int handled, destroyed, go;
    static struct sigaction before;
    static pthread_key_t key;
    static void handle(int n) {
        handled++;
        if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) before.sa_handler(n);
    }
    static void destroy(void *value) { (void)value; destroyed++; }
    int install(void) {
        struct sigaction ours = { .sa_handler = handle };
        return sigaction(SIGUSR1, &ours, &before);
    }
    int make_key(void) { return pthread_key_create(&key, destroy); }
    int keep_value(void) { return pthread_setspecific(key, &key); }
    int wait_inside(void) { while (!go) usleep(1000); return 0; }
    int leave(void) { go = 1; return 0; }
    int times_handled(void) { return handled; }
    int times_destroyed(void) { return destroyed; }
"#;

fn raise() {
    // SAFETY: the tests see to it that the signal is handled, or ignored.
    unsafe { libc::raise(libc::SIGUSR1) };
}

fn handler() -> usize {
    // SAFETY: all zeros is a value of this plain structure.
    let mut action = unsafe { std::mem::zeroed::<libc::sigaction>() };
    // SAFETY: this only asks.
    unsafe { libc::sigaction(libc::SIGUSR1, std::ptr::null(), &raw mut action) };
    action.sa_sigaction
}

/// A library that only a thread's stack keeps has lost nothing: its handler, its key, its
/// destructors.
#[test]
fn pinned_by_a_stack_and_in_working_order() {
    in_own_process("order::pinned_by_a_stack_and_in_working_order", || {
        let fixture = Fixture::c(HANDLING, &[]);
        let library = fixture.open();
        call(&library, "install");
        call(&library, "make_key");
        let [wait_inside, keep_value, leave, handled, destroyed] = [
            "wait_inside",
            "keep_value",
            "leave",
            "times_handled",
            "times_destroyed",
        ]
        .map(|name| function(&library, name));
        let (ready, is_ready) = mpsc::channel();
        let inside = thread::spawn(move || {
            assert_eq!(keep_value(), 0);
            ready.send(()).expect("the test waits");
            wait_inside()
        });
        is_ready.recv().expect("the thread goes on");

        let reasons = reasons_to_pin(library);
        assert!(
            matches!(reasons[..], [PinReason::CodeOnStack(_)]),
            "{reasons:?}"
        );
        raise();
        assert_eq!(handled(), 1);
        leave();
        inside.join().expect("the thread ends well");
        assert_eq!(destroyed(), 1);
    });
}

/// The library that installed its handler last goes last: its handler must not call that of the
/// first.
#[test]
fn handlers_of_two_libraries_the_first_goes_first() {
    in_own_process(
        "order::handlers_of_two_libraries_the_first_goes_first",
        || {
            let fixture = Fixture::c(HANDLING, &[]);
            let (first, second) = (fixture.open(), fixture.open());
            call(&first, "install");
            call(&second, "install");
            assert_eq!(unload(first), UnloadOutcome::Unmapped);
            raise();
            assert_eq!(call(&second, "times_handled"), 1);
            assert_eq!(unload(second), UnloadOutcome::Unmapped);
            assert_eq!(handler(), libc::SIG_DFL);
        },
    );
}

/// And the other way round: the first has its handler again.
#[test]
fn handlers_of_two_libraries_the_last_goes_first() {
    in_own_process(
        "order::handlers_of_two_libraries_the_last_goes_first",
        || {
            let fixture = Fixture::c(HANDLING, &[]);
            let first = fixture.open();
            call(&first, "install");
            let second = fixture.open();
            call(&second, "install");
            assert_eq!(unload(second), UnloadOutcome::Unmapped);
            raise();
            assert_eq!(call(&first, "times_handled"), 1);
            assert_eq!(unload(first), UnloadOutcome::Unmapped);
        },
    );
}

/// What handled the signal when the library was loaded is gone when the library goes.
#[test]
fn handler_before_is_gone() {
    in_own_process("order::handler_before_is_gone", || {
        let fixture = Fixture::c(HANDLING, &[]);
        let other = Fixture::c(HANDLING, &[]);
        let name = CString::new(other.path.as_os_str().as_bytes()).expect("a plain path");
        // SAFETY: the test's own library.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        assert!(!handle.is_null());
        // SAFETY: the library exports this.
        let install = unsafe { libc::dlsym(handle, c"install".as_ptr()) };
        // SAFETY: the function has this type.
        let install: extern "C" fn() -> i32 = unsafe { std::mem::transmute(install) };
        assert_eq!(install(), 0);

        let library = fixture.open();
        call(&library, "install");
        // SAFETY: nothing of it is used any more but its handler, which is not in force.
        unsafe { libc::dlclose(handle) };
        assert_eq!(unload(library), UnloadOutcome::Unmapped);
        assert_eq!(handler(), libc::SIG_DFL);
    });
}

/// Threads that end while the library goes: either they run its destructors before, or never.
#[test]
fn threads_end_while_the_library_goes() {
    in_own_process("order::threads_end_while_the_library_goes", || {
        const CYCLES: usize = 300;
        let fixture = Fixture::c(HANDLING, &[]);
        let staging = Copies::new();
        for _ in 0..CYCLES {
            let library = fixture.open_with(&staging);
            call(&library, "make_key");
            let ending: Vec<_> = (0..4).map(|_| with_value(&library)).collect();
            let threads: Vec<_> = ending
                .into_iter()
                .map(|(thread, release)| {
                    drop(release);
                    thread
                })
                .collect();
            assert_eq!(unload(library), UnloadOutcome::Unmapped);
            for thread in threads {
                thread.join().expect("the thread ends well");
            }
        }
    });
}

/// A thread with a value under the library's key, which ends when the sender is dropped.
fn with_value(library: &Library) -> (thread::JoinHandle<()>, mpsc::Sender<()>) {
    let keep_value = function(library, "keep_value");
    let (release, released) = mpsc::channel::<()>();
    let (kept, has_kept) = mpsc::channel();
    let thread = thread::spawn(move || {
        assert_eq!(keep_value(), 0);
        kept.send(()).expect("the test waits");
        let _ = released.recv();
    });
    has_kept.recv().expect("the thread goes on");
    (thread, release)
}
