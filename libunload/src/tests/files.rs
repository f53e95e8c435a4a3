//! The file on disk, the private copy, and the flags in it.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;

use super::fixture::{Fixture, call, in_own_process, is_mapped, reasons_to_pin, unload};
use crate::elf::Image;
use crate::error::{FormatProblem, OpenError};
use crate::file::LibraryFile;
use crate::library::Library;
use crate::outcome::{PinReason, UnloadOutcome};
use crate::stage::{Copies, NoDelete};

/// What opening this file fails with.
fn failure(path: &Path) -> OpenError {
    // SAFETY: the test's own file.
    let opened = unsafe { Library::open(path, &Copies::new()) };
    let Err(error) = opened else {
        panic!("{} was opened", path.display())
    };
    assert!(
        error.to_string().contains(&*path.to_string_lossy()),
        "{error}"
    );
    error
}

/// What is wrong with the file.
fn problem(path: &Path) -> FormatProblem {
    match failure(path) {
        OpenError::Format { problem, .. } => problem,
        error => panic!("{error}"),
    }
}

fn file_with(contents: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(&file, contents).expect("the file can be written");
    file
}

#[test]
fn missing_file() {
    let error = failure(Path::new("/nonexistent/liblpm.so"));
    let OpenError::Unreadable { source, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(source.kind(), io::ErrorKind::NotFound);
}

#[test]
fn directory() {
    assert!(matches!(
        failure(Path::new("/usr/lib")),
        OpenError::NotAFile {
            found: "a directory",
            ..
        }
    ));
}

#[test]
fn device() {
    assert!(matches!(
        failure(Path::new("/dev/zero")),
        OpenError::NotAFile { .. }
    ));
}

#[test]
fn empty_file() {
    assert_eq!(problem(file_with(b"").path()), FormatProblem::Empty);
}

#[test]
fn text_file() {
    let found = b"hell".to_vec();
    assert_eq!(
        problem(file_with(b"hello, world").path()),
        FormatProblem::Magic { found }
    );
}

#[test]
fn program() {
    let path = std::env::current_exe().expect("the test's program");
    assert_eq!(problem(&path), FormatProblem::Kind { found: "a program" });
}

#[test]
fn object_file() {
    let fixture = Fixture::build("cc", "fixture.c", "int run(void) { return 7; }", &["-c"]);
    assert!(matches!(problem(&fixture.path), FormatProblem::Kind { .. }));
}

#[test]
fn other_machine() {
    let fixture = Fixture::c("int run(void) { return 7; }", &[]);
    let mut contents = fs::read(&fixture.path).expect("the library");
    // e_machine: IBM S/390.
    contents[18] = 22;
    let problem = problem(file_with(&contents).path());
    let FormatProblem::Machine { found, .. } = &problem else {
        panic!("{problem}")
    };
    assert_eq!(found, "ELF machine 22, 64 bits, little-endian");
}

/// Wherever the file ends too early, that is found before anything of it runs.
#[test]
fn truncated_file() {
    let fixture = Fixture::c(
        "char data[50000] = {1}; int run(void) { return data[7]; }",
        &[],
    );
    let contents = fs::read(&fixture.path).expect("the library");
    // The section headers, at the end, are not mapped, but they are read.
    for length in (1..contents.len()).step_by(997) {
        let file = file_with(&contents[..length]);
        assert!(
            matches!(failure(file.path()), OpenError::Format { .. }),
            "{length}"
        );
    }
}

/// Whatever is in a file, looking at it ends well, and whatever is changed in the copy lies in it.
#[test]
fn damaged_headers() {
    let fixture = Fixture::c("int run(void) { return 7; }", &[]);
    let contents = fs::read(&fixture.path).expect("the library");
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8);
    let near_headers = 0..0x400_usize;
    let length = contents.len();
    proptest!(|(damage in damage, places in prop::collection::vec(near_headers, 8), cut in 0..=length)| {
        let mut damaged = contents.clone();
        for ((index, value), place) in damage.iter().zip(places) {
            damaged[index.index(length)] = *value;
            damaged[place] = *value;
        }
        damaged.truncate(cut);
        let file = file_with(&damaged);
        if let Ok(mut image) = Image::read(file.as_file()) {
            image.clear_no_delete(file.as_file()).expect("the file can be written");
            image.take_routines(file.as_file()).expect("the file can be written");
            prop_assert_eq!(fs::metadata(&file).expect("the file").len(), damaged.len() as u64);
        }
    });
}

