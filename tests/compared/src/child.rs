//! One scenario, in this process.

use std::ffi::{CStr, CString, c_char, c_void};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use libunload::{Copies, LeftBehind, Library, UnloadOutcome};

use crate::build::{self, Part};
use crate::scenario::{Scenario, Way};

type Function = unsafe extern "C" fn();
type Judge = unsafe extern "C" fn() -> *const c_char;

/// Opens, uses and closes the libraries of a scenario, and goes on; says on standard output how far
/// it has come.
///
/// In this order, where there is such a function: `before` of the host; per cycle: the library is
/// opened, `act` of the library, `act_on_caller` on another thread, the same for the second
/// library, `between` of the host; the second library is closed and then the first (or the other
/// way round, with `while_second` of the host between); `after` of the host; the other thread ends;
/// `at_end` of the host; the process exits. `after` and `at_end` return what is wrong, or null.
///
/// # Safety
///
/// The caller vouches for the scenario's code.
pub unsafe fn run(scenario: &Scenario, way: Way) {
    let path = build::library(scenario, Part::Library).expect("a library");
    let second = build::library(scenario, Part::Second);
    let host = build::library(scenario, Part::Host).map(|path| plain(&path));
    if let Some(with) = &scenario.with {
        let with = Scenario::of(with).expect("a scenario");
        plain(&build::library(&with, Part::Library).expect("a library"));
    }
    let host = |name: &CStr| host.and_then(|host| host.symbol(name));
    let judged = |name: &CStr| {
        let Some(judge) = host(name) else { return };
        // SAFETY: the host's part has functions of this type under these names.
        let wrong = unsafe { std::mem::transmute::<*mut c_void, Judge>(judge)() };
        if !wrong.is_null() {
            // SAFETY: it returns a string, or null.
            let wrong = unsafe { CStr::from_ptr(wrong) };
            say(&format!("later: {}", wrong.to_string_lossy()));
        }
    };
    let call = |function: Option<*mut c_void>| {
        if let Some(function) = function {
            // SAFETY: functions of these names have this type.
            unsafe { std::mem::transmute::<*mut c_void, Function>(function)() };
        }
    };

    call(host(c"before"));
    let caller = Caller::start();
    let copies = Copies::new();
    for _ in 0..scenario.cycles {
        say("loading");
        let open = |path: &PathBuf| {
            let opened = Opened::open(path, way, &copies);
            say("using");
            call(opened.symbol(c"act"));
            if let Some(function) = opened.symbol(c"act_on_caller") {
                caller.call(function);
            }
            opened
        };
        let first = open(&path);
        let second = second.as_ref().map(open);
        call(host(c"between"));
        if !scenario.closes {
            std::mem::forget(first);
            say("closed: stays open");
            return;
        }
        say("closing");
        let outcome = match second {
            Some(second) if scenario.closes_first => {
                let outcome = first.close();
                call(host(c"while_second"));
                format!("{outcome}, {}", second.close())
            }
            Some(second) => format!("{}, {}", second.close(), first.close()),
            None => first.close(),
        };
        say(&format!("closed: {outcome}"));
    }
    judged(c"after");
    caller.end();
    judged(c"at_end");
    // Not waited for: threads of the host may compute for ever.
    say("exits");
}

/// A line for who started this process, told from what libraries print.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "\n@ {line}").and_then(|()| out.flush());
}

#[derive(Clone, Copy)]
struct Plain(*mut c_void);

impl Plain {
    fn symbol(self, name: &CStr) -> Option<*mut c_void> {
        // SAFETY: the handle is open.
        let symbol = unsafe { libc::dlsym(self.0, name.as_ptr()) };
        (!symbol.is_null()).then_some(symbol)
    }
}

fn plain(path: &Path) -> Plain {
    use std::os::unix::ffi::OsStrExt;
    let name = CString::new(path.as_os_str().as_bytes()).expect("a path");
    // SAFETY: the caller of `run` vouches for the code.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if handle.is_null() {
        // SAFETY: there is an error, and its text lives until the next.
        let error = unsafe { CStr::from_ptr(libc::dlerror()) };
        say(&format!("refused: {}", error.to_string_lossy()));
        std::process::exit(0);
    }
    Plain(handle)
}

