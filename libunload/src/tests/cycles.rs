//! Loading and unloading over and over: what it costs and what it leaks.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::fixture::{Fixture, call, function, in_own_process, unload};
use crate::library::Library;
use crate::outcome::UnloadOutcome;

/// A library that leaves a destructor and a key with each thread.
const TOUCHING: &str = r#"
    use std::cell::Cell;
    struct Noisy(Cell<u32>);
    impl Drop for Noisy { fn drop(&mut self) { std::hint::black_box(self.0.get()); } }
    thread_local! { static LOCAL: Noisy = const { Noisy(Cell::new(0)) }; }
    #[unsafe(no_mangle)] pub extern "C" fn run() -> i32 {
        LOCAL.with(|local| local.0.set(local.0.get() + 1));
        std::thread::current().name().map_or(0, |name| name.len() as i32)
    }
"#;

/// Bytes of memory that the process occupies.
fn resident() -> u64 {
    let sizes = fs::read_to_string("/proc/self/statm").expect("the sizes");
    let pages = sizes
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    pages.expect("the resident size") * 4096
}

/// Calls from the unloading thread do not cost memory, however often the library comes and goes.
#[test]
fn memory_does_not_grow() {
    in_own_process("cycles::memory_does_not_grow", || {
        const CYCLES: u64 = 3_000;
        const WARM_UP: u64 = 500;
        let fixture = Fixture::rust(TOUCHING);
        let mut before = 0;
        for cycle in 0..CYCLES {
            if cycle == WARM_UP {
                before = resident();
            }
            let library = fixture.open();
            call(&library, "run");
            assert_eq!(unload(library), UnloadOutcome::Unmapped);
        }
        let grown = resident().saturating_sub(before) / (CYCLES - WARM_UP);
        eprintln!("measured: {grown} bytes a cycle over {CYCLES} cycles");
        assert!(grown <= 64, "{grown} bytes a cycle");
    });
}

/// What threads that go on have in thread-locals is leaked, and nothing else.
#[test]
fn memory_grows_by_what_threads_keep() {
    in_own_process("cycles::memory_grows_by_what_threads_keep", || {
        const CYCLES: u64 = 4_000;
        const WARM_UP: u64 = 1_000;
        let fixture = Fixture::rust(TOUCHING);
        let callers: Vec<_> = (0..3).map(|_| Caller::start()).collect();
        let mut before = 0;
        for cycle in 0..CYCLES {
            if cycle == WARM_UP {
                before = resident();
            }
            let library = fixture.open();
            for caller in &callers {
                caller.call(function(&library, "run"));
            }
            assert_eq!(unload(library), UnloadOutcome::Unmapped);
        }
        let grown = resident().saturating_sub(before) / (CYCLES - WARM_UP);
        eprintln!("measured: {grown} bytes a cycle with three callers over {CYCLES} cycles");
        assert!(grown <= 256, "{grown} bytes a cycle");
    });
}

/// A thread that calls what it is given.
struct Caller {
    functions: mpsc::Sender<extern "C" fn() -> i32>,
    results: mpsc::Receiver<i32>,
}

impl Caller {
    fn start() -> Self {
        let (functions, given) = mpsc::channel::<extern "C" fn() -> i32>();
        let (done, results) = mpsc::channel();
        thread::spawn(move || given.iter().try_for_each(|function| done.send(function())));
        Self { functions, results }
    }

    fn call(&self, function: extern "C" fn() -> i32) -> i32 {
        self.functions.send(function).expect("the caller waits");
        self.results.recv().expect("the caller answers")
    }
}