#[test]
fn foreign_libc() {
    let fixture = Fixture::c("int run(void) { return 7; }", &["-nostdlib"]);
    let musl = Fixture::build(
        "cc",
        "musl.c",
        "int puts(const char *text) { return !text; }",
        &[
            "-shared",
            "-fPIC",
            "-nostdlib",
            "-Wl,-soname,libc.musl-x86_64.so.1",
        ],
    );
    let user = Fixture::c(
        "int puts(const char *); int run(void) { return puts(\"\"); }",
        &["-nostdlib", musl.path.to_str().expect("a plain path")],
    );
    assert!(matches!(
        problem(&user.path),
        FormatProblem::ForeignLibc { .. }
    ));
    assert_eq!(unload(fixture.open()), UnloadOutcome::Unmapped);
}

#[test]
fn missing_dependency() {
    let needed = Fixture::c("int seven(void) { return 7; }", &["-Wl,-soname,libgone.so"]);
    let fixture = Fixture::c(
        "int seven(void); int run(void) { return seven(); }",
        &[needed.path.to_str().expect("a plain path")],
    );
    let error = failure(&fixture.path);
    let OpenError::Loader { message, .. } = &error else {
        panic!("{error}")
    };
    assert!(message.contains("libgone.so"), "{message}");
}

/// A library may bring libraries of its own, from a fixed place or from beside it, which go with
/// it.
fn brings_a_library(search_path: &str) {
    let needed = Fixture::c(
        r#"
        #include <pthread.h>
        static pthread_key_t key;
        static void destroy(void *value) { (void)value; }
        int seven(void) { pthread_key_create(&key, destroy); pthread_setspecific(key, &key); return 7; }
        "#,
        &["-Wl,-soname,libprivate.so"],
    );
    fs::rename(&needed.path, needed.directory().join("libprivate.so")).expect("a new name");
    let directory = needed.directory().to_str().expect("a plain path");
    let search_path = search_path.replace("DIRECTORY", directory);
    let options = [
        format!("-L{directory}"),
        format!("-Wl,-rpath,{search_path}"),
    ];
    let source = "int seven(void); int run(void) { return seven(); }";
    let fixture = Fixture::c(source, &[&options[0], &options[1], "-lprivate"]);
    if search_path.contains("ORIGIN") {
        let beside = fixture.directory().join("libprivate.so");
        fs::copy(needed.directory().join("libprivate.so"), beside).expect("a copy");
    }
    let (first, second) = (fixture.open(), fixture.open());
    assert_eq!(call(&first, "run") + call(&second, "run"), 14);
    assert_eq!(unload(first), UnloadOutcome::Unmapped);
    assert!(is_mapped("libprivate.so"));
    assert_eq!(call(&second, "run"), 7);
    assert_eq!(unload(second), UnloadOutcome::Unmapped);
    assert!(!is_mapped("libprivate.so"));
}

#[test]
fn private_dependency() {
    in_own_process("files::private_dependency", || {
        brings_a_library("DIRECTORY");
    });
}

#[test]
fn private_dependency_beside_the_library() {
    in_own_process("files::private_dependency_beside_the_library", || {
        brings_a_library("$ORIGIN");
    });
}

#[test]
fn original_changed_while_loaded() {
    in_own_process("files::original_changed_while_loaded", || {
        let fixture = Fixture::c("int run(void) { return 7; }", &[]);
        let newer = Fixture::c("int run(void) { return 8; }", &[]);
        let library = fixture.open();
        fs::copy(&newer.path, &fixture.path).expect("the file can be overwritten in place");
        assert_eq!(call(&library, "run"), 7);
        let reloaded = fixture.open();
        assert_eq!((call(&library, "run"), call(&reloaded, "run")), (7, 8));
        fs::write(&fixture.path, "").expect("the file can be cut off");
        assert_eq!((call(&library, "run"), call(&reloaded, "run")), (7, 8));
        fs::remove_file(&fixture.path).expect("the file can be removed");
        assert_eq!(unload(library), UnloadOutcome::Unmapped);
        assert_eq!(unload(reloaded), UnloadOutcome::Unmapped);
    });
}

