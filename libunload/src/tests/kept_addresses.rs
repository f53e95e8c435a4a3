//! Addresses of a library that somebody else keeps when it goes: it stays, and the outcome says
//! who.

use super::fixture::{Fixture, call, in_own_process, reasons_to_pin, unload};
use crate::outcome::{PinReason, UnloadOutcome};

/// Runs the fixture's `run`, unloads it, and expects it to stay for the sake of one holder.
fn is_kept_by(name: &str, fixture: &Fixture, holder: &str) {
    let library = fixture.open();
    assert_eq!(call(&library, "run"), 0);
    let reasons = reasons_to_pin(library);
    let [PinReason::AddressKept { holder: found }] = &reasons[..] else {
        panic!("{name}: {reasons:?}");
    };
    assert!(found.contains(holder), "{name}: {found}");
    // Another copy of it is not hindered by that.
    let again = fixture.open();
    assert_eq!(call(&again, "nothing"), 0);
    assert_eq!(unload(again), UnloadOutcome::Unmapped, "{name}");
}

/// A test that a library of this C code is kept by this holder.
macro_rules! kept {
    ($($name:ident: $holder:literal, $source:literal;)*) => {$(
        #[test]
        fn $name() {
            in_own_process(concat!("kept_addresses::", stringify!($name)), || {
                let nothing = "\nint nothing(void) { return 0; }\n";
                let fixture = Fixture::c(&format!("{}{nothing}", $source), &["-D_GNU_SOURCE"]);
                is_kept_by(stringify!($name), &fixture, $holder);
            });
        }
    )*};
}

kept! {
    buffer_of_stdout: "stdout", r#"
        #include <stdio.h>
        static char buffer[4096];
        int run(void) { return setvbuf(stdout, buffer, _IOFBF, sizeof buffer); }
    "#;
    buffer_of_a_stream_left_open: "an open stream", r#"
        #include <stdio.h>
        static char buffer[4096];
        int run(void) {
            FILE *file = fopen("/dev/null", "w");
            return setvbuf(file, buffer, _IOFBF, sizeof buffer) || fputs("kept", file) < 0;
        }
    "#;
    functions_of_a_stream_left_open: "an open stream", r#"
        #include <stdio.h>
        static ssize_t take(void *cookie, const char *from, size_t size) { (void)cookie; (void)from; return size; }
        int run(void) {
            cookie_io_functions_t functions = { .write = take };
            FILE *file = fopencookie(0, "w", functions);
            return !file || fputs("kept", file) < 0;
        }
    "#;
    value_of_a_signal_that_waits: "a signal 41 that waits", r#"
        #include <pthread.h>
        #include <signal.h>
        static int data;
        int run(void) {
            sigset_t held;
            sigemptyset(&held);
            sigaddset(&held, 41);
            return pthread_sigmask(SIG_BLOCK, &held, 0)
                || pthread_sigqueue(pthread_self(), 41, (union sigval){ .sival_ptr = &data });
        }
    "#;
    value_of_a_timer_that_went_off: "a signal 42 that waits", r#"
        #include <signal.h>
        #include <time.h>
        #include <unistd.h>
        static int data;
        int run(void) {
            sigset_t held, waiting;
            sigemptyset(&held);
            sigaddset(&held, 42);
            struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = 42 };
            event._sigev_un._tid = gettid();
            event.sigev_value.sival_ptr = &data;
            struct itimerspec soon = { .it_value = { .tv_nsec = 1 } };
            timer_t timer;
            if (pthread_sigmask(SIG_BLOCK, &held, 0) || timer_create(CLOCK_MONOTONIC, &event, &timer)
                || timer_settime(timer, 0, &soon, 0)) return 1;
            do { usleep(100); sigpending(&waiting); } while (!sigismember(&waiting, 42));
            return 0;
        }
    "#;
    value_under_the_key_of_another: "a thread-local of thread", r#"
        #include <pthread.h>
        static int value;
        int run(void) {
            /* All keys of the program have values by then. */
            for (pthread_key_t key = 1024; key--;)
                if (pthread_getspecific(key) && !pthread_setspecific(key, &value)) return 0;
            return 1;
        }
    "#;
}

