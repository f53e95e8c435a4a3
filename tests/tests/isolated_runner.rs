//! Who runs LPMs in processes of their own, and what becomes of them when somebody does so badly,
//! or is gone.
#![cfg(any(target_os = "linux", windows))]
#![forbid(unsafe_code)]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use lpm_host::event::EventId;
use lpm_host::{Isolation, LpmConfig, LpmSource, Outcome, Pcm, PcmBuilder};
use lpm_tests::messages::{admit, path};
use lpm_tests::platform::{is_there, runs};
use lpm_tests::process::{child, in_child, is_own_process, told};
use lpm_tests::strangers::{PROTOCOL, frame, greeting, says, started};
use lpm_tests::{RecordedEvents, fixture, runner, until};

fn builder(events: &RecordedEvents) -> PcmBuilder {
    let lpm = fixture("accepts").isolation(Isolation::Process);
    Pcm::builder().lpm(lpm).event_log(events.clone())
}

/// Why an LPM does not start with this runner.
fn refusal(program: impl Into<PathBuf>) -> String {
    let pcm = builder(&RecordedEvents::default()).runner(program);
    let started = pcm.build().expect("builds").become_dsbm();
    let error = started.expect_err("it does not start").to_string();
    assert!(!error.contains('\n'), "{error}");
    error
}

#[test]
fn without_a_runner_it_does_not_start() {
    let pcm = builder(&RecordedEvents::default()).build().expect("builds");
    let error = pcm.become_dsbm().expect_err("no runner").to_string();
    assert!(error.contains("run_if_asked"), "{error}");
}

#[test]
fn an_lpm_of_this_program_has_no_process() {
    let lpm = LpmConfig::new("mine", LpmSource::built_in::<lpm_sample_like::Accepts>());
    let built = Pcm::builder()
        .lpm(lpm.isolation(Isolation::Process))
        .build();
    let error = built.expect_err("it is built in").to_string();
    assert!(error.contains("is built in"), "{error}");
}

mod lpm_sample_like {
    use lpm_host::lpm_api::{AdmitRequest, Answer, Decision, InitError, InitInfo, Lpm, Priority};

    pub(crate) struct Accepts;

    impl Lpm for Accepts {
        fn initialize(_: InitInfo<'_>) -> Result<Self, InitError> {
            Ok(Self)
        }

        fn admit(&self, request: AdmitRequest<'_>) -> Answer {
            request.decide_all(Decision::accept(Priority::MIN))
        }
    }
}

/// A program that runs no LPMs, and how it ends: one that says what it should not may be killed for
/// that before.
const OTHER: (&str, &str) = match cfg!(windows) {
    true => (r"C:\windows\system32\hostname.exe", "status"),
    false => ("/bin/true", "status 0"),
};

#[test]
fn programs_that_do_not_run_lpms_are_found_out() {
    let absent = refusal("/absent/runner");
    assert!(absent.contains("cannot be started"), "{absent}");
    let (program, end) = OTHER;
    let other = refusal(program);
    let is_named = other.contains(&format!("{program} does not run LPMs"));
    assert!(is_named && other.contains(end), "{other}");
    let (_folder, chatter) = says(b"hello, world, this is a program of another kind");
    let chatter = refusal(chatter);
    assert!(chatter.contains("does not run LPMs"), "{chatter}");
}

/// The version of this program.
const OWN: &str = env!("CARGO_PKG_VERSION");

#[test]
fn a_runner_of_another_version_is_refused() {
    let (_folder, older) = says(&greeting(PROTOCOL, "0.0.7"));
    let older = refusal(older);
    assert!(older.contains("lpm-host 0.0.7 (protocol 2)"), "{older}");
    assert!(
        older.contains(&format!("this program has {OWN}")),
        "{older}"
    );
    let (_folder, newer) = says(&greeting(PROTOCOL + 1, OWN));
    let newer = refusal(newer);
    assert!(newer.contains("(protocol 3)"), "{newer}");
}