/// Two libraries of one file have nothing in common.
#[test]
fn opened_twice() {
    let fixture = Fixture::c("static int n; int run(void) { return ++n; }", &[]);
    let (first, second) = (fixture.open(), fixture.open());
    assert_eq!(
        (
            call(&first, "run"),
            call(&first, "run"),
            call(&second, "run")
        ),
        (1, 2, 1)
    );
    assert_eq!(unload(first), UnloadOutcome::Unmapped);
    assert_eq!(call(&second, "run"), 2);
    assert_eq!(unload(second), UnloadOutcome::Unmapped);
}

#[test]
fn no_delete_flag_kept() {
    in_own_process("files::no_delete_flag_kept", || {
        let fixture = Fixture::c("int run(void) { return 7; }", &["-Wl,-z,nodelete"]);
        let library = fixture.open_with(&Copies::new().no_delete(NoDelete::Keep));
        assert!(library.facts().no_delete);
        assert_eq!(library.facts().hazards().len(), 1);
        assert_eq!(reasons_to_pin(library), [PinReason::NoDelete]);
    });
}

#[test]
fn no_delete_flag_cleared() {
    let fixture = Fixture::c("int run(void) { return 7; }", &["-Wl,-z,nodelete"]);
    let library = fixture.open();
    assert_eq!(call(&library, "run"), 7);
    assert!(library.facts().no_delete_cleared);
    assert_eq!(unload(library), UnloadOutcome::Unmapped);
}

#[test]
fn no_delete_flag_refused() {
    let fixture = Fixture::c("int run(void) { return 7; }", &["-Wl,-z,nodelete"]);
    // SAFETY: the test's own file.
    let opened =
        unsafe { Library::open(&fixture.path, &Copies::new().no_delete(NoDelete::Refuse)) };
    assert!(matches!(opened.err(), Some(OpenError::NoDelete { .. })));
}

#[test]
fn unique_symbols() {
    in_own_process("files::unique_symbols", || {
        let fixture = Fixture::cpp(
            r#"
            template <class T> struct Holder { static int &value() { static int n = 1; return n; } };
            extern "C" int run() { return Holder<int>::value(); }
            "#,
            &[],
        );
        let library = fixture.open();
        assert_eq!(call(&library, "run"), 1);
        let count = library.facts().unique_symbols;
        assert_ne!(count, 0);
        assert_eq!(
            reasons_to_pin(library),
            [PinReason::UniqueSymbols { count }]
        );
    });
}

#[test]
fn static_tls_is_seen() {
    let fixture = Fixture::c(
        "static __thread int n; int run(void) { return ++n; }",
        &["-ftls-model=initial-exec"],
    );
    let library = fixture.open();
    assert!(library.facts().static_tls);
    assert_eq!(unload(library), UnloadOutcome::Unmapped);
}

/// Not every linker sets the flag.
#[test]
fn static_tls_is_seen_by_its_relocations() {
    let fixture = Fixture::c(
        "extern __thread int n; __thread int n = 1; int run(void) { return ++n; }",
        &["-ftls-model=initial-exec"],
    );
    let mut bytes = fs::read(&fixture.path).expect("the library");
    // `DT_FLAGS` and `DF_STATIC_TLS` in the dynamic section.
    let flags = [30_u64.to_le_bytes(), 0x10_u64.to_le_bytes()].concat();
    let place = bytes.windows(16).position(|window| window == flags);
    let place = place.expect("the linker sets the flag");
    bytes[place + 8] = 0;
    fs::write(&fixture.path, bytes).expect("written");
    assert!(fixture.open().facts().static_tls);
}