/// A test that a library of this C code is unmapped: what it lent is taken back, and the process
/// goes on.
macro_rules! taken_back {
    ($($name:ident: $source:literal, $afterwards:expr;)*) => {$(
        #[test]
        fn $name() {
            in_own_process(concat!("kept_addresses::", stringify!($name)), || {
                let fixture = Fixture::c($source, &["-D_GNU_SOURCE", "-w"]);
                for _ in 0..3 {
                    let library = fixture.open();
                    assert_eq!(call(&library, "run"), 0);
                    assert_eq!(unload(library), UnloadOutcome::Unmapped);
                    $afterwards
                }
            });
        }
    )*};
}

taken_back! {
    variable_of_the_environment: r#"
        #include <stdlib.h>
        static char variable[] = "LIBUNLOAD_TEST_LENT=kept";
        int run(void) { return putenv(variable); }
    "#, assert_eq!(std::env::var("LIBUNLOAD_TEST_LENT").as_deref(), Ok("kept"));
    name_in_the_log: r#"
        #include <syslog.h>
        int run(void) { openlog("lent", LOG_NDELAY, LOG_USER); return 0; }
    "#, {
        // SAFETY: the texts are C strings.
        unsafe { libc::syslog(libc::LOG_DEBUG, c"after the library".as_ptr()) };
    };
    place_in_a_text: r#"
        #include <string.h>
        static char text[] = "one two three";
        int run(void) { return strtok(text, " ") != text; }
    "#, {};
    stack_for_signal_handlers: r#"
        #include <signal.h>
        static char stack[65536];
        int run(void) {
            stack_t all = { .ss_sp = stack, .ss_size = sizeof stack };
            return sigaltstack(&all, 0);
        }
    "#, {};
    request_that_is_cancelled_or_done: r#"
        #include <aio.h>
        #include <fcntl.h>
        #include <signal.h>
        #include <stdlib.h>
        #include <unistd.h>
        static struct aiocb request;
        static char buffer[16];
        static void done(union sigval value) { (void)value; }
        int run(void) {
            int file = open("/dev/zero", O_RDONLY);
            request.aio_fildes = file;
            request.aio_buf = buffer;
            request.aio_nbytes = sizeof buffer;
            request.aio_sigevent.sigev_notify = SIGEV_THREAD;
            request.aio_sigevent.sigev_notify_function = done;
            return aio_read(&request);
        }
    "#, {};
    message_that_is_waited_for: r#"
        #include <fcntl.h>
        #include <mqueue.h>
        #include <signal.h>
        #include <stdio.h>
        #include <unistd.h>
        static void come(union sigval value) { (void)value; }
        int run(void) {
            char name[64];
            snprintf(name, sizeof name, "/libunload-test-%d", getpid());
            mqd_t queue = mq_open(name, O_CREAT | O_RDWR, 0600, 0);
            if (queue < 0) return 0;
            mq_unlink(name);
            struct sigevent event = { .sigev_notify = SIGEV_THREAD };
            event.sigev_notify_function = come;
            mq_notify(queue, &event);
            return 0;
        }
    "#, {};
}

/// What reads from a pipe that nobody writes to cannot be cancelled once it has begun.
#[test]
fn request_that_does_not_end() {
    in_own_process("kept_addresses::request_that_does_not_end", || {
        let fixture = Fixture::c(
            r#"
            #include <aio.h>
            #include <unistd.h>
            static struct aiocb request;
            static char buffer[16];
            static int ends[2];
            int run(void) {
                if (pipe(ends)) return 1;
                request.aio_fildes = ends[0];
                request.aio_buf = buffer;
                request.aio_nbytes = sizeof buffer;
                if (aio_read(&request)) return 2;
                usleep(50000);
                return 0;
            }
            "#,
            &["-D_GNU_SOURCE"],
        );
        let library = fixture.open();
        assert_eq!(call(&library, "run"), 0);
        let reasons = reasons_to_pin(library);
        assert_eq!(reasons, [PinReason::RequestsUnderWay { count: 1 }]);
    });
}