#[test]
fn one_that_is_silent_is_killed_at_the_limit() {
    let (_folder, silent) = says(b"");
    let lpm = fixture("accepts").isolation(Isolation::Process);
    let lpm = lpm.initialize_limit(Duration::from_millis(300));
    let pcm = Pcm::builder()
        .lpm(lpm)
        .runner(silent)
        .build()
        .expect("builds");
    let error = pcm.become_dsbm().expect_err("too late").to_string();
    assert!(error.contains("process was killed"), "{error}");
}

#[test]
fn nonsense_from_a_runner_ends_it() {
    // The head of a frame of so many words.
    let head = |kind: u32, count: u32| [kind.to_ne_bytes(), count.to_ne_bytes()].concat();
    for nonsense in [
        (0..=u8::MAX).rev().collect(),
        // A frame of a gigabyte; one to the runner; an answer to nothing; a log from nowhere.
        head(5, 1 << 27),
        head(8, (1 << 17) + 1),
        frame(1, &[]),
        frame(11, &[1]),
        frame(10, &[77, 0]),
        frame(5, &[0, 7, 0, 0, 0, 0, 0, 0]),
        [started(), started()].concat(),
    ] {
        let (_folder, program) = says(&[greeting(PROTOCOL, OWN), nonsense.clone()].concat());
        let events = RecordedEvents::default();
        let pcm = builder(&events).runner(program).build().expect("builds");
        match pcm.become_dsbm() {
            // It was initialized before that.
            Ok(_) => until("its end is an event", || {
                !events.of(EventId::LpmProcessEnded).is_empty()
            }),
            Err(error) => {
                let error = error.to_string();
                let is_so = error.contains("broke the protocol");
                assert!(is_so, "{nonsense:?}: {error}");
            }
        }
    }
}

fn processes(pcm: &Pcm) -> Vec<u32> {
    let lpms = pcm.status().lpms;
    let initialized = lpms.into_iter().filter_map(|lpm| lpm.initialized);
    initialized.filter_map(|lpm| lpm.process).collect()
}

/// However its PCM ends: none of the LPMs, idle or in a call, is there much longer, nor is a
/// program that does not hear that it is to end.
#[test]
fn no_process_outlives_its_pcm() {
    const TEST: &str = "no_process_outlives_its_pcm";
    if is_own_process() {
        let var = |name| std::env::var(name).expect("it is told");
        let busy = fixture("crashes")
            .config("loops")
            .isolation(Isolation::Process);
        let pcm = builder(&RecordedEvents::default())
            .lpm(busy)
            .runner(var("PROGRAM"));
        let pcm = pcm.build().expect("builds");
        // By a thread that ends at once.
        thread::scope(|scope| scope.spawn(|| pcm.become_dsbm().map(drop)).join())
            .expect("no panic")
            .expect("starts");
        println!("\nprocesses {:?}", processes(&pcm));
        thread::scope(|scope| {
            scope.spawn(|| admit(&pcm, &path(6666)));
            match &*var("WAY") {
                "exit" => std::process::exit(0),
                "abort" => std::process::abort(),
                // Killed by its parent.
                _ => thread::sleep(Duration::from_secs(600)),
            }
        });
    }
    let (_folder, deaf) = says(&[greeting(PROTOCOL, OWN), started()].concat());
    let mut programs = vec![runner()];
    // Over pipes it is the system that has to see to that.
    if !cfg!(lpm_pipes) {
        programs.push(deaf);
    }
    for (program, way) in programs
        .iter()
        .flat_map(|program| ["exit", "abort", "kill"].map(|way| (program, way)))
    {
        let mut pcm = child(TEST);
        pcm.env("WAY", way)
            .env("PROGRAM", program)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut pcm = pcm.spawn().expect("it runs");
        let said = BufReader::new(pcm.stdout.take().expect("it is piped"));
        let line = said.lines().map_while(Result::ok);
        let line = line.into_iter().find(|line| line.starts_with("processes"));
        let line = line.expect("it says so");
        let digits = line.split(|char: char| !char.is_ascii_digit());
        let runners: Vec<u32> = digits.filter_map(|number| number.parse().ok()).collect();
        assert_eq!(runners.len(), 2, "{line}");
        if way == "kill" {
            pcm.kill().expect("it is ours");
        }
        let _ = pcm.wait().expect("it ends");
        for runner in runners {
            until("it ends with its PCM", || !runs(runner));
        }
    }
}