#[test]
fn executable_stack_is_seen() {
    let source = "int run(void) { return 7; }";
    for (option, expected) in [("-Wl,-z,execstack", true), ("-Wl,-z,noexecstack", false)] {
        let fixture = Fixture::c(source, &[option]);
        let file = crate::LibraryFile::read(&fixture.path).expect("a library");
        let seen = file.hazards().contains(&crate::Hazard::ExecutableStack);
        assert_eq!(seen, expected, "{option}");
    }
}

#[test]
fn what_it_needs_is_looked_at() {
    let hazards = |fixture: Fixture| {
        let file = crate::LibraryFile::read(&fixture.path).expect("a library");
        file.hazards()
    };
    let openssl = "extern int RAND_status(void); int run(void) { return RAND_status(); }";
    let stays = crate::Hazard::NeededStay { count: 1 };
    assert_eq!(
        hazards(Fixture::c(openssl, &["-l:libcrypto.so.3"])),
        [stays]
    );
    let source = r#"#[unsafe(no_mangle)] pub extern "C" fn run() { std::thread::yield_now() }"#;
    let options = ["--edition=2024", "--crate-type=cdylib", "-Cprefer-dynamic"];
    let shared = Fixture::build("rustc", "fixture.rs", source, &options);
    assert_eq!(hazards(shared), [crate::Hazard::SharedStandardLibrary]);
    assert_eq!(hazards(Fixture::c("int run(void) { return 7; }", &[])), []);
}

/// Takes /proc away from the thread that asks, which gets a view of the file systems of its own;
/// whether that could be done.
fn without_proc() -> bool {
    // SAFETY: this thread alone gets a view of the file systems of its own.
    if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
        eprintln!("skipped: only root may have a view of the file systems of its own");
        return false;
    }
    let (nothing, flags) = (std::ptr::null(), libc::MS_REC | libc::MS_PRIVATE);
    // SAFETY: the paths are C strings; what changes is this thread's view.
    let hidden = unsafe {
        libc::mount(
            c"none".as_ptr(),
            c"/".as_ptr(),
            nothing,
            flags,
            nothing.cast(),
        );
        libc::umount2(c"/proc".as_ptr(), libc::MNT_DETACH)
    };
    let is_hidden = hidden == 0 && !fs::exists("/proc/self").expect("an answer");
    if !is_hidden {
        eprintln!("skipped: /proc cannot be taken away");
    }
    is_hidden
}

/// Where /proc is missing, the copy is on disk, libraries do all that they do elsewhere, and nobody
/// can tell that unmapping is safe: they stay in working order.
#[test]
fn without_proc_libraries_are_loaded() {
    in_own_process("files::without_proc_libraries_are_loaded", || {
        let source = r#"
            #include <pthread.h>
            #include <signal.h>
            #include <stdlib.h>
            #include <sys/mman.h>
            #include <time.h>
            static pthread_key_t key;
            static int handled, exits, value;
            static void destroy(void *value) { *(int *)value = 0; }
            static void handle(int signal) { handled++; }
            static void end(void) { exits++; }
            static void come(union sigval value) {}
            static void *work(void *argument) { return argument; }
            int run(void) {
                pthread_t thread;
                if (pthread_create(&thread, 0, work, 0) || pthread_join(thread, 0)) return 1;
                if (pthread_key_create(&key, destroy) || pthread_setspecific(key, &value)) return 2;
                if (signal(SIGUSR1, handle) == SIG_ERR || raise(SIGUSR1) || handled != 1) return 3;
                struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = come};
                timer_t timer;
                if (timer_create(CLOCK_MONOTONIC, &event, &timer) || atexit(end)) return 4;
                void *memory = mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                return memory == MAP_FAILED || munmap(memory, 4096) ? 5 : 7;
            }
            int again(void) { return raise(SIGUSR1) || handled != 2 ? 1 : 7; }
        "#;
        let c = Fixture::c(source, &["-D_GNU_SOURCE", "-w"]);
        let rust = Fixture::rust(
            r#"
            thread_local! { static TEXT: std::cell::RefCell<String> = const { std::cell::RefCell::new(String::new()) }; }
            #[unsafe(no_mangle)] pub extern "C" fn run() -> i32 {
                TEXT.with_borrow_mut(|text| text.push('x'));
                std::thread::spawn(|| TEXT.with_borrow_mut(|text| text.push('y'))).join().unwrap();
                std::thread::current().id();
                7
            }
            "#,
        );
        let staging = tempfile::TempDir::new().expect("a directory");
        if !without_proc() {
            return;
        }
        for copies in [Copies::new(), Copies::in_directory(staging.path())] {
            for fixture in [&rust, &c] {
                let library = fixture.open_with(&copies);
                assert_eq!(call(&library, "run"), 7);
                let again = library.symbol(c"again");
                let reasons = reasons_to_pin(library);
                let cannot_tell =
                    |reason: &PinReason| matches!(reason, PinReason::CannotVerify { .. });
                assert!(reasons.iter().all(cannot_tell), "{reasons:?}");
                if let Some(again) = again {
                    type Again = extern "C" fn() -> i32;
                    let again = again.as_ptr();
                    // SAFETY: it has this type, and its library stays.
                    let again =
                        unsafe { std::mem::transmute::<*mut std::ffi::c_void, Again>(again) };
                    assert_eq!(again(), 7);
                }
            }
        }
        assert_eq!(fs::read_dir(&staging).expect("it is there").count(), 0);
    });
}

