//! Threads that a library started, and threads that are inside it.

use std::ffi::c_void;
use std::io::Write;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::fixture::{Fixture, call, function, in_own_process, reasons_to_pin, unload};
use crate::library::Library;
use crate::outcome::{PinReason, UnloadOutcome};

#[test]
fn thread_joined() {
    let fixture = Fixture::rust(
        r#"
        #[unsafe(no_mangle)] pub extern "C" fn run() -> i32 {
            std::thread::scope(|scope| { scope.spawn(|| 1).join().unwrap() + scope.spawn(|| 2).join().unwrap() })
        }
        "#,
    );
    let library = fixture.open();
    assert_eq!(call(&library, "run"), 3);
    assert_eq!(unload(library), UnloadOutcome::Unmapped);
}

/// A library that starts a thread per request does not fill the ledger, and a thread that is about
/// to end is waited for.
#[test]
fn threads_that_end_soon() {
    let fixture = Fixture::rust(
        r#"
        #[unsafe(no_mangle)] pub extern "C" fn run() -> i32 {
            for _ in 0..1000 { std::thread::spawn(|| ()).join().unwrap(); }
            std::thread::spawn(|| std::thread::sleep(std::time::Duration::from_millis(20)));
            0
        }
        "#,
    );
    let library = fixture.open();
    call(&library, "run");
    assert_eq!(unload(library), UnloadOutcome::Unmapped);
}

#[test]
fn thread_left_sleeping() {
    in_own_process("threads::thread_left_sleeping", || {
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
        let reasons = reasons_to_pin(library);
        let [PinReason::ThreadRunning(thread)] = &reasons[..] else {
            panic!("{reasons:?}")
        };
        assert_eq!(thread.name, "forgotten");
    });
}

#[test]
fn thread_left_spinning() {
    in_own_process("threads::thread_left_spinning", || {
        let fixture = Fixture::c(
            r#"
            #include <pthread.h>
            static volatile int n;
            static void *spin(void *x) { (void)x; for (;;) n++; return 0; }
            int run(void) { pthread_t t; return pthread_create(&t, 0, spin, 0); }
            "#,
            &[],
        );
        let library = fixture.open();
        assert_eq!(call(&library, "run"), 0);
        let reasons = reasons_to_pin(library);
        assert!(
            matches!(reasons[..], [PinReason::ThreadRunning(_)]),
            "{reasons:?}"
        );
    });
}

/// Both libraries start threads by the C++ library, which they share; only one leaves a thread.
#[test]
fn thread_of_the_cpp_library_left_sleeping() {
    in_own_process("threads::thread_of_the_cpp_library_left_sleeping", || {
        let fixture = Fixture::cpp(
            r#"
            #include <chrono>
            #include <thread>
            extern "C" int join() { std::thread([] {}).join(); return 0; }
            extern "C" int leave() {
                std::thread([] { for (;;) std::this_thread::sleep_for(std::chrono::milliseconds(1)); }).detach();
                return 0;
            }
            "#,
            // Its templates would make it unloadable anyway.
            &["-fno-gnu-unique", "-O2"],
        );
        let (leaving, joining) = (fixture.open(), fixture.open());
        call(&leaving, "leave");
        call(&joining, "join");
        assert_eq!(unload(joining), UnloadOutcome::Unmapped);
        let reasons = reasons_to_pin(leaving);
        assert!(
            matches!(reasons[..], [PinReason::ThreadRunning(_)]),
            "{reasons:?}"
        );
    });
}

/// Threads that end by `pthread_exit` or are cancelled unwind through the host's stand-in.
#[test]
fn thread_that_unwinds() {
    in_own_process("threads::thread_that_unwinds", || {
        let fixture = Fixture::c(
            r#"
            #include <pthread.h>
            #include <unistd.h>
            static void *leave(void *x) { pthread_exit(x); }
            static void *wait(void *x) { for (;;) sleep(1); return x; }
            int run(void) {
                pthread_t a, b; int n; void *got;
                pthread_create(&a, 0, leave, &n); pthread_create(&b, 0, wait, 0);
                pthread_cancel(b);
                pthread_join(a, &got); if (got != &n) return 1;
                pthread_join(b, &got); return got != PTHREAD_CANCELED;
            }
            "#,
            &[],
        );
        let library = fixture.open();
        assert_eq!(call(&library, "run"), 0);
        assert_eq!(unload(library), UnloadOutcome::Unmapped);
    });
}

