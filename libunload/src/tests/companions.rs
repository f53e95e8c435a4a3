//! Libraries that a library needs and that stay when it goes: they keep all that is theirs.

use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};

use super::fixture::{Fixture, call, in_own_process, is_mapped, reasons_to_pin, unload};
use crate::outcome::{PinReason, UnloadOutcome};

/// Keeps a key with a destructor, a timer and a signal handler for its own life, as GLib and
/// OpenSSL do; `touch` sets this thread's value, `use_again` fails once the key or the handler is
/// gone.
const HOLDS: &str = r#"
    #include <pthread.h>
    #include <signal.h>
    #include <time.h>
    static pthread_key_t key;
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static timer_t timer;
    static volatile int handled, destroyed;
    static void destroy(void *value) { (void)value; destroyed++; }
    static void handle(int signal) { (void)signal; handled++; }
    static void prepare(void) {
        struct sigaction action = { .sa_handler = handle };
        struct sigevent event = { .sigev_notify = SIGEV_NONE };
        pthread_key_create(&key, destroy);
        sigaction(SIGUSR1, &action, 0);
        timer_create(CLOCK_MONOTONIC, &event, &timer);
    }
    int touch(void) {
        pthread_once(&once, prepare);
        return pthread_setspecific(key, &key);
    }
    int use_again(void) {
        struct itimerspec now;
        int before = handled;
        if (touch() || pthread_getspecific(key) != &key || timer_gettime(timer, &now)) return 1;
        raise(SIGUSR1);
        return handled == before + 1 ? 0 : 2;
    }
    int destroyed_so_far(void) { return destroyed; }
"#;

/// Builds the library that stays, and one that needs it.
fn build(options: &[&str]) -> (Fixture, PathBuf, Fixture) {
    let companion = Fixture::c(HOLDS, &[&["-Wl,-soname,libstays.so"], options].concat());
    let path = companion.directory().join("libstays.so");
    fs::rename(&companion.path, &path).expect("a new name");
    let directory = companion.directory().to_str().expect("a plain path");
    let user = Fixture::c(
        "int use_again(void); int touch(void); int run(void) { return use_again(); }",
        &[
            &format!("-L{directory}"),
            &format!("-Wl,-rpath,{directory}"),
            "-lstays",
        ],
    );
    (companion, path, user)
}

/// A function of the library that stays, as somebody else finds it.
fn by_name(path: &Path, name: &str) -> extern "C" fn() -> i32 {
    let path = CString::new(path.to_str().expect("a plain path")).expect("a C string");
    let name = CString::new(name).expect("a C string");
    // SAFETY: the fixture's own source is harmless, and it has functions of this type.
    unsafe {
        let handle = libc::dlopen(path.as_ptr(), libc::RTLD_NOW);
        assert!(!handle.is_null());
        let symbol = libc::dlsym(handle, name.as_ptr());
        assert!(!symbol.is_null());
        std::mem::transmute(symbol)
    }
}

/// Loads and unloads the user several times; what the companion holds stays in force.
fn stays_in_order(path: &Path, user: &Fixture) {
    for _ in 0..3 {
        let library = user.open();
        assert_eq!(call(&library, "run"), 0);
        assert_eq!(unload(library), UnloadOutcome::Unmapped);
        assert!(is_mapped("libstays.so"));
    }
    let (use_again, destroyed) = (
        by_name(path, "use_again"),
        by_name(path, "destroyed_so_far"),
    );
    assert_eq!(use_again(), 0);
    let before = destroyed();
    let thread = std::thread::spawn(move || use_again());
    assert_eq!(thread.join().expect("it ends"), 0);
    assert_eq!(destroyed(), before + 1);
}

#[test]
fn a_library_that_is_never_unmapped_keeps_what_it_has() {
    let name = "companions::a_library_that_is_never_unmapped_keeps_what_it_has";
    in_own_process(name, || {
        let (_companion, path, user) = build(&["-Wl,-z,nodelete"]);
        stays_in_order(&path, &user);
    });
}

#[test]
fn a_library_that_somebody_else_opened_keeps_what_it_has() {
    let name = "companions::a_library_that_somebody_else_opened_keeps_what_it_has";
    in_own_process(name, || {
        let (_companion, path, user) = build(&[]);
        let library = user.open();
        by_name(&path, "touch");
        assert_eq!(unload(library), UnloadOutcome::Unmapped);
        stays_in_order(&path, &user);
    });
}