#[test]
fn panic_abort_is_seen() {
    let source = r#"#[unsafe(no_mangle)] pub extern "C" fn run() -> i32 { 7 }"#;
    let options = ["--edition=2024", "--crate-type=cdylib", "-Cpanic=abort"];
    let aborting = Fixture::build("rustc", "fixture.rs", source, &options).open();
    assert!(aborting.facts().panic_aborts);
    let unwinding = Fixture::rust(source).open();
    assert!(!unwinding.facts().panic_aborts);
    assert_eq!(unload(aborting), UnloadOutcome::Unmapped);
    assert_eq!(unload(unwinding), UnloadOutcome::Unmapped);
}

/// Somebody else holds the library: it must not vanish when that one lets go.
#[test]
fn opened_by_somebody_else_too() {
    in_own_process("files::opened_by_somebody_else_too", || {
        let fixture = Fixture::c("int run(void) { return 7; }", &[]);
        let library = fixture.open();
        let run = super::fixture::function(&library, "run");
        let mut information = std::mem::MaybeUninit::<libc::Dl_info>::uninit();
        // SAFETY: the function is mapped, and the answer is written to `information`.
        let found = unsafe { libc::dladdr(run as *const _, information.as_mut_ptr()) };
        assert_ne!(found, 0);
        // SAFETY: it was written.
        let path = unsafe { information.assume_init() }.dli_fname;
        // SAFETY: the loader's own name of the library.
        let other = unsafe { libc::dlopen(path, libc::RTLD_NOLOAD | libc::RTLD_LAZY) };
        assert!(!other.is_null());
        assert_eq!(reasons_to_pin(library), [PinReason::StillLoaded]);
        // SAFETY: opened above.
        unsafe { libc::dlclose(other) };
        assert_eq!(run(), 7);
    });
}

/// Nothing is left in the directory while the library is loaded, nor afterwards.
#[test]
fn staging_leaves_nothing_behind() {
    let fixture = Fixture::c("int run(void) { return 7; }", &[]);
    let staging = fixture.directory().join("not/there/yet");
    let library = fixture.open_with(&Copies::in_directory(&staging));
    assert_eq!(fs::read_dir(&staging).expect("it was created").count(), 0);
    assert_eq!(call(&library, "run"), 7);
    assert_eq!(unload(library), UnloadOutcome::Unmapped);
    assert_eq!(fs::read_dir(&staging).expect("it was created").count(), 0);
}

/// Without a directory, the copy is in memory, under a name that is free again afterwards.
#[test]
fn copy_in_memory() {
    in_own_process("files::copy_in_memory", || {
        let fixture = Fixture::c("int run(void) { return 7; }", &[]);
        let newer = Fixture::c("int run(void) { return 8; }", &[]);
        for _ in 0..3 {
            let (library, second) = (fixture.open(), newer.open());
            assert_eq!((call(&library, "run"), call(&second, "run")), (7, 8));
            assert!(is_mapped("/memfd:libfixture.so"));
            assert_eq!(unload(library), UnloadOutcome::Unmapped);
            let third = newer.open();
            assert_eq!(call(&third, "run"), 8);
            assert_eq!(unload(second), UnloadOutcome::Unmapped);
            assert_eq!(unload(third), UnloadOutcome::Unmapped);
            assert!(!is_mapped("/memfd:libfixture.so"));
        }
    });
}

