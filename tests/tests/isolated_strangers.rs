//! What programs in the place of a runner may do with the wire and the memory: they are ended, and
//! do no harm. They are scripts, for which there is nothing inside wine.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::time::Duration;

use lpm_host::event::EventId;
use lpm_host::{Isolation, Outcome, Pcm, PcmBuilder};
use lpm_tests::messages::{admit, path};
use lpm_tests::strangers::script;
use lpm_tests::{RecordedEvents, fixture, until};
use tempfile::TempDir;

fn builder(events: &RecordedEvents) -> PcmBuilder {
    let lpm = fixture("accepts").isolation(Isolation::Process);
    Pcm::builder().lpm(lpm).event_log(events.clone())
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
        let (_folder, program) = script(does);
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
    script(&format!(
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
    let (_folder, program) = script(does);
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
    let (_folder, floods) = script(floods);
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
