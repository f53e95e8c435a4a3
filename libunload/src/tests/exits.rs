//! Signal handlers, exit handlers, finalizers.

use std::fs;

use super::fixture::{Fixture, call, in_own_process, reasons_to_pin, unload};
use crate::outcome::{PinReason, UnloadOutcome};

#[test]
fn signal_handler_left() {
    in_own_process("exits::signal_handler_left", || {
        // SAFETY: a disposition without a handler.
        unsafe { libc::signal(libc::SIGUSR1, libc::SIG_IGN) };
        let fixture = Fixture::c(
            r#"
            #include <signal.h>
            static void handle(int n) { (void)n; }
            int run(void) { signal(SIGUSR2, handle); return signal(SIGUSR1, handle) == SIG_ERR; }
            "#,
            &[],
        );
        let library = fixture.open();
        assert_eq!(call(&library, "run"), 0);
        assert_eq!(unload(library), UnloadOutcome::Unmapped);
        // SAFETY: ignored again, as before the library came.
        unsafe { libc::raise(libc::SIGUSR1) };
        // SAFETY: this only asks what the signal does, by setting the same again.
        let second = unsafe { libc::signal(libc::SIGUSR2, libc::SIG_DFL) };
        assert_eq!(second, libc::SIG_DFL);
    });
}

/// Exit handlers, C++ statics and destructor functions run when the library is unloaded,
/// initializers with the program's arguments when it is loaded.
#[test]
fn initializers_and_finalizers_run_once() {
    in_own_process("exits::initializers_and_finalizers_run_once", || {
        let log = tempfile::NamedTempFile::new().expect("a file");
        let fixture = Fixture::cpp(
            &r#"
            #include <cstdio>
            #include <cstdlib>
            static void note(const char *what) {
                FILE *log = std::fopen("LOG", "a"); std::fprintf(log, "%s ", what); std::fclose(log);
            }
            struct Static { Static() { note("constructed"); } ~Static() { note("destructed"); } };
            static Static object;
            __attribute__((constructor(200))) static void before(int count, char **words, char **) {
                note(count > 0 && words[0] && !words[count] ? "initialized" : "no-arguments");
            }
            __attribute__((destructor)) static void after() { note("finalized"); }
            extern "C" int run() { return std::atexit([] { note("exited"); }); }
            "#
            .replace("LOG", log.path().to_str().expect("a plain path")),
            &[],
        );
        let library = fixture.open();
        assert_eq!(
            fs::read_to_string(&log).expect("the log"),
            "initialized constructed "
        );
        assert_eq!(call(&library, "run"), 0);
        assert_eq!(unload(library), UnloadOutcome::Unmapped);
        let mut finished: Vec<_> = fs::read_to_string(&log)
            .expect("the log")
            .split(' ')
            .skip(2)
            .map(str::to_owned)
            .collect();
        finished.sort();
        assert_eq!(finished, ["", "destructed", "exited", "finalized"]);
    });
}

/// Without the C runtime's start files nothing in the library tells glibc that its exit handlers
/// go.
#[test]
fn exit_handler_without_start_files() {
    in_own_process("exits::exit_handler_without_start_files", || {
        let fixture = Fixture::c(
            r#"
            extern int __cxa_atexit(void (*)(void *), void *, void *);
            static int own;
            static void leave(void *x) { (void)x; own++; }
            int run(void) { return __cxa_atexit(leave, 0, &own); }
            "#,
            &["-nostartfiles"],
        );
        let library = fixture.open();
        assert_eq!(call(&library, "run"), 0);
        assert_eq!(unload(library), UnloadOutcome::Unmapped);
    });
}

/// glibc never forgets a function given to `on_exit`.
#[test]
fn exit_handler_that_cannot_be_taken_back() {
    in_own_process("exits::exit_handler_that_cannot_be_taken_back", || {
        let fixture = Fixture::c(
            r#"
            #define _DEFAULT_SOURCE
            #include <stdlib.h>
            static void leave(int status, void *x) { (void)status; (void)x; }
            int run(void) { return on_exit(leave, 0); }
            "#,
            &[],
        );
        let library = fixture.open();
        assert_eq!(call(&library, "run"), 0);
        assert_eq!(
            reasons_to_pin(library),
            [PinReason::ExitHandlers { count: 1 }]
        );
    });
}