#[test]
fn it_is_there_longer_than_the_thread_that_asked_for_it() {
    let pcm = builder(&RecordedEvents::default()).runner(runner());
    let pcm = pcm.build().expect("builds");
    thread::scope(|scope| scope.spawn(|| pcm.become_dsbm().map(drop)).join())
        .expect("no panic")
        .expect("starts");
    // Longer than threads of the PCM's wait for work.
    thread::sleep(Duration::from_secs(12));
    let verdict = admit(&pcm, &path(4000)).expect("in charge");
    assert_eq!(verdict.outcome(), Outcome::Accept);
}

/// How many files this process has open, and how often it has mapped what it shares with runners.
#[cfg(target_os = "linux")]
fn open_and_mapped() -> [usize; 2] {
    let files = std::fs::read_dir("/proc/self/fd").expect("Linux lists files");
    [files.count(), lpm_tests::mappings_of("lpm-runner")]
}

/// How many handles this process has.
#[cfg(windows)]
fn open_and_mapped() -> [usize; 2] {
    use winsafe::HPROCESS;
    use winsafe::prelude::kernel_Hprocess;

    let handles = HPROCESS::GetCurrentProcess().GetProcessHandleCount();
    [handles.expect("Windows counts them") as usize, 0]
}

#[test]
fn starts_and_stops_leave_nothing_behind() {
    let pcm = builder(&RecordedEvents::default()).runner(runner());
    let pcm = pcm.build().expect("builds");
    let cycle = || {
        pcm.become_dsbm().expect("starts");
        let processes = processes(&pcm);
        let _ = admit(&pcm, &path(4000)).expect("in charge");
        let _ = pcm.demote().expect("in charge");
        assert!(!processes.into_iter().any(is_there));
    };
    cycle();
    let before = open_and_mapped()[0];
    for _ in 0..10 {
        cycle();
    }
    // Other tests of this program open some, too.
    until("its files are closed, and its memory is unmapped", || {
        let [open, mapped] = open_and_mapped();
        open <= before + 8 && mapped <= 8
    });
}

/// What an LPM prints and reads gets nowhere near what its runner is heard on.
#[test]
fn its_standard_streams_are_not_the_wire() {
    const TEST: &str = "its_standard_streams_are_not_the_wire";
    if is_own_process() {
        let events = RecordedEvents::default();
        let lpm = fixture("prints").isolation(Isolation::Process);
        let pcm = Pcm::builder().lpm(lpm).event_log(events.clone());
        let pcm = pcm.runner(runner()).build().expect("builds");
        pcm.become_dsbm().expect("starts");
        for _ in 0..10 {
            let _ = admit(&pcm, &path(4000)).expect("in charge");
        }
        let _ = pcm.demote().expect("in charge");
        return assert_eq!(events.of(EventId::LpmProcessEnded), []);
    }
    let output = in_child(TEST, |_| {});
    assert!(output.status.success(), "{}", told(&output));
    let printed = match cfg!(any(windows, lpm_pipes)) {
        true => &output.stderr,
        false => &output.stdout,
    };
    let printed = String::from_utf8_lossy(printed);
    let lines = printed.matches("printed by an LPM that has read Ok(0)");
    assert_eq!(lines.count(), 10, "{}", told(&output));
}

#[test]
fn one_that_was_started_by_hand_says_so() {
    let output = Command::new(runner()).arg("lpm-runner").output();
    let output = output.expect("it can be run");
    assert_eq!(output.status.code(), Some(2));
}