/// What a crashed host left is removed; what a living one has is not.
#[test]
fn staging_removes_what_crashed_hosts_left() {
    let fixture = Fixture::c("int run(void) { return 7; }", &[]);
    let staging = fixture.directory().join("staging");
    let (abandoned, used) = (
        staging.join("libunload.1.abc"),
        staging.join("libunload.1.def"),
    );
    for directory in [&abandoned, &used] {
        fs::create_dir_all(directory).expect("a directory");
        fs::write(directory.join("libfixture.so"), "left").expect("a file");
    }
    let lock = fs::File::open(&used).expect("the directory");
    assert!(crate::os::lock_exclusively(&lock).expect("the lock"));
    let library = fixture.open_with(&Copies::in_directory(&staging));
    assert!(!abandoned.exists());
    assert!(used.exists());
    assert_eq!(unload(library), UnloadOutcome::Unmapped);
}

/// Something is in the way of the directory, which stops even the superuser.
#[test]
fn staging_directory_cannot_be_made() {
    in_own_process("files::staging_directory_cannot_be_made", || {
        let fixture = Fixture::c("int run(void) { return 7; }", &[]);
        let library = fixture.open_with(&Copies::in_directory(fixture.path.join("below")));
        assert!(is_mapped("/memfd:libfixture.so"));
        assert_eq!(unload(library), UnloadOutcome::Unmapped);
    });
}

/// On file systems that are full, read-only or `noexec`, the copy is kept in memory as well.
#[test]
fn staging_on_unusable_file_systems() {
    const ROLE: &str = "LPM_HOST_TEST_UNUSABLE";
    if let Some(directory) = std::env::var_os(ROLE) {
        let fixture = Fixture::c("int run(void) { return 7; }", &[]);
        let library = fixture.open_with(&Copies::in_directory(directory));
        assert!(is_mapped("/memfd:libfixture.so"));
        assert_eq!(unload(library), UnloadOutcome::Unmapped);
        return;
    }
    let directory = tempfile::TempDir::new().expect("a directory");
    for options in ["ro", "noexec", "size=4k"] {
        // A name space of its own, so that the mount ends with the process.
        let script =
            format!("mount -t tmpfs -o {options} none \"$1\" || exit 77; shift; exec \"$@\"",);
        let status = Command::new("unshare")
            .args([
                "--user",
                "--map-root-user",
                "--mount",
                "sh",
                "-c",
                &script,
                "sh",
            ])
            .arg(directory.path())
            .arg(std::env::current_exe().expect("the test's program"))
            .args([
                "library::tests::files::staging_on_unusable_file_systems",
                "--exact",
            ])
            .env(ROLE, directory.path())
            .output()
            .expect("util-linux is there");
        assert!(
            status.status.success(),
            "{options}: {}\n{}\n{}",
            status.status,
            String::from_utf8_lossy(&status.stdout),
            String::from_utf8_lossy(&status.stderr)
        );
    }
}