/// Names that are not being looked up yet are taken back; those that are, are waited for. Whatever
/// became of the library, nobody calls its function or writes to its requests afterwards.
#[test]
fn names_that_are_looked_up() {
    in_own_process("kept_addresses::names_that_are_looked_up", || {
        let fixture = Fixture::c(
            r#"
            #include <netdb.h>
            #include <signal.h>
            enum { COUNT = 20000 };
            static struct gaicb requests[COUNT], *list[COUNT];
            static void done(union sigval value) { (void)value; }
            int run(void) {
                struct sigevent event = { .sigev_notify = SIGEV_THREAD };
                event.sigev_notify_function = done;
                for (int i = 0; i < COUNT; i++) {
                    requests[i].ar_name = "127.0.0.1";
                    list[i] = &requests[i];
                }
                return getaddrinfo_a(GAI_NOWAIT, list, COUNT, &event);
            }
            "#,
            &["-D_GNU_SOURCE"],
        );
        let library = fixture.open();
        assert_eq!(call(&library, "run"), 0);
        if let UnloadOutcome::Pinned { reasons } = unload(library) {
            let of_requests = |reason: &PinReason| {
                matches!(
                    reason,
                    PinReason::RequestsUnderWay { .. } | PinReason::AddressKept { .. }
                )
            };
            assert!(reasons.iter().all(of_requests), "{reasons:?}");
        }
        std::thread::sleep(std::time::Duration::from_millis(300));
    });
}

/// Another thread's stack for signal handlers cannot be taken back from here.
#[test]
fn stack_for_signal_handlers_of_another_thread() {
    let name = "kept_addresses::stack_for_signal_handlers_of_another_thread";
    in_own_process(name, || {
        let fixture = Fixture::c(
            "#include <signal.h>
             static char stack[65536];
             int run(void) {
                 stack_t all = { .ss_sp = stack, .ss_size = sizeof stack };
                 return sigaltstack(&all, 0);
             }",
            &["-D_GNU_SOURCE"],
        );
        let library = fixture.open();
        let (done, is_done) = std::sync::mpsc::channel::<()>();
        let (went, has_gone) = std::sync::mpsc::channel();
        let run = super::fixture::function(&library, "run");
        let thread = std::thread::spawn(move || {
            went.send(run()).expect("the test waits");
            is_done.recv().expect_err("until the test is done");
        });
        assert_eq!(has_gone.recv(), Ok(0));
        let reasons = reasons_to_pin(library);
        let [PinReason::AddressKept { holder }] = &reasons[..] else {
            panic!("{reasons:?}");
        };
        assert!(holder.contains("stack for signal handlers"), "{holder}");
        drop(done);
        thread.join().expect("it ends");
    });
}

/// The host replaces a library's handler, and means to call it.
#[test]
fn handler_that_the_host_remembers() {
    static REMEMBERED: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    extern "C" fn chain(_: libc::c_int) {}

    in_own_process("kept_addresses::handler_that_the_host_remembers", || {
        let fixture = Fixture::c(
            "#include <signal.h>
             static void handle(int number) { (void)number; }
             int run(void) { return signal(SIGUSR2, handle) == SIG_ERR; }
             int stop(void) { return signal(SIGUSR2, SIG_DFL) == SIG_ERR; }",
            &[],
        );
        let set = |handler: usize| {
            // SAFETY: `chain` is a handler, and so is what was in force before it.
            let before = unsafe { libc::signal(libc::SIGUSR2, handler) };
            // Not as it is: the process's data would be found to have it.
            REMEMBERED.store(!before, std::sync::atomic::Ordering::Relaxed);
        };
        let chain = chain as *const () as usize;

        // Put back in order, nobody remembers it.
        let library = fixture.open();
        assert_eq!(call(&library, "run"), 0);
        set(chain);
        set(!REMEMBERED.load(std::sync::atomic::Ordering::Relaxed));
        assert_eq!(unload(library), UnloadOutcome::Unmapped);

        for stop in [false, true] {
            let library = fixture.open();
            assert_eq!(call(&library, "run"), 0);
            set(chain);
            if stop {
                assert_eq!(call(&library, "stop"), 0);
            }
            let reasons = reasons_to_pin(library);
            let [PinReason::AddressKept { holder }] = &reasons[..] else {
                panic!("{stop}: {reasons:?}");
            };
            assert!(holder.contains("handler of signal 12"), "{holder}");
        }
    });
}