#[test]
fn a_library_that_another_needs_keeps_what_it_has() {
    let name = "companions::a_library_that_another_needs_keeps_what_it_has";
    in_own_process(name, || {
        let (companion, path, user) = build(&[]);
        let directory = companion.directory().to_str().expect("a plain path");
        let other = Fixture::c(
            "int touch(void); int other(void) { return touch(); }",
            &[
                &format!("-L{directory}"),
                &format!("-Wl,-rpath,{directory}"),
                "-lstays",
            ],
        );
        let library = user.open();
        by_name(&other.path, "other");
        assert_eq!(unload(library), UnloadOutcome::Unmapped);
        stays_in_order(&path, &user);
    });
}

/// C++ has one instance of some statics in the whole process (`STB_GNU_UNIQUE`).
#[test]
fn a_library_with_a_unique_symbol_in_use_keeps_what_it_has() {
    let name = "companions::a_library_with_a_unique_symbol_in_use_keeps_what_it_has";
    in_own_process(name, || {
        let unique = "template <class T> struct Once { static int value; };
            template <class T> int Once<T>::value = 1;
            extern \"C\" int *unique() { return &Once<int>::value; }";
        let source = HOLDS
            .replace(
                "= { .sa_handler = handle };",
                "= {}; action.sa_handler = handle;",
            )
            .replace(
                "= { .sigev_notify = SIGEV_NONE };",
                "= {}; event.sigev_notify = SIGEV_NONE;",
            )
            .replace(
                "static pthread_key_t",
                "extern \"C\" {\nstatic pthread_key_t",
            );
        let both = format!("{source} }}\n{unique}");
        let companion = Fixture::cpp(&both, &["-fgnu-unique", "-Wl,-soname,libstays.so"]);
        let stays = companion.directory().join("libstays.so");
        fs::rename(&companion.path, &stays).expect("a new name");
        let directory = companion.directory().to_str().expect("a plain path");
        let user = Fixture::c(
            "int use_again(void); int *unique(void); int run(void) { return use_again() + *unique() - 1; }",
            &[
                &format!("-L{directory}"),
                &format!("-Wl,-rpath,{directory}"),
                "-lstays",
            ],
        );
        stays_in_order(&stays, &user);
    });
}

/// A companion that calls back, and a library that leaves it a function.
fn build_calling_back() -> (Fixture, PathBuf, Fixture) {
    let companion = Fixture::c(
        "static int (*kept)(void); void keep(int (*function)(void)) { kept = function; } int use_again(void) { return kept(); }",
        &["-Wl,-soname,libstays.so"],
    );
    let path = companion.directory().join("libstays.so");
    fs::rename(&companion.path, &path).expect("a new name");
    let directory = companion.directory().to_str().expect("a plain path");
    let user = Fixture::c(
        "void keep(int (*)(void)); static int called(void) { return 0; } int run(void) { keep(called); return 0; }",
        &[
            &format!("-L{directory}"),
            &format!("-Wl,-rpath,{directory}"),
            "-lstays",
        ],
    );
    (companion, path, user)
}

/// Together they go; nobody is left to call.
#[test]
fn a_library_that_goes_too_may_keep_a_function() {
    let name = "companions::a_library_that_goes_too_may_keep_a_function";
    in_own_process(name, || {
        let (_companion, _, user) = build_calling_back();
        for _ in 0..3 {
            let library = user.open();
            assert_eq!(call(&library, "run"), 0);
            assert_eq!(unload(library), UnloadOutcome::Unmapped);
            assert!(!is_mapped("libstays.so"));
        }
    });
}

/// The same, but somebody else opened the companion, before or after the library needed it.
#[test]
fn a_library_that_somebody_else_opened_keeps_a_function() {
    let name = "companions::a_library_that_somebody_else_opened_keeps_a_function";
    in_own_process(name, || {
        let (_companion, path, user) = build_calling_back();
        for _ in 0..2 {
            let library = user.open();
            assert_eq!(call(&library, "run"), 0);
            let use_again = by_name(&path, "use_again");
            let reasons = reasons_to_pin(library);
            let [PinReason::AddressKept { holder }] = &reasons[..] else {
                panic!("{reasons:?}");
            };
            assert!(holder.starts_with("libstays.so"), "{holder}");
            assert_eq!(use_again(), 0);
        }
    });
}

