//! Addresses of a library that somebody else keeps when it goes: it stays, and the outcome says who.

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
    value_under_the_key_of_another: "a thread-local of thread", r#"
        #include <dlfcn.h>
        #include <pthread.h>
        static int value;
        int run(void) {
            int (*create)(pthread_key_t *, void (*)(void *)) = dlsym(RTLD_DEFAULT, "pthread_key_create");
            int (*set)(pthread_key_t, const void *) = dlsym(RTLD_DEFAULT, "pthread_setspecific");
            pthread_key_t key;
            return create(&key, 0) || set(key, &value);
        }
    "#;
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