/// The copy of a library that was unloaded serves again, but not once the file has other contents,
/// also if nothing else about it is different.
#[test]
fn copy_kept_for_the_next_time() {
    in_own_process("files::copy_kept_for_the_next_time", || {
        let source = |answer: i32| format!("int run(void) {{ return {answer}; }}");
        let fixture = Fixture::c(&source(7), &[]);
        let other = Fixture::c(&source(8), &[]);
        let staging = Copies::new();
        let copy = |library: &Library| library.loaded_from().expect("a copy in memory");
        let before = fs::metadata(&fixture.path).expect("the library");

        let library = fixture.open_with(&staging);
        let (first, twin) = (copy(&library), fixture.open_with(&staging));
        assert_ne!(copy(&twin), first, "it is in use");
        assert_eq!(unload(twin), UnloadOutcome::Unmapped);
        assert_eq!(unload(library), UnloadOutcome::Unmapped);

        // Also for whoever makes copies in the same way, and for nobody else.
        for (copies, is_first) in [
            (staging.clone(), true),
            (Copies::new(), true),
            (Copies::new().no_delete(NoDelete::Keep), false),
        ] {
            let library = fixture.open_with(&copies);
            assert_eq!(copy(&library) == first, is_first);
            assert_eq!(call(&library, "run"), 7);
            assert_eq!(unload(library), UnloadOutcome::Unmapped);
        }

        fs::copy(&other.path, &fixture.path).expect("overwritten");
        let file = fs::File::options().write(true).open(&fixture.path);
        let times = before.modified().expect("the time");
        file.expect("the library")
            .set_modified(times)
            .expect("set back");
        let library = fixture.open_with(&staging);
        assert_eq!(call(&library, "run"), 8);
        assert_ne!(copy(&library), first);
        assert_eq!(unload(library), UnloadOutcome::Unmapped);
    });
}

/// Debugging information is not copied, and the copy does not claim to have it.
#[test]
fn copy_without_debugging_information() {
    in_own_process("files::copy_without_debugging_information", || {
        let fixture = Fixture::c("int run(void) { return 7; }", &["-g3"]);
        let library = fixture.open();
        let file = format!(
            "/proc/self/fd/{}",
            library.loaded_from().expect("a copy in memory").1
        );
        let sections = |file: &std::path::Path| {
            let output = std::process::Command::new("readelf")
                .args(["--sections", "--wide"])
                .arg(file)
                .output()
                .expect("binutils is there, as the linker is");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let copy = tempfile::NamedTempFile::new().expect("a file");
        fs::copy(&file, copy.path()).expect("a copy of the copy");
        let kinds = |text: &str| {
            let debugging = text.lines().filter(|line| line.contains(".debug_info"));
            debugging
                .map(|line| line.contains("NOBITS"))
                .collect::<Vec<_>>()
        };
        assert_eq!(kinds(&sections(&fixture.path)), [false]);
        assert_eq!(kinds(&sections(copy.path())), [true]);
        assert_eq!(call(&library, "run"), 7);
        assert_eq!(unload(library), UnloadOutcome::Unmapped);
    });
}

/// A library of 64 bits without code, in which a few bytes may say a lot.
#[cfg(target_endian = "little")]
#[derive(Default)]
struct Forged {
    /// How often the one name is that of a library that it needs, and of a symbol.
    needed: usize,
    symbols: usize,
    /// The length of that name, and how much longer the table of names claims to be.
    name: usize,
    claimed: u64,
    comment: Vec<u8>,
    /// How many sections there are besides.
    sections: usize,
    segments: u16,
}

#[cfg(target_endian = "little")]
impl Forged {
    fn file(&self) -> tempfile::NamedTempFile {
        let mut bytes = vec![0; 64];
        let mut put = |part: &[u8]| {
            let start = bytes.len() as u64;
            bytes.extend_from_slice(part);
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            (start, part.len() as u64)
        };
        let words = |words: &[u64]| -> Vec<u8> {
            words.iter().flat_map(|word| word.to_le_bytes()).collect()
        };
        let names = put(&[&[0], "n".repeat(self.name).as_bytes(), &[0]].concat());
        let symbol = words(&[1 | 1 << 32 | 1 << 48, 0, 0]);
        let symbols = put(&[words(&[0; 3]), symbol.repeat(self.symbols)].concat());
        let needed = words(&[1, 1]).repeat(self.needed);
        let dynamic = put(&[needed, words(&[0, 0])].concat());
        let comment = put(&self.comment);
        let section_names = put(b"\0.comment\0");
        let kind = |kind: u64, flags: u64, (start, size): (u64, u64)| {
            words(&[7 | kind << 32, flags, 0, start, size, 0, 1, 8])
        };
        let segment = |(start, size)| words(&[2 | 6 << 32, start, start, start, size, size, 8]);
        let program = put(&segment(dynamic).repeat(self.segments.max(1).into()));
        let section = |name: u64, kind: u64, (start, size): (u64, u64), link: u64, entry: u64| {
            words(&[name | kind << 32, 0, 0, start, size, link, 1, entry])
        };
        let mut headers = [
            section(0, 0, (0, 0), 0, 0),
            section(0, 11, symbols, 2, 24),
            section(0, 3, (names.0, names.1 + self.claimed), 0, 0),
            section(1, 1, comment, 0, 0),
            section(0, 3, section_names, 0, 0),
        ]
        .concat();
        headers.extend(kind(1, 0, comment).repeat(self.sections));
        let sections = put(&headers);
        let machine: u16 = if cfg!(target_arch = "x86_64") {
            62
        } else {
            183
        };
        let header = [
            &b"\x7fELF\x02\x01\x01"[..],
            &[0; 9],
            &[3, 0],
            &machine.to_le_bytes(),
            &[1, 0, 0, 0],
            &words(&[0, program.0, sections.0]),
            &[0; 4],
            &[64, 0, 56, 0],
            &self.segments.max(1).to_le_bytes(),
            &[64, 0],
            &u16::try_from(5 + self.sections).unwrap().to_le_bytes(),
            &[4, 0],
        ]
        .concat();
        bytes[..64].copy_from_slice(&header);
        let file = file_with(&bytes);
        let length = bytes.len() as u64 + self.claimed;
        file.as_file().set_len(length).expect("a hole at the end");
        file
    }

    /// What is too much of it.
    fn too_much(&self) -> &'static str {
        let file = self.file();
        match LibraryFile::read(file.path()) {
            Err(OpenError::Format {
                problem: FormatProblem::TooMuch { what, .. },
                ..
            }) => what,
            other => panic!("{other:?}"),
        }
    }
}

