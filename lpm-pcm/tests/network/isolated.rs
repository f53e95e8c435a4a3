//! An LPM in a process of its own comes to a bad end while flows live: those go on, what it was to
//! decide is refused, and it starts again.

use std::fs;

use lpm_rsvp::build::Path;
use lpm_rsvp::{FilterSpec, MessageType, Session, TimeValues};
use serde_json::Value;

use crate::net::{Came, End, Net, Pcm, RECEIVER, SENDER, V4, can_make_networks, hop, tspec, user};
use crate::support::eventually;
use crate::{ENFORCED, reserve, to};

/// The port of senders about whom the LPM crashes, and of those whom it puts off.
const CRASH: u16 = 6666;
const PUT_OFF: u16 = 5555;
/// POLICY_ERRV_NO_RESOURCES, of an LPM that did not answer.
const NOT_ANSWERED: (u8, u16) = (2, 52);

/// Beside the identity LPM one that comes to its end in this way, which decides on all flows, too.
/// It is killed if it does not answer for so long.
fn tables(way: &str, limit: &str) -> String {
    let library = lpm_fixtures::library("crashes");
    let fragile = format!(
        "[[lpm]]\nname = 'fragile'\nlibrary = {library:?}\nconfig = '{way}'\nisolation = 'process'\n\
         result_time_limit = '{limit}'\ndeinitialize_limit = '1 s'\n"
    );
    let events = "[[events]]\nto = 'file'\npath = 'events.log'\n";
    let run = ENFORCED.replace("[run]\n", "[run]\ncontrol = 'control'\n");
    format!("{fragile}{run}{events}")
}

struct Scene {
    net: Net,
    pcm: Pcm,
    sender: End,
    receiver: End,
    /// A session has one of these ports.
    next: std::cell::Cell<u16>,
}

impl Scene {
    /// A flow of Bob's is granted by both LPMs, and reserved.
    fn new(way: &str, limit: &str) -> Self {
        let net = Net::new();
        let pcm = net.pcm(&tables(way, limit));
        let (sender, receiver) = (net.sender(), net.receiver());
        reserve(&sender, &receiver, 8e6);
        let next = std::cell::Cell::new(6_000);
        Self {
            net,
            pcm,
            sender,
            receiver,
            next,
        }
    }

    /// Announces a flow from this port, in a session of its own.
    fn announce(&self, port: u16) -> Session {
        let session = Session::new(RECEIVER, 17, self.next.get()).unwrap();
        self.next.set(self.next.get() + 1);
        let (own, from) = (hop(SENDER, 7), FilterSpec::new(SENDER, port));
        let path = Path::new(session, own, TimeValues::DEFAULT, from, tspec(1e5));
        let path = path.policy_data(user("CN=Bob")).build().unwrap();
        self.sender.send(SENDER, to(RECEIVER), path);
        session
    }

    /// Why what was announced last is refused; `None` if it goes on.
    fn fate(&self, session: Session) -> Option<(u8, u16)> {
        let is_about = |came: &Came| {
            let about = came.read(|message| message.session());
            about.is_some_and(|about| about.with_flags(0) == session)
        };
        eventually("a Path goes on, or is refused", || {
            let refused = self.sender.take(MessageType::PathErr);
            if let Some(refused) = refused.filter(is_about) {
                let error = refused.read(|message| message.error_spec().unwrap());
                return Some(Some((error.code, error.value)));
            }
            let goes_on = self.receiver.take(MessageType::Path);
            goes_on.filter(is_about).map(|_| None)
        })
    }

    /// What `pcm status` says of the LPM.
    fn status(&self) -> Value {
        let (status, json) = self.pcm.ask(&["status", "--json"]);
        assert_eq!(status, 0, "{json}");
        let status: Value = serde_json::from_str(&json).unwrap();
        let mut lpms = status["status"]["lpms"].as_array().unwrap().iter();
        lpms.find(|lpm| lpm["name"] == "fragile").unwrap().clone()
    }

    fn process(&self) -> u64 {
        eventually("it runs", || self.status()["process"].as_u64())
    }

    /// It runs in another process than this one, and is asked.
    fn has_started_again(&self, before: u64) {
        eventually("it is there again", || {
            let now = self.status();
            let runs = now["health"] == "serving" && now["process"].as_u64() != Some(before);
            // It may have been killed for its time once more, where the machine is that slow.
            (runs && self.fate(self.announce(4000)).is_none()).then_some(())
        });
    }

    fn signal(&self, signal: &str, process: u64) {
        crate::net::must(&format!("kill -s {signal} {process}"));
    }

    fn events(&self) -> String {
        fs::read_to_string(self.pcm.file("events.log")).unwrap()
    }

