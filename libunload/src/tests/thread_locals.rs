//! What a library leaves in threads that are not its own.

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use super::fixture::{Fixture, call, function, in_own_process, unload};
use crate::library::Library;
use crate::outcome::UnloadOutcome;

/// Calls `run` from threads that go on until the returned senders are dropped.
fn call_from_long_lived_threads(library: &Library) -> Vec<(JoinHandle<()>, mpsc::Sender<()>)> {
    let threads = (0..3).map(|_| {
        let run = function(library, "run");
        let (called, has_called) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let thread = thread::spawn(move || {
            run();
            called.send(()).expect("the test waits");
            let _ = released.recv();
        });
        has_called.recv().expect("the thread calls");
        (thread, release)
    });
    threads.collect()
}

/// Threads that called the library go on, and end when it is gone.
fn unmaps_before_its_callers_end(fixture: &Fixture) {
    let library = fixture.open();
    let threads = call_from_long_lived_threads(&library);
    call(&library, "run");
    assert_eq!(unload(library), UnloadOutcome::Unmapped);
    for (thread, release) in threads {
        drop(release);
        thread.join().expect("the thread ends well");
    }
}

#[test]
fn rust_thread_local() {
    in_own_process("thread_locals::rust_thread_local", || {
        unmaps_before_its_callers_end(&Fixture::rust(
            r#"
            use std::cell::RefCell;
            thread_local! { static SEEN: RefCell<Vec<u8>> = RefCell::new(vec![1]); }
            #[unsafe(no_mangle)] pub extern "C" fn run() -> i32 {
                SEEN.with_borrow_mut(|seen| { seen.push(1); seen.len() as i32 })
            }
            "#,
        ));
    });
}

#[test]
fn rust_current_thread() {
    in_own_process("thread_locals::rust_current_thread", || {
        unmaps_before_its_callers_end(&Fixture::rust(
            r#"
            #[unsafe(no_mangle)] pub extern "C" fn run() -> i32 {
                std::thread::current().name().map_or(0, |name| name.len() as i32)
            }
            "#,
        ));
    });
}

#[test]
fn cpp_thread_local() {
    in_own_process("thread_locals::cpp_thread_local", || {
        unmaps_before_its_callers_end(&Fixture::cpp(
            r#"
            struct Counter { int *n = new int(0); ~Counter() { delete n; } };
            static thread_local Counter counter;
            extern "C" int run() { return ++*counter.n; }
            "#,
            &[],
        ));
    });
}

#[test]
fn pthread_key() {
    in_own_process("thread_locals::pthread_key", || {
        unmaps_before_its_callers_end(&Fixture::c(
            r#"
            #include <pthread.h>
            static pthread_key_t key;
            static pthread_once_t once = PTHREAD_ONCE_INIT;
            static int destroyed;
            static void destroy(void *value) { (void)value; destroyed++; }
            static void make(void) { pthread_key_create(&key, destroy); }
            int run(void) { pthread_once(&once, make); return pthread_setspecific(key, &key); }
            "#,
            &[],
        ));
    });
}

/// A key made by an initializer counts like any other.
#[test]
fn pthread_key_of_an_initializer() {
    in_own_process("thread_locals::pthread_key_of_an_initializer", || {
        unmaps_before_its_callers_end(&Fixture::c(
            r#"
            #include <pthread.h>
            static pthread_key_t key;
            static void destroy(void *value) { (void)value; }
            __attribute__((constructor)) static void make(void) { pthread_key_create(&key, destroy); }
            int run(void) { return pthread_setspecific(key, &key); }
            "#,
            &[],
        ));
    });
}

/// Destructors of the unloading thread run, and so did those of a thread that ended before.
#[test]
fn destructors_run_on_their_own_threads() {
    let fixture = Fixture::rust(
        r#"
        use std::sync::atomic::{AtomicPtr, AtomicI32, Ordering::SeqCst};
        static COUNT: AtomicPtr<AtomicI32> = AtomicPtr::new(std::ptr::null_mut());
        struct Count;
        impl Drop for Count {
            fn drop(&mut self) { unsafe { (*COUNT.load(SeqCst)).fetch_add(1, SeqCst) }; }
        }
        thread_local! { static LOCAL: Count = const { Count }; }
        #[unsafe(no_mangle)] pub extern "C" fn run() -> i32 { LOCAL.with(|_| 0) }
        #[unsafe(no_mangle)] pub extern "C" fn count_in(count: *mut AtomicI32) {
            COUNT.store(count, SeqCst);
        }
        "#,
    );
    static COUNT: AtomicI32 = AtomicI32::new(0);
    let library = fixture.open();
    let count_in = library.symbol(c"count_in").expect("the fixture exports it");
    // SAFETY: the function has this type.
    let count_in: extern "C" fn(*const AtomicI32) = unsafe { std::mem::transmute(count_in) };
    count_in(&raw const COUNT);
    let run = function(&library, "run");
    thread::spawn(move || run())
        .join()
        .expect("the thread ends well");
    assert_eq!(COUNT.load(Ordering::SeqCst), 1);
    run();
    assert_eq!(unload(library), UnloadOutcome::Unmapped);
    assert_eq!(COUNT.load(Ordering::SeqCst), 2);
}

/// Every load leaks a key elsewhere, until there are none left after about a thousand.
#[test]
fn keys_do_not_run_out() {
    in_own_process("thread_locals::keys_do_not_run_out", || {
        let fixture = Fixture::rust(
            r#"
            #[unsafe(no_mangle)] pub extern "C" fn run() -> i32 {
                std::thread::current().name().map_or(0, |name| name.len() as i32)
            }
            "#,
        );
        for _ in 0..2_000 {
            let library = fixture.open();
            call(&library, "run");
            assert_eq!(unload(library), UnloadOutcome::Unmapped);
        }
    });
}