/// What a file says takes no more time and memory than its bytes are worth.
#[test]
#[cfg(target_endian = "little")]
fn files_that_say_a_lot() {
    let usual = Forged {
        needed: 3,
        symbols: 3,
        name: 5,
        comment: b"GCC\0rustc version 1.85.0\0GCC\0\0 ld \0".to_vec(),
        ..Forged::default()
    };
    let file = LibraryFile::read(usual.file().path()).expect("a library");
    assert_eq!(file.needed(), ["nnnnn"; 3]);
    assert_eq!(file.exports("nnnnn"), Some(true));
    assert_eq!(file.makers(), ["GCC", "rustc version 1.85.0", "ld"]);

    let forged = Forged::default;
    let one_name = Forged {
        needed: 20_000,
        name: 1 << 20,
        ..forged()
    };
    assert_eq!(
        one_name.too_much(),
        "bytes of names of libraries and folders"
    );
    let many = Forged {
        needed: 5_000,
        name: 1,
        ..forged()
    };
    assert_eq!(many.too_much(), "libraries that it needs");
    let one_symbol = Forged {
        symbols: 1_000,
        name: 1 << 20,
        ..forged()
    };
    assert_eq!(one_symbol.too_much(), "bytes of names of symbols");
    // A hole takes no room on the disk.
    let a_hole = Forged {
        symbols: 1,
        name: 1,
        claimed: 1 << 40,
        ..forged()
    };
    assert_eq!(a_hole.too_much(), "bytes to read");
    assert_eq!(
        Forged {
            segments: 2_000,
            ..forged()
        }
        .too_much(),
        "segments"
    );

    let makers: Vec<_> = (0..200_000)
        .map(|number| format!("maker {number}\0"))
        .collect();
    let many = Forged {
        comment: makers.concat().into_bytes(),
        ..forged()
    };
    let file = LibraryFile::read(many.file().path()).expect("a library");
    assert_eq!(file.makers().len(), 64);
    let long = Forged {
        comment: vec![b'x'; 1 << 20],
        ..forged()
    };
    let file = LibraryFile::read(long.file().path()).expect("a library");
    assert_eq!(file.makers(), ["x".repeat(256)]);
    // Each name begins in a long text that does not end.
    let sections = Forged {
        sections: 60_000,
        comment: vec![b'y'; 1 << 20],
        ..forged()
    };
    LibraryFile::read(sections.file().path()).expect("a library");
}