    /// Bob's flow was not touched: nobody was told of an end, and it is still reserved.
    fn bob_lives(&self) {
        for end in [&self.sender, &self.receiver] {
            for gone in [
                MessageType::PathTear,
                MessageType::ResvTear,
                MessageType::ResvErr,
            ] {
                assert!(!end.has(gone), "{gone}");
            }
        }
        let classes = self.net.on_router("tc class show dev r1");
        assert!(classes.contains("rate 8Mbit"), "{classes}");
        let (_, sessions) = self.pcm.ask(&["sessions"]);
        let bobs = format!("{}\n", V4.session());
        assert!(sessions.contains(&bobs), "{sessions}");
        assert!(sessions.contains("FF 8000000 bit/s"), "{sessions}");
    }
}

#[test]
fn a_crash_refuses_what_it_was_asked_and_all_else_lives_on() {
    if !can_make_networks() {
        return;
    }
    let scene = Scene::new("segv", "5 min");
    let (put_off, before) = (scene.announce(PUT_OFF), scene.process());
    eventually("it is put off", || {
        (scene.status()["open_requests"] == 1).then_some(())
    });
    let crash = scene.announce(CRASH);
    // Both are refused, in whatever order.
    let mut refused = Vec::new();
    while refused.len() < 2 {
        let came = scene.sender.next(MessageType::PathErr);
        refused.push(came.read(|message| {
            let error = message.error_spec().unwrap();
            let session = message.session().unwrap().with_flags(0);
            (session, error.code, error.value)
        }));
    }
    refused.sort_unstable();
    let (code, value) = NOT_ANSWERED;
    assert_eq!(refused, [(put_off, code, value), (crash, code, value)]);
    scene.has_started_again(before);
    scene.bob_lives();

    let events = scene.events();
    let ended = events
        .lines()
        .find(|line| line.contains("lpm_process_ended"));
    let ended = ended.expect("it is an event");
    for part in ["SIGSEGV", "libcrashes.so", "fragile", &before.to_string()] {
        assert!(ended.contains(part), "{part}: {ended}");
    }
    assert!(events.contains("lpm_reinitialized"), "{events}");
    assert!(scene.pcm.has_said("lpm_process_ended: LPM fragile: "));
    let (_, said) = scene.pcm.ask(&["status"]);
    assert!(said.contains("whose process has ended once"), "{said}");
    let (_, metrics) = scene.pcm.ask(&["metrics"]);
    for line in [
        "pcm_lpm_process_ends_total{lpm=\"fragile\"} 1\n",
        "pcm_lpm_process_ends_total{lpm=\"identity\"} 0\n",
        "pcm_lpm_serving{lpm=\"fragile\"} 1\n",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
    // One that goes on crashing starts again later each time: that is seen, and meanwhile flows are
    // refused, and live on.
    let ended = eventually("it has ended, and waits", || {
        scene.fate(scene.announce(CRASH));
        let status = scene.status();
        (status["health"] == "ended").then_some(status)
    });
    assert_eq!(ended["process"], Value::Null);
    assert!(ended["process_ends"].as_u64() > Some(1), "{ended}");
    scene.bob_lives();
    assert_eq!(scene.pcm.stop("TERM"), Some(143));
}

#[test]
fn it_is_killed_from_outside_or_hangs_and_starts_again() {
    if !can_make_networks() {
        return;
    }
    let scene = Scene::new("loops", "5 s");
    let killed = scene.process();
    scene.signal("KILL", killed);
    eventually("it is an event", || {
        scene.events().contains("SIGKILL").then_some(())
    });
    scene.has_started_again(killed);
    scene.bob_lives();

    // It takes the processor and does not answer.
    let busy = scene.process();
    assert_eq!(scene.fate(scene.announce(CRASH)), Some(NOT_ANSWERED));
    let limit = "did not return within 5s";
    eventually("it is an event", || {
        scene.events().contains(limit).then_some(())
    });
    scene.has_started_again(busy);
    scene.bob_lives();

    // It does nothing at all. Meanwhile refreshes go on, and the service answers.
    let stopped = scene.process();
    scene.signal("STOP", stopped);
    let waits = scene.announce(4000);
    scene.bob_lives();
    assert_eq!(scene.fate(waits), Some(NOT_ANSWERED));
    scene.has_started_again(stopped);
    scene.bob_lives();

    // Nor does it hear that it is to end.
    let stopped = scene.process();
    scene.signal("STOP", stopped);
    assert_eq!(scene.pcm.stop("TERM"), Some(143));
    let process = std::path::PathBuf::from(format!("/proc/{stopped}"));
    assert!(!process.exists(), "it outlives its PCM");
}
