//! Who runs LPMs in processes of their own, and what becomes of them when somebody does so badly,
//! or is gone.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use lpm_host::event::EventId;
use lpm_host::{Isolation, LpmConfig, LpmSource, Outcome, Pcm, PcmBuilder};
use lpm_tests::messages::{admit, path};
use lpm_tests::process::{child, is_own_process};
use lpm_tests::{RecordedEvents, fixture, runner};
use tempfile::TempDir;

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

/// A program in Python that does this with the wire, which it speaks on with `say`, and with the
/// shared memory `memory`; or over pipes, where it reads what it is told with `hear`.
fn program(does: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("runner");
    let version = env!("CARGO_PKG_VERSION");
    let head = format!(
        "#!/usr/bin/env python3
import ctypes, mmap, os, random, struct, sys, time
files = os.environ['LPM_RUNNER']
wire, memory = (1, None) if files == 'pipes' else (int(file) for file in files.split(','))
def say(what):
    while what: what = what[os.write(wire, what):]
def hear():
    kind, count = struct.unpack('=II', sys.stdin.buffer.read(8))
    return kind, struct.unpack('=%dQ' % count, sys.stdin.buffer.read(8 * count))
def greet(protocol=2, version=b'{version}'):
    say(b'lpm-run\\n' + struct.pack('<II', protocol, len(version)) + version)
def frame(kind, *words): say(struct.pack('=II', kind, len(words)) + struct.pack('=%dQ' % len(words), *words))
def text(text): return [len(text), *struct.unpack('=%dQ' % ((len(text) + 7) // 8), text + bytes(-len(text) % 8))]
def started(): frame(5, 0, 0, 0, 0, 0, 0, *text(b''))
def share(): return mmap.mmap(memory, os.fstat(memory).st_size)
futex = 202 if os.uname().machine == 'x86_64' else 98
def give(shared, at, turn):
    struct.pack_into('=I', shared, at, turn)
    ctypes.CDLL(None).syscall(futex, ctypes.byref(ctypes.c_uint32.from_buffer(shared, at)), 1, 1)
"
    );
    let mut made = fs::File::create(&file).expect("a file");
    made.write_all(format!("{head}{does}\n").as_bytes())
        .expect("room");
    let executable = fs::Permissions::from_mode(0o755);
    made.set_permissions(executable).expect("its owner");
    drop(made);
    (folder, file)
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

#[test]
fn programs_that_do_not_run_lpms_are_found_out() {
    let absent = refusal("/absent/runner");
    assert!(absent.contains("cannot be started"), "{absent}");
    let silent = refusal("/bin/true");
    assert!(
        silent.contains("/bin/true does not run LPMs") && silent.contains("status 0"),
        "{silent}"
    );
    let (_folder, chatter) = program("say(b'hello, world, this is a program of another kind')");
    let chatter = refusal(chatter);
    assert!(chatter.contains("does not run LPMs"), "{chatter}");
}

#[test]
fn a_runner_of_another_version_is_refused() {
    let own = env!("CARGO_PKG_VERSION");
    let (_folder, older) = program("greet(version=b'0.0.7'); time.sleep(600)");
    let older = refusal(older);
    assert!(older.contains("lpm-host 0.0.7 (protocol 2)"), "{older}");
    assert!(
        older.contains(&format!("this program has {own}")),
        "{older}"
    );
    let (_folder, newer) = program("greet(protocol=3); time.sleep(600)");
    let newer = refusal(newer);
    assert!(newer.contains("(protocol 3)"), "{newer}");
}

#[test]
fn one_that_is_silent_is_killed_at_the_limit() {
    let (_folder, silent) = program("time.sleep(600)");
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
    for nonsense in [
        "say(bytes(random.randbytes(1000)))",
        // A frame of a gigabyte; one to the runner; an answer to nothing; a log from nowhere.
        "say(struct.pack('=II', 5, 1 << 27))",
        "say(struct.pack('=II', 8, (1 << 17) + 1))",
        "frame(1)",
        "frame(11, 1)",
        "frame(10, 77, 0)",
        "frame(5, 0, 7, 0, 0, 0, 0, 0)",
        "started(); started()",
    ] {
        let does = format!("greet(); {nonsense}\ntime.sleep(600)");
        let (_folder, program) = program(&does);
        let events = RecordedEvents::default();
        let pcm = builder(&events).runner(program).build().expect("builds");
        match pcm.become_dsbm() {
            // It was initialized before that.
            Ok(_) => until("its end is an event", || {
                !events.of(EventId::LpmProcessEnded).is_empty()
            }),
            Err(error) => {
                let error = error.to_string();
                assert!(error.contains("broke the protocol"), "{nonsense}: {error}");
            }
        }
    }
}

/// It answers each call with whatever comes to its mind, wherever it likes.
#[test]
fn no_answer_of_a_runner_does_harm() {
    let over_pipes = "
greet(); started()
random.seed(7)
while True:
    kind, words = hear()
    if kind == 20:
        word = lambda: random.choice([0, 1, 2, 1 << 31, (1 << 64) - 1])
        place = random.choice([words[0], words[0], words[0], 77])
        frame(random.choice([22, 22, 22, 20]), place, 0, *(word() for _ in range(random.randrange(8))))
";
    let shared = "
greet(); started()
shared = share()
random.seed(7)
while True:
    at = 128
    turn, = struct.unpack_from('=I', shared, at)
    if turn in (1, 5):
        count = random.choice([0, 1, 3, 5, 1 << 20, 1 << 40, (1 << 64) - 1])
        struct.pack_into('=Q', shared, at + 16, count)
        for word in range(8):
            struct.pack_into('=Q', shared, at + 24 + 8 * word, random.choice([0, 1, 2, 1 << 31, (1 << 64) - 1]) if word else 0)
        give(shared, at, random.choice([2, 2, 2, 4, 77]))
    time.sleep(0.001)
";
    let does = if cfg!(lpm_pipes) { over_pipes } else { shared };
    for _ in 0..3 {
        let (_folder, program) = program(does);
        let events = RecordedEvents::default();
        let pcm = builder(&events).runner(program).build().expect("builds");
        pcm.become_dsbm().expect("it says that it has started");
        for _ in 0..5 {
            let verdict = admit(&pcm, &path(4000)).expect("in charge");
            assert_ne!(verdict.outcome(), Outcome::Accept);
        }
        let _ = pcm.demote().expect("in charge");
    }
}

/// A program that runs until the first call, and then does this, over and over.
fn at_a_call(does: &str) -> (TempDir, PathBuf) {
    let waits = if cfg!(lpm_pipes) {
        "
kind = 0
while kind != 20: kind, words = hear()
place = words[0]"
    } else {
        "
shared, at = share(), 128
while struct.unpack_from('=I', shared, at)[0] not in (1, 5): time.sleep(0.001)"
    };
    program(&format!(
        "
greet(); started(){waits}
while True:
{does}
"
    ))
}

/// What the PCM says of a process that does this at a call; nobody waits for the call any more
/// after that.
fn fate(program: PathBuf, limit: Duration) -> String {
    let events = RecordedEvents::default();
    let lpm = fixture("accepts").isolation(Isolation::Process);
    let pcm = Pcm::builder()
        .lpm(lpm.result_time_limit(limit))
        .event_log(events.clone())
        .runner(program);
    let pcm = pcm.build().expect("builds");
    pcm.become_dsbm().expect("it says that it has started");
    let verdict = admit(&pcm, &path(4000)).expect("in charge");
    assert_ne!(verdict.outcome(), Outcome::Accept);
    until("its end is an event", || {
        !events.of(EventId::LpmProcessEnded).is_empty()
    });
    let _ = pcm.demote().expect("in charge");
    events.of(EventId::LpmProcessEnded).remove(0).detail
}

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn a_turn_that_is_nobodys_ends_it() {
    // One that there is none of; the end, which is the PCM's to say; a handle, asked for again and
    // again.
    let shared = [77, 4, 3].map(|turn| format!("    give(shared, at, {turn})"));
    // An answer that says nothing, and one in a place that there is none of.
    let over_pipes = ["22, place", "22, 77, 0", "23, place"];
    let over_pipes = over_pipes.map(|words| format!("    frame({words}); time.sleep(0.01)"));
    let turns = if cfg!(lpm_pipes) { over_pipes } else { shared };
    for turn in turns {
        let (_folder, program) = at_a_call(&turn);
        let fate = fate(program, LONG);
        assert!(fate.contains("broke the protocol"), "{turn}: {fate}");
    }
}

#[test]
fn one_that_keeps_its_caller_waiting_is_killed_at_the_limit() {
    // Its answer comes after frames that do not come; no answer comes; the turn comes and nobody is
    // woken.
    let shared = [
        "    struct.pack_into('=QQ', shared, at + 16, 1, (1 << 64) - 1); give(shared, at, 2)",
        "    time.sleep(1)",
        "    struct.pack_into('=I', shared, at, 1)",
    ];
    let over_pipes = [
        "    frame(22, place, (1 << 64) - 1); time.sleep(600)",
        "    time.sleep(1)",
        "    hear()",
    ];
    let ways = if cfg!(lpm_pipes) { over_pipes } else { shared };
    for does in ways {
        let (_folder, program) = at_a_call(does);
        let fate = fate(program, Duration::from_millis(300));
        assert!(fate.contains("did not return within"), "{does}: {fate}");
    }
}

/// Results, of which it never hears what the PCM says.
#[test]
fn one_that_does_not_listen_is_killed() {
    let does = "greet(); started()\nwhile True: frame(11, 1, 2, 0, 0, 0)";
    let (_folder, program) = program(does);
    let events = RecordedEvents::default();
    let lpm = fixture("accepts").isolation(Isolation::Process);
    // It does not return from the call that tells it addresses, either.
    let pcm = Pcm::builder().lpm(lpm.result_time_limit(LONG));
    let pcm = pcm.event_log(events.clone()).runner(program);
    let pcm = pcm.build().expect("builds");
    pcm.become_dsbm().expect("it says that it has started");
    until("its end is an event", || {
        !events.of(EventId::LpmProcessEnded).is_empty()
    });
    let ended = events.of(EventId::LpmProcessEnded).remove(0).detail;
    assert!(ended.contains("did not hear what it was told"), "{ended}");
    let _ = pcm.demote().expect("in charge");
}

/// Whom a process leaves behind, with the socket and the memory, keeps nobody from seeing that it
/// has ended.
#[test]
fn the_end_is_seen_whoever_goes_on() {
    let floods = "
greet(); started()
if os.fork() == 0:
    try:
        while True: frame(8, 60000, 0, 0, *text(b'still here'))
    except BrokenPipeError: os._exit(0)
time.sleep(0.1)
os._exit(3)
";
    let (_folder, floods) = program(floods);
    let events = RecordedEvents::default();
    let pcm = builder(&events).runner(floods).build().expect("builds");
    pcm.become_dsbm().expect("it says that it has started");
    until("its end is an event", || {
        !events.of(EventId::LpmProcessEnded).is_empty()
    });
    let _ = pcm.demote().expect("in charge");

    if cfg!(lpm_pipes) {
        return;
    }
    // It takes back, all the time, that the call has ended.
    let holds = "    if os.fork() == 0:
        until = time.time() + 20
        while time.time() < until: struct.pack_into('=I', shared, at, 1)
        os._exit(0)
    time.sleep(0.1)
    os._exit(3)";
    let (_folder, holds) = at_a_call(holds);
    let fate = fate(holds, LONG);
    assert!(fate.contains("status 3"), "{fate}");
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(300);
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Whether a process runs; one that nobody has waited for yet does not.
fn runs(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"));
    stat.is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.starts_with(" Z"))
    })
}

fn processes(pcm: &Pcm) -> Vec<u32> {
    let lpms = pcm.status().lpms;
    let initialized = lpms.into_iter().filter_map(|lpm| lpm.initialized);
    initialized.filter_map(|lpm| lpm.process).collect()
}

/// However its PCM ends: none of the LPMs, idle, in a call or being initialized, is there much
/// longer.
#[test]
fn no_process_outlives_its_pcm() {
    const TEST: &str = "no_process_outlives_its_pcm";
    if is_own_process() {
        let way = std::env::var("WAY").expect("it is told");
        let busy = fixture("crashes")
            .config("loops")
            .isolation(Isolation::Process);
        let pcm = builder(&RecordedEvents::default())
            .lpm(busy)
            .runner(runner());
        let pcm = pcm.build().expect("builds");
        // By a thread that ends at once.
        thread::scope(|scope| scope.spawn(|| pcm.become_dsbm().map(drop)).join())
            .expect("no panic")
            .expect("starts");
        println!("\nprocesses {:?}", processes(&pcm));
        thread::scope(|scope| {
            scope.spawn(|| admit(&pcm, &path(6666)));
            match &*way {
                "exit" => std::process::exit(0),
                "abort" => std::process::abort(),
                // Killed by its parent.
                _ => thread::sleep(Duration::from_secs(600)),
            }
        });
    }
    for way in ["exit", "abort", "kill"] {
        let mut pcm = child(TEST);
        pcm.env("WAY", way)
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

#[test]
fn starts_and_stops_leave_nothing_behind() {
    let files = || {
        fs::read_dir("/proc/self/fd")
            .expect("Linux lists files")
            .count()
    };
    let mappings = || {
        let maps = fs::read_to_string("/proc/self/maps").expect("Linux lists mappings");
        maps.lines()
            .filter(|line| line.contains("lpm-runner"))
            .count()
    };
    let pcm = builder(&RecordedEvents::default()).runner(runner());
    let pcm = pcm.build().expect("builds");
    let cycle = || {
        pcm.become_dsbm().expect("starts");
        let processes = processes(&pcm);
        let _ = admit(&pcm, &path(4000)).expect("in charge");
        let _ = pcm.demote().expect("in charge");
        for process in processes {
            assert!(!Path::new(&format!("/proc/{process}")).exists());
        }
    };
    cycle();
    let before = files();
    for _ in 0..10 {
        cycle();
    }
    // Other tests of this program open some, too.
    until("its files are closed", || files() <= before + 8);
    until("its memory is unmapped", || mappings() <= 8);
}

/// What an LPM prints gets nowhere near the pipes that its runner is heard on.
#[cfg(lpm_pipes)]
#[test]
fn its_standard_streams_are_not_the_wire() {
    let pcm = builder(&RecordedEvents::default()).runner(runner());
    let pcm = pcm.build().expect("builds");
    pcm.become_dsbm().expect("starts");
    let process = processes(&pcm)[0];
    let file = |number| fs::read_link(format!("/proc/{process}/fd/{number}")).expect("it is open");
    assert_eq!(file(0), Path::new("/dev/null"));
    assert_eq!(file(1), file(2));
    let _ = pcm.demote().expect("in charge");
}

#[test]
fn one_that_was_started_by_hand_says_so() {
    let output = Command::new(runner()).arg("lpm-runner").output();
    let output = output.expect("it can be run");
    assert_eq!(output.status.code(), Some(2));
}