/// Nobody promised the truth: a host's thread is still inside when the library is unloaded.
fn caller_inside(function_name: &str) -> Vec<PinReason> {
    let fixture = Fixture::c(
        r#"
        #include <unistd.h>
        static volatile int n;
        int wait(void) { for (;;) { usleep(1000000); n++; } return 0; }
        int spin(void) { for (;;) n++; return 0; }
        int started(void) { return n; }
        "#,
        &[],
    );
    let library = fixture.open();
    let inside = function(&library, function_name);
    let (begin, begun) = mpsc::channel();
    thread::Builder::new()
        .name("caller".into())
        .spawn(move || {
            begin.send(()).expect("the test waits");
            inside()
        })
        .expect("a thread");
    begun.recv().expect("the thread begins");
    thread::sleep(std::time::Duration::from_millis(50));
    reasons_to_pin(library)
}

#[test]
fn caller_waiting_inside() {
    in_own_process("threads::caller_waiting_inside", || {
        let reasons = caller_inside("wait");
        let [PinReason::CodeOnStack(thread)] = &reasons[..] else {
            panic!("{reasons:?}")
        };
        assert_eq!(thread.name, "caller");
    });
}

#[test]
fn caller_spinning_inside() {
    in_own_process("threads::caller_spinning_inside", || {
        let reasons = caller_inside("spin");
        assert!(
            matches!(reasons[..], [PinReason::CodeOnStack(_)]),
            "{reasons:?}"
        );
    });
}

/// Threads of the host that called the library and are busy elsewhere do not matter.
#[test]
fn busy_threads_of_the_host() {
    in_own_process("threads::busy_threads_of_the_host", || {
        let library = called_by(3, || {
            loop {
                std::hint::spin_loop();
            }
        });
        assert_eq!(unload(library), UnloadOutcome::Unmapped);
    });
}

/// Nor does a thread that holds every signal back, where it need not be interrupted.
#[test]
#[cfg(target_arch = "x86_64")]
fn waiting_thread_without_signals() {
    in_own_process("threads::waiting_thread_without_signals", || {
        let library = called_by(1, || {
            hold_all_signals_back();
            loop {
                thread::park();
            }
        });
        assert_eq!(unload(library), UnloadOutcome::Unmapped);
    });
}

/// A thread that holds back all signals that a program can is reached by one of glibc's own, and
/// changing the user, for which glibc takes that signal, goes on working.
#[test]
#[cfg(target_arch = "x86_64")]
fn busy_thread_without_signals() {
    in_own_process("threads::busy_thread_without_signals", || {
        let library = called_by(1, || {
            hold_all_signals_back();
            loop {
                std::hint::spin_loop();
            }
        });
        assert_eq!(unload(library), UnloadOutcome::Unmapped);
        // SAFETY: the user stays who it is.
        assert_eq!(unsafe { libc::setuid(libc::getuid()) }, 0);
    });
}

/// A thread that is busy and that no signal reaches may be anywhere.
#[test]
fn busy_thread_that_no_signal_reaches() {
    in_own_process("threads::busy_thread_that_no_signal_reaches", || {
        let library = called_by(1, || {
            let all = u64::MAX;
            let (how, nothing) = (libc::SIG_SETMASK, std::ptr::null_mut::<u64>());
            // SAFETY: the kernel reads `all`.
            unsafe { libc::syscall(libc::SYS_rt_sigprocmask, how, &raw const all, nothing, 8) };
            loop {
                std::hint::spin_loop();
            }
        });
        let reasons = reasons_to_pin(library);
        assert!(
            matches!(reasons[..], [PinReason::StackUnknown(_)]),
            "{reasons:?}"
        );
    });
}

/// Code that was made at run time has no unwind tables.
#[test]
#[cfg(target_arch = "x86_64")]
fn busy_thread_in_code_without_tables() {
    in_own_process("threads::busy_thread_in_code_without_tables", || {
        /// `pause; jmp` to itself.
        const LOOP: [u8; 4] = [0xf3, 0x90, 0xeb, 0xfc];
        let library = called_by(1, || {
            let access = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
            let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            // SAFETY: a new mapping, at an address of the kernel's choice.
            let page = unsafe { libc::mmap(std::ptr::null_mut(), 4096, access, kind, -1, 0) };
            // SAFETY: the page is there, and is written before it is run; it takes and returns
            // nothing.
            unsafe {
                page.cast::<[u8; 4]>().write(LOOP);
                std::mem::transmute::<*mut c_void, extern "C" fn()>(page)();
            }
        });
        assert_eq!(unload(library), UnloadOutcome::Unmapped);
    });
}