/// What a signal does is put back also if it has no handler.
#[test]
fn signal_that_was_ignored() {
    in_own_process("kept_addresses::signal_that_was_ignored", || {
        let fixture = Fixture::c(
            "#include <signal.h>
             int run(void) { return signal(SIGPIPE, SIG_DFL) == SIG_ERR; }
             int ignore(void) { return signal(SIGUSR2, SIG_IGN) == SIG_ERR; }",
            &[],
        );
        // SAFETY: no handler is involved.
        let set = |signal, action| unsafe { libc::signal(signal, action) };
        set(libc::SIGPIPE, libc::SIG_IGN);
        let library = fixture.open();
        assert_eq!(call(&library, "run") + call(&library, "ignore"), 0);
        assert_eq!(unload(library), UnloadOutcome::Unmapped);
        assert_eq!(set(libc::SIGPIPE, libc::SIG_IGN), libc::SIG_IGN);
        assert_eq!(set(libc::SIGUSR2, libc::SIG_DFL), libc::SIG_DFL);

        // What the host has set since is not touched.
        let library = fixture.open();
        assert_eq!(call(&library, "run"), 0);
        set(libc::SIGPIPE, libc::SIG_IGN);
        assert_eq!(call(&library, "ignore"), 0);
        set(libc::SIGUSR2, libc::SIG_DFL);
        assert_eq!(unload(library), UnloadOutcome::Unmapped);
        assert_eq!(set(libc::SIGPIPE, libc::SIG_IGN), libc::SIG_IGN);
        assert_eq!(set(libc::SIGUSR2, libc::SIG_DFL), libc::SIG_DFL);
    });
}

#[test]
fn callback_in_a_library_that_stays() {
    in_own_process("kept_addresses::callback_in_a_library_that_stays", || {
        let (helper, options) =
            helper("void (*callback)(void); void keep(void (*f)(void)) { callback = f; }");
        let fixture = Fixture::c(
            "void keep(void (*)(void)); static void mine(void) {}
             int run(void) { keep(mine); return 0; } int nothing(void) { return 0; }",
            &options.iter().map(String::as_str).collect::<Vec<_>>(),
        );
        is_kept_by("callback", &fixture, "libhelper.so (callback)");
        drop(helper);
    });
}

/// A library that the host itself has open, and what to link with it takes.
fn helper(source: &str) -> (Fixture, Vec<String>) {
    let helper = Fixture::c(source, &["-Wl,-soname,libhelper.so"]);
    let path = helper.directory().join("libhelper.so");
    std::fs::rename(&helper.path, &path).expect("a new name");
    let directory = helper.directory().to_str().expect("a plain path");
    let options = vec![
        format!("-L{directory}"),
        format!("-Wl,-rpath,{directory}"),
        "-lhelper".to_owned(),
    ];
    let name = std::ffi::CString::new(path.to_str().expect("a plain path")).expect("a C string");
    // SAFETY: the fixture's own source is harmless.
    assert!(!unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW) }.is_null());
    (helper, options)
}

/// As OpenSSL keeps callbacks: in a structure on the heap.
#[test]
fn callback_on_the_heap_of_a_library_that_stays() {
    let name = "kept_addresses::callback_on_the_heap_of_a_library_that_stays";
    in_own_process(name, || {
        let (helper, options) = helper(
            "#include <stdlib.h>
             struct entry { struct entry *next; void (*function)(void); void *data[4]; };
             struct table { long count; struct entry *first; } *table;
             void keep(void (*function)(void)) {
                 struct entry *entry = calloc(1, sizeof *entry);
                 if (!table) table = calloc(1, sizeof *table);
                 entry->function = function; entry->next = table->first; table->first = entry;
             }
             void drop(void) {
                 struct entry *entry = table->first;
                 table->first = entry->next;
                 free(entry);
             }",
        );
        let options: Vec<_> = options.iter().map(String::as_str).collect();
        let fixture = Fixture::c(
            "void keep(void (*)(void)); void drop(void); static void mine(void) {}
             int run(void) { keep(mine); return 0; } int nothing(void) { keep(mine); drop(); return 0; }",
            &options,
        );
        is_kept_by(
            "callback",
            &fixture,
            "libhelper.so (table), by way of the heap",
        );
        drop(helper);
    });
}