/// Two libraries of this host need the companion; the first leaves it a function.
#[test]
fn a_library_that_two_need_keeps_a_function() {
    let name = "companions::a_library_that_two_need_keeps_a_function";
    in_own_process(name, || {
        let (companion, _, user) = build_calling_back();
        let directory = companion.directory().to_str().expect("a plain path");
        let other = Fixture::c(
            "int use_again(void); int run(void) { return use_again(); }",
            &[
                &format!("-L{directory}"),
                &format!("-Wl,-rpath,{directory}"),
                "-lstays",
            ],
        );
        let (library, second) = (user.open(), other.open());
        assert_eq!(call(&library, "run"), 0);
        assert!(matches!(
            &reasons_to_pin(library)[..],
            [PinReason::AddressKept { .. }]
        ));
        assert_eq!(call(&second, "run"), 0);
    });
}

/// The companion has a thread, which its finalizer stops; it needs a third that is to be there
/// until then.
#[test]
fn a_library_that_goes_too_stops_its_thread() {
    let name = "companions::a_library_that_goes_too_stops_its_thread";
    in_own_process(name, || {
        let third = Fixture::c(
            "static int is_over; int is_there(void) { return !is_over; }
            __attribute__((destructor)) static void end(void) { is_over = 1; }",
            &["-Wl,-soname,libneeded.so"],
        );
        fs::rename(&third.path, third.directory().join("libneeded.so")).expect("a new name");
        let needed = third.directory().to_str().expect("a plain path");
        let companion = Fixture::c(
            r#"
            #include <pthread.h>
            int is_there(void);
            static pthread_t thread;
            static volatile int stops, ends;
            static void *work(void *nothing) { while (!stops) ; return nothing; }
            int touch(void) { return pthread_create(&thread, 0, work, 0); }
            __attribute__((destructor)) static void end(void) {
                if (!is_there() || ends++) __builtin_trap();
                stops = 1;
                pthread_join(thread, 0);
            }
            "#,
            &[
                "-Wl,-soname,libstays.so",
                &format!("-L{needed}"),
                &format!("-Wl,-rpath,{needed}"),
                "-lneeded",
            ],
        );
        let path = companion.directory().join("libstays.so");
        fs::rename(&companion.path, &path).expect("a new name");
        let directory = companion.directory().to_str().expect("a plain path");
        let user = Fixture::c(
            "int touch(void); int is_there(void); int run(void) { return touch() + !is_there(); }",
            &[
                &format!("-L{directory}"),
                &format!("-L{needed}"),
                &format!("-Wl,-rpath,{needed}:{directory}"),
                "-lneeded",
                "-lstays",
            ],
        );
        for _ in 0..3 {
            let library = user.open();
            assert_eq!(call(&library, "run"), 0);
            assert_eq!(unload(library), UnloadOutcome::Unmapped);
            assert!(!is_mapped("libstays.so") && !is_mapped("libneeded.so"));
        }
    });
}

/// The same, where its initializer has started the thread, before the host watched it.
#[test]
fn a_library_that_goes_too_stops_a_thread_that_nobody_saw() {
    let name = "companions::a_library_that_goes_too_stops_a_thread_that_nobody_saw";
    in_own_process(name, || {
        let companion = Fixture::c(
            r#"
            #include <pthread.h>
            static pthread_t thread;
            static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
            static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
            static int stops;
            static void *work(void *nothing) {
                pthread_mutex_lock(&lock);
                while (!stops) pthread_cond_wait(&wake, &lock);
                pthread_mutex_unlock(&lock);
                return nothing;
            }
            int touch(void) { return 0; }
            __attribute__((constructor)) static void begin(void) { pthread_create(&thread, 0, work, 0); }
            __attribute__((destructor)) static void end(void) {
                pthread_mutex_lock(&lock);
                stops = 1;
                pthread_cond_signal(&wake);
                pthread_mutex_unlock(&lock);
                pthread_join(thread, 0);
            }
            "#,
            &["-Wl,-soname,libstays.so"],
        );
        let path = companion.directory().join("libstays.so");
        fs::rename(&companion.path, &path).expect("a new name");
        let directory = companion.directory().to_str().expect("a plain path");
        let user = Fixture::c(
            "int touch(void); int run(void) { return touch(); }",
            &[
                &format!("-L{directory}"),
                &format!("-Wl,-rpath,{directory}"),
                "-lstays",
            ],
        );
        for _ in 0..3 {
            let library = user.open();
            assert_eq!(call(&library, "run"), 0);
            assert_eq!(unload(library), UnloadOutcome::Unmapped);
            assert!(!is_mapped("libstays.so"));
        }
    });
}