/// A thread that cannot answer, since the kernel does not let it go on, is waited for longer than
/// others.
#[test]
fn thread_that_gets_no_processor() {
    in_own_process("threads::thread_that_gets_no_processor", || {
        let fixture = Fixture::c(
            r#"
            static __attribute__((noinline)) void *caller(void) { return __builtin_return_address(0); }
            int remnant(void **found) { *found = caller(); return 7; }
            "#,
            &[],
        );
        let library = fixture.open();
        let name = c"remnant";
        let remnant = library.symbol(name).expect("exported");
        // SAFETY: the function above.
        let remnant: extern "C" fn(*mut *mut c_void) -> i32 =
            unsafe { std::mem::transmute(remnant.as_ptr()) };
        let (mut release, held) = UnixStream::pair().expect("a connection");
        let (ready, is_ready) = mpsc::channel();
        let stuck = thread::spawn(move || {
            let mut found = std::ptr::null_mut();
            assert_eq!(remnant(&raw mut found), 7);
            // As a call leaves them on a stack: they have to be told from a call that is under way.
            let remnants = std::hint::black_box([found; 8]);
            // SAFETY: no preconditions.
            ready
                .send(unsafe { libc::gettid() })
                .expect("the test waits");
            held_by_the_kernel(&held);
            std::hint::black_box(&remnants);
        });
        let thread = is_ready.recv().expect("the thread is ready");
        while !is_held(thread) {
            thread::yield_now();
        }
        let begun = Instant::now();
        let releasing = thread::spawn(move || {
            thread::sleep(Duration::from_millis(1_500));
            release.write_all(&[1]).expect("somebody reads");
        });
        let outcome = unload(library);
        let waited = begun.elapsed();
        releasing.join().expect("it sleeps");
        stuck.join().expect("it goes on");
        // On a machine so slow that the thread is not released in time, the library stays.
        if waited < Duration::from_secs(5) {
            assert_eq!(outcome, UnloadOutcome::Unmapped, "after {waited:?}");
        }
    });
}

/// Starts a process as `vfork` does, which keeps this thread from going on, also into signal
/// handlers, until it gets a byte.
fn held_by_the_kernel(connection: &UnixStream) {
    extern "C" fn wait(connection: *mut c_void) -> i32 {
        let mut byte = 0_u8;
        // SAFETY: a descriptor, in a variable of the thread that waits for this process.
        let connection = unsafe { connection.cast::<RawFd>().read() };
        // SAFETY: reads into a variable of this function.
        unsafe { libc::read(connection, (&raw mut byte).cast(), 1) };
        // SAFETY: this process has nothing to tidy up.
        unsafe { libc::_exit(0) }
    }
    let mut stack = vec![0_u128; 4096];
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let mut connection = connection.as_raw_fd();
    let connection = (&raw mut connection).cast();
    // SAFETY: the process has a stack of its own, does not return, and is over when this call is.
    let process =
        unsafe { libc::clone(wait, stack.as_mut_ptr_range().end.cast(), flags, connection) };
    assert!(process > 0);
    // SAFETY: no status is asked for.
    unsafe { libc::waitpid(process, std::ptr::null_mut(), 0) };
}

/// Whether the kernel does not let the thread go on.
fn is_held(thread: libc::pid_t) -> bool {
    let status = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat"));
    status.expect("the thread is there").contains(") D ")
}

/// A library that was called by threads which do something else for ever now.
fn called_by(threads: usize, now: fn()) -> Library {
    let fixture = Fixture::c("int run(void) { return 7; }", &[]);
    let library = fixture.open();
    let run = function(&library, "run");
    let (ready, all_ready) = mpsc::channel();
    for _ in 0..threads {
        let ready = ready.clone();
        thread::spawn(move || {
            ready.send(run()).expect("the test waits");
            now();
        });
    }
    for _ in 0..threads {
        assert_eq!(all_ready.recv(), Ok(7));
    }
    // Time enough to get to what they do now.
    thread::sleep(std::time::Duration::from_millis(20));
    library
}

fn hold_all_signals_back() {
    // SAFETY: all zeros is a value of this plain structure.
    let mut all = unsafe { std::mem::zeroed::<libc::sigset_t>() };
    // SAFETY: the set is this function's own.
    unsafe { libc::sigfillset(&raw mut all) };
    // SAFETY: as above; the thread needs no signals.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut()) };
}

/// A finalizer that might stop the thread, and does not: it has run, once, and the library stays.
#[test]
fn finalizers_that_leave_a_thread() {
    in_own_process("threads::finalizers_that_leave_a_thread", || {
        let fixture = Fixture::c(
            r#"
            #include <pthread.h>
            #include <unistd.h>
            static pthread_t thread;
            static int ends;
            static void *work(void *nothing) { for (;;) pause(); return nothing; }
            int run(void) { return pthread_create(&thread, 0, work, 0); }
            int wait(void) { return pthread_join(thread, 0); }
            __attribute__((destructor)) static void end(void) { if (ends++) __builtin_trap(); }
            "#,
            &[],
        );
        let library = fixture.open();
        assert_eq!(call(&library, "run"), 0);
        let reasons = reasons_to_pin(library);
        assert!(
            matches!(&reasons[..], [PinReason::ThreadRunning(_)]),
            "{reasons:?}"
        );
    });
}
