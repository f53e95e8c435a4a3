//! Loads and unloads LPMs as often as one likes, and measures.
//!
//! ```text
//! stress cycles 10000   # growth of the memory in that many cycles
//! stress logging 10000  # the same with an LPM that logs
//! stress races 2000     # unloading while threads ask
//! stress times 500      # a cycle next to dlopen + dlclose of the same file
//! ```
#![allow(unsafe_code, reason = "compares with what `dlopen` does")]

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use std::process::ExitCode;

    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let count = arguments.get(1).and_then(|count| count.parse().ok());
    match (arguments.first().map(String::as_str), count) {
        (Some("cycles"), Some(count)) => linux::cycles(count),
        (Some("logging"), Some(count)) => linux::logging(count),
        (Some("races"), Some(count)) => linux::races(count),
        (Some("times"), Some(count)) => linux::times(count),
        _ => {
            eprintln!("expected `cycles`, `logging`, `races` or `times`, and how many");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("this is for Linux");
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::CString;
    use std::io;
    use std::os::unix::ffi::OsStrExt;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use lpm_host::{LpmConfig, Pcm, UnloadOutcome};
    use lpm_tests::callers::Callers;
    use lpm_tests::stress::{self, an_lpm_that_logs, three_lpms};
    use lpm_tests::unloading::only_library;
    use lpm_tests::{RecordedEvents, fixture_stripped};

    pub(crate) fn cycles(count: u64) {
        let directory = tempfile::tempdir().expect("a directory");
        grow(&three_lpms(directory.path()), count);
    }

    pub(crate) fn logging(count: u64) {
        tracing_subscriber::fmt().with_writer(io::sink).init();
        let directory = tempfile::tempdir().expect("a directory");
        grow(&[an_lpm_that_logs(directory.path())], count);
    }

    fn grow(lpms: &[LpmConfig], count: u64) {
        let begun = Instant::now();
        let growth = stress::cycles(lpms, count / 10, &[count - count / 10]);
        let elapsed = begun.elapsed();
        let bytes = growth[0].per_cycle();
        println!("{count} cycles in {elapsed:?}, {bytes} bytes a cycle");
    }

    pub(crate) fn races(count: u64) {
        let begun = Instant::now();
        let directory = tempfile::tempdir().expect("a directory");
        let lpm = fixture_stripped("thread-local-lazy", directory.path());
        let answered = stress::races(lpm, count);
        let elapsed = begun.elapsed();
        println!("{count} races in {elapsed:?}, {answered} calls answered");
    }

    pub(crate) fn times(count: u64) {
        let directory = tempfile::tempdir().expect("a directory");
        for lpm in three_lpms(directory.path()) {
            let callers = Callers::start(3);
            let (mut bare, mut first, mut again) = (Vec::new(), Vec::new(), Vec::new());
            let lasting = new_pcm(&lpm);
            // Makes the private copy that is there `again`.
            cycle(&lasting, &callers);
            for _ in 0..count {
                bare.push(open_and_close(&lpm));
                first.push(cycle(&new_pcm(&lpm), &callers));
                again.push(cycle(&lasting, &callers));
            }
            let bare = median(bare);
            println!("{}: dlopen + dlclose {bare:?}", lpm.name());
            for (what, times) in [("of a new PCM", first), ("once more", again)] {
                let [loading, unloading, cycle] =
                    [0, 1, 2].map(|part| median(times.iter().map(|times| times[part]).collect()));
                let ratio = cycle.as_secs_f64() / bare.as_secs_f64();
                println!(
                    "  {what}: {cycle:?}, ratio {ratio:.2}; {loading:?} to load and initialize, \
                     {unloading:?} to deinitialize and unload"
                );
            }
        }
    }

    fn new_pcm(lpm: &LpmConfig) -> Arc<Pcm> {
        let pcm = Pcm::builder().lpm(lpm.clone());
        let pcm = pcm.event_log(RecordedEvents::default()).build();
        Arc::new(pcm.expect("builds"))
    }

    /// How long it takes to load and initialize, to deinitialize and unload, and both together,
    /// without what the LPM does when it is asked in between.
    fn cycle(pcm: &Arc<Pcm>, callers: &Callers) -> [Duration; 3] {
        let begun = Instant::now();
        pcm.become_dsbm().expect("starts");
        let loading = begun.elapsed();
        callers.ask(pcm);
        let begun = Instant::now();
        let unloaded = only_library(pcm.demote().expect("in charge"));
        let unloading = begun.elapsed();
        assert_eq!(unloaded.outcome, UnloadOutcome::Unmapped);
        [loading, unloading, loading + unloading]
    }

    fn open_and_close(lpm: &LpmConfig) -> Duration {
        let path = lpm
            .source()
            .path()
            .expect("a library")
            .as_os_str()
            .as_bytes();
        let path = CString::new(path).expect("a plain path");
        let begun = Instant::now();
        // SAFETY: the fixtures are this project's own; nothing of them is called.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        assert!(!handle.is_null());
        // SAFETY: it was opened above.
        unsafe { libc::dlclose(handle) };
        begun.elapsed()
    }

    fn median(mut times: Vec<Duration>) -> Duration {
        times.sort();
        times[times.len() / 2]
    }
}