/// An old address that leads to where something else is now holds nothing, although the number of a
/// former size stands in front of it.
#[test]
fn remnant_on_the_heap() {
    in_own_process("kept_addresses::remnant_on_the_heap", || {
        let (helper, options) = helper("void *kept; void keep(void *block) { kept = block; }");
        let options: Vec<_> = options.iter().map(String::as_str).collect();
        let fixture = Fixture::c(
            "#include <pthread.h>
             #include <stdlib.h>
             void keep(void *); static void mine(void) {}
             static void *fill(void *unused) {
                 long *block = calloc(32, 8);
                 block[11] = block[19] = 0x41;
                 block[13] = (long)mine;
                 keep(block + 12);
                 return unused;
             }
             int here(void) { fill(0); return 0; }
             int in_thread(void) {
                 pthread_t thread;
                 return pthread_create(&thread, 0, fill, 0) || pthread_join(thread, 0);
             }
             int run(void) { long *block = calloc(32, 8); block[13] = (long)mine; keep(block); return 0; }
             int nothing(void) { keep(0); return 0; }",
            &options,
        );
        for function in ["here", "in_thread"] {
            let library = fixture.open();
            assert_eq!(call(&library, function), 0);
            assert_eq!(unload(library), UnloadOutcome::Unmapped, "{function}");
        }
        is_kept_by("the memory itself", &fixture, "by way of the heap");
        drop(helper);
    });
}

/// What C++ code has in the locale of the process.
#[test]
fn facet_of_the_global_locale() {
    in_own_process("kept_addresses::facet_of_the_global_locale", || {
        // SAFETY: the system's own library; it stays for the other copy.
        let cpp = unsafe { libc::dlopen(c"libstdc++.so.6".as_ptr(), libc::RTLD_NOW) };
        assert!(!cpp.is_null());
        let fixture = Fixture::cpp(
            "#include <locale>
             struct Mine : std::numpunct<char> { char do_decimal_point() const override { return ','; } };
             extern \"C\" int run() { std::locale::global(std::locale(std::locale(), new Mine)); return 0; }
             extern \"C\" int nothing() { return 0; }",
            &["-fno-gnu-unique"],
        );
        let library = fixture.open();
        assert_eq!(call(&library, "nothing"), 0);
        assert_eq!(unload(library), UnloadOutcome::Unmapped);
        let library = fixture.open();
        assert_eq!(call(&library, "run"), 0);
        let reasons = reasons_to_pin(library);
        let is_it = |reason: &PinReason| reason.to_string().contains("libstdc++.so.6");
        assert!(reasons.iter().any(is_it), "{reasons:?}");
    });
}

/// Functions that C++'s standard library keeps for the whole process.
#[test]
fn handler_in_the_cpp_library() {
    in_own_process("kept_addresses::handler_in_the_cpp_library", || {
        let name = c"libstdc++.so.6";
        // SAFETY: the system's own library; it stays for the other copy.
        assert!(!unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW) }.is_null());
        let fixture = Fixture::cpp(
            "#include <new>
             #include <cstdlib>
             static void mine() { abort(); }
             extern \"C\" int run() { std::set_new_handler(mine); return 0; }
             extern \"C\" int nothing() { return 0; }",
            &[],
        );
        is_kept_by("set_new_handler", &fixture, "libstdc++.so.6");
    });
}