#[expect(clippy::large_enum_variant, reason = "there are two at most")]
enum Opened {
    Plain(Plain, PathBuf),
    Ours(Library),
}

impl Opened {
    fn open(path: &Path, way: Way, copies: &Copies) -> Self {
        match way {
            Way::Plain => Self::Plain(plain(path), path.to_path_buf()),
            // SAFETY: the caller of `run` vouches for the code.
            Way::Ours => match unsafe { Library::open(path, copies) } {
                Ok(library) => {
                    for hazard in library.hazards() {
                        say(&format!("warned: it is warned of: {}", hazard.name()));
                    }
                    Self::Ours(library)
                }
                Err(error) => {
                    say(&format!("refused: {error}"));
                    std::process::exit(0);
                }
            },
        }
    }

    fn symbol(&self, name: &CStr) -> Option<*mut c_void> {
        match self {
            Self::Plain(plain, _) => plain.symbol(name),
            Self::Ours(library) => library.symbol(name).map(std::ptr::NonNull::as_ptr),
        }
    }

    /// Closes it; says what became of it.
    fn close(self) -> String {
        match self {
            Self::Plain(Plain(handle), path) => {
                // SAFETY: nobody calls it; whether that is enough is what is asked here.
                unsafe { libc::dlclose(handle) };
                let maps = std::fs::read_to_string("/proc/self/maps").expect("the mappings");
                let path = path.to_string_lossy().into_owned();
                let mapped = maps
                    .lines()
                    .any(|line| line.contains(&path) && line.contains("x"));
                if mapped {
                    "stays mapped".to_owned()
                } else {
                    "unmapped".to_owned()
                }
            }
            Self::Ours(library) => {
                let name = library.path().file_name().unwrap_or_default().to_owned();
                let long = Duration::from_secs(60);
                library.await_threads(long, long);
                // SAFETY: nobody calls it.
                let outcome = unsafe { library.unload(&mut LeftBehind::default()) };
                if outcome == UnloadOutcome::Unmapped {
                    let maps = std::fs::read_to_string("/proc/self/maps").expect("the mappings");
                    // Its private copy is a file in memory of the same name.
                    let copy = format!("memfd:{}", name.to_string_lossy());
                    if maps.contains(&copy) {
                        return "unmapped, but the copy is in /proc/self/maps".to_owned();
                    }
                }
                outcome.to_string()
            }
        }
    }
}

/// A thread of the host that outlives the library.
struct Caller {
    /// To call what is in `CALLED`, and to say when that is done.
    orders: Sender<Sender<()>>,
    thread: JoinHandle<()>,
}

/// The function to call, while it is called. In a channel its address would stay behind, as a
/// remnant on the heap that the search for kept addresses may come across.
static CALLED: AtomicUsize = AtomicUsize::new(0);

impl Caller {
    fn start() -> Self {
        let (orders, ordered) = mpsc::channel::<Sender<()>>();
        let work = move || {
            loop {
                match ordered.recv_timeout(Duration::from_millis(1)) {
                    Ok(done) => {
                        let function = CALLED.swap(0, Ordering::Relaxed);
                        // SAFETY: functions of this name have this type.
                        unsafe { std::mem::transmute::<usize, Function>(function)() };
                        let _ = done.send(());
                    }
                    Err(RecvTimeoutError::Timeout) => libunload::visit_thread(),
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
        };
        let thread = thread::Builder::new().name("caller".to_owned()).spawn(work);
        Self {
            orders,
            thread: thread.expect("a thread"),
        }
    }

    fn call(&self, function: *mut c_void) {
        let (done, wait) = mpsc::channel();
        CALLED.store(function as usize, Ordering::Relaxed);
        self.orders.send(done).expect("the caller lives");
        wait.recv().expect("the caller lives");
    }

    fn end(self) {
        drop(self.orders);
        self.thread.join().expect("no panic");
    }
}