/// Threads call the library up to the moment before it goes, and go on calling the next; others
/// called it once and wait. It always goes, and nothing of it is run into afterwards.
#[test]
fn unloaded_among_busy_threads() {
    in_own_process("cycles::unloaded_among_busy_threads", || {
        const CYCLES: u32 = 300;
        let fixture = Fixture::rust(TOUCHING);
        let current: Arc<RwLock<Option<Library>>> = Arc::default();
        let calls = Arc::new(AtomicU64::new(0));
        for _ in 0..3 {
            let (current, calls) = (Arc::clone(&current), Arc::clone(&calls));
            thread::spawn(move || {
                loop {
                    if let Some(library) = current.read().expect("nobody panics").as_ref() {
                        call(library, "run");
                        calls.fetch_add(1, Ordering::Relaxed);
                    }
                    thread::yield_now();
                }
            });
        }
        let idle: Vec<_> = (0..2).map(|_| Caller::start()).collect();
        for _ in 0..CYCLES {
            let library = fixture.open();
            for caller in &idle {
                caller.call(function(&library, "run"));
            }
            let before = calls.load(Ordering::Relaxed);
            *current.write().expect("nobody panics") = Some(library);
            while calls.load(Ordering::Relaxed) < before + 3 {
                thread::yield_now();
            }
            let library = current.write().expect("nobody panics").take();
            assert_eq!(library.map(unload), Some(UnloadOutcome::Unmapped));
        }
    });
}

/// Prints what a cycle costs next to bare `dlopen` and `dlclose`; nothing depends on the times.
#[test]
fn time_of_a_cycle() {
    in_own_process("cycles::time_of_a_cycle", || {
        const CYCLES: u32 = 500;
        let fixture = Fixture::rust(TOUCHING);
        let name = CString::new(fixture.path.as_os_str().as_bytes()).expect("a plain path");
        let (mut bare, mut opening, mut unloading) =
            (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        for _ in 0..CYCLES {
            let begun = Instant::now();
            // SAFETY: the test's own library; nothing of it is called.
            let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
            assert!(!handle.is_null());
            // SAFETY: opened above.
            unsafe { libc::dlclose(handle) };
            bare += begun.elapsed();

            let begun = Instant::now();
            let library = fixture.open();
            opening += begun.elapsed();
            call(&library, "run");
            let begun = Instant::now();
            assert_eq!(unload(library), UnloadOutcome::Unmapped);
            unloading += begun.elapsed();
        }
        eprintln!(
            "measured: {:?} for dlopen + dlclose, {:?} to open, {:?} to unload, on average",
            bare / CYCLES,
            opening / CYCLES,
            unloading / CYCLES
        );
    });
}

/// Libraries that come and go meanwhile, with this crate and without it, are not looked into once
/// they are gone.
#[test]
fn many_come_and_go_at_once() {
    in_own_process("cycles::many_come_and_go_at_once", || {
        const CYCLES: usize = 100;
        let fixtures = [(); 2].map(|()| Fixture::c("int run(void) { return 7; }", &[]));
        // So much that a look at it takes a while.
        let table = "run, ".repeat(30_000);
        let large = format!("int run(void) {{ return 7; }}\nint (*table[])(void) = {{ {table} }};");
        let others = [(); 2].map(|()| Fixture::c(&large, &["-O0"]));
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let cycle = |fixture: &Fixture| {
                for _ in 0..CYCLES {
                    let library = fixture.open();
                    assert_eq!(call(&library, "run"), 7);
                    assert_eq!(unload(library), UnloadOutcome::Unmapped);
                }
            };
            let threads = fixtures
                .each_ref()
                .map(|fixture| scope.spawn(move || cycle(fixture)));
            for other in &others {
                let path = CString::new(other.path.as_os_str().as_bytes()).expect("a path");
                let is_over = &is_over;
                scope.spawn(move || {
                    while !is_over.load(Ordering::Relaxed) {
                        // SAFETY: the library was built for this test, and nothing of it is called.
                        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
                        assert!(!handle.is_null());
                        thread::sleep(Duration::from_millis(1));
                        // SAFETY: as above.
                        assert_eq!(unsafe { libc::dlclose(handle) }, 0);
                        thread::sleep(Duration::from_millis(1));
                    }
                });
            }
            let ended = threads.map(|thread| thread.join());
            is_over.store(true, Ordering::Relaxed);
            assert!(ended.iter().all(Result::is_ok));
        });
    });
}