/// A thread of somebody else's that waits for data to write into the library.
#[test]
fn buffer_that_a_thread_reads_into() {
    in_own_process("kept_addresses::buffer_that_a_thread_reads_into", || {
        use std::io::Read as _;
        use std::os::fd::AsRawFd as _;

        let fixture = Fixture::c(
            "static char buffer[64]; char *run_buffer(void) { return buffer; }
             int run(void) { return 0; } int nothing(void) { return 0; }",
            &[],
        );
        let library = fixture.open();
        let buffer = library.symbol(c"run_buffer").expect("the function");
        // SAFETY: the function has this type.
        let buffer: extern "C" fn() -> *mut u8 = unsafe { std::mem::transmute(buffer) };
        let buffer = buffer() as usize;
        let (mut receiver, sender) = std::os::unix::net::UnixStream::pair().expect("a pair");
        let reader = std::thread::spawn(move || {
            // SAFETY: the library stays for this read's sake.
            let buffer = unsafe { std::slice::from_raw_parts_mut(buffer as *mut u8, 64) };
            receiver.read(buffer).expect("data")
        });
        // Until it waits: a socket with a reader is all that is seen from here.
        let waits = || {
            std::fs::read_dir("/proc/self/task")
                .expect("threads")
                .any(|task| {
                    let call = task.expect("a thread").path().join("syscall");
                    let call = std::fs::read_to_string(call).unwrap_or_default();
                    call.contains(&format!("{buffer:#x}"))
                })
        };
        while !waits() {
            std::thread::yield_now();
        }
        let reasons = reasons_to_pin(library);
        let [PinReason::AddressKept { holder }] = &reasons[..] else {
            panic!("{reasons:?}");
        };
        assert!(holder.contains("waits in"), "{holder}");
        assert!(sender.as_raw_fd() >= 0);
        drop(sender);
        assert_eq!(reader.join().expect("it ends"), 0);
    });
}

/// What was taken back, and what is about another library, holds nothing.
#[test]
fn what_was_taken_back_holds_nothing() {
    in_own_process("kept_addresses::what_was_taken_back_holds_nothing", || {
        let fixture = Fixture::c(
            r#"
            #include <pthread.h>
            #include <stdio.h>
            #include <stdlib.h>
            static char buffer[64];
            static pthread_key_t key;
            static __thread long local;
            static void nothing_to_do(void) {}
            static void nothing_to_end(void *value) { (void)value; }
            int run(void) {
                FILE *file = fopen("/dev/null", "w");
                setvbuf(file, buffer, _IOFBF, sizeof buffer);
                local = (long)&buffer;
                pthread_key_t other;
                pthread_key_create(&other, nothing_to_end);
                pthread_setspecific(other, buffer);
                pthread_key_delete(other);
                pthread_key_create(&key, 0);
                pthread_setspecific(key, buffer);
                return atexit(nothing_to_do)
                    || pthread_atfork(nothing_to_do, nothing_to_do, nothing_to_do) || fclose(file);
            }
            "#,
            &["-D_GNU_SOURCE"],
        );
        for _ in 0..3 {
            let library = fixture.open();
            assert_eq!(call(&library, "run"), 0);
            assert_eq!(unload(library), UnloadOutcome::Unmapped);
        }
    });
}

/// What the program keeps in its own data counts, constants and all; what lies in the room between
/// fields of std's table for backtraces does not.
#[test]
fn constant_that_the_program_keeps() {
    static KEPT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    use std::sync::atomic::Ordering::Relaxed;

    in_own_process("kept_addresses::constant_that_the_program_keeps", || {
        let fixture = Fixture::c(
            "#include <stdint.h>
             static const char text[] = \"a constant\"; static int variable; static void code(void) {}
             const char *const table[] = { text, \"another\" };
             const char *constant(void) { return text; }
             int nothing(void) { return 0; }
             int run(void) {
                 volatile uintptr_t stack[8192];
                 for (int i = 0; i < 8192; i += 4) {
                     stack[i] = (uintptr_t)text; stack[i + 1] = (uintptr_t)&variable;
                     stack[i + 2] = (uintptr_t)code; stack[i + 3] = (uintptr_t)table;
                 }
                 return 0;
             }",
            &[],
        );
        let library = fixture.open();
        assert_eq!(call(&library, "run"), 0);
        let named = std::backtrace::Backtrace::force_capture().to_string();
        assert!(named.contains("constant_that_the_program_keeps"), "{named}");
        assert_eq!(unload(library), UnloadOutcome::Unmapped);

        let library = fixture.open();
        let constant = library.symbol(c"constant").expect("the function");
        // SAFETY: the function has this type.
        let constant: extern "C" fn() -> usize = unsafe { std::mem::transmute(constant.as_ptr()) };
        KEPT.store(constant(), Relaxed);
        let reasons = reasons_to_pin(library);
        let [PinReason::AddressKept { holder }] = &reasons[..] else {
            panic!("{reasons:?}");
        };
        assert!(holder.contains("KEPT"), "{holder}");
        KEPT.store(0, Relaxed);
        let again = fixture.open();
        assert_eq!(unload(again), UnloadOutcome::Unmapped);
    });
}
