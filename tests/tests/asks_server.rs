//! The LPM of the book that asks a server with a runtime of its own: it answers, and nothing of it
//! is left.
#![cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
#![forbid(unsafe_code)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;

use lpm_host::lpm_api::{LpmPolicyError, Priority};
use lpm_host::testing::messages;
use lpm_host::{Decision, LpmConfig, Pcm};
use lpm_tests::library;
use lpm_tests::messages::admit;
use lpm_tests::platform::assert_gone;
use lpm_tests::process::in_own_process;

/// A server that knows Ada, and leaves Eve waiting.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let mut waiting = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut line = String::new();
            let _ = BufReader::new(&stream).read_line(&mut line);
            let answer = match line.trim() {
                "CN=Ada" => "yes",
                "CN=Eve" => {
                    waiting.push(stream);
                    continue;
                }
                _ => "no",
            };
            // An LPM that is stopped does not listen.
            let _ = writeln!(stream, "{answer}");
        }
    });
    address
}

fn path(user: &str) -> Vec<u8> {
    let message = messages::path().user(user).build();
    message.view().bytes().to_vec()
}

#[test]
fn it_asks_and_leaves_nothing() {
    in_own_process("it_asks_and_leaves_nothing", || {
        let address = server().to_string();
        let pcm = Pcm::builder()
            .lpm(LpmConfig::new("asks", library("asks-server")).config(address.as_str()));
        let events = lpm_tests::RecordedEvents::default();
        let pcm = pcm.event_log(events.clone());
        let pcm = pcm.build().expect("builds");
        let mut open_files = Vec::new();
        for _ in 0..5 {
            pcm.become_dsbm().expect("starts");
            let decided =
                |user: &str| admit(&pcm, &path(user)).expect("in charge").flows()[0].decision;
            assert_eq!(
                decided("CN=Ada"),
                Decision::accept(Priority::MIN),
                "{:?}",
                events.all()
            );
            assert_eq!(
                decided("CN=Mallory"),
                Decision::reject(LpmPolicyError::UnknownUser)
            );
            let bytes = path("CN=Mallory");
            let why = lpm_tests::messages::with_received(&bytes, |received| {
                let verdict = pcm.admit(received).expect("in charge");
                pcm.explain(received, &verdict, 0)
            });
            let expected = format!("CN=Mallory: not known to the server {address}");
            assert_eq!(why, Some(expected));
            // It is stopped while a request is open: the answer would come in a second, or never.
            let bytes = path("CN=Eve");
            let open = lpm_tests::messages::with_received(&bytes, |received| {
                pcm.admit_later(received).expect("in charge")
            });
            let teardown = pcm.demote().expect("in charge");
            assert_gone(&teardown.libraries[0].outcome);
            assert!(matches!(
                open.wait().flows()[0].decision,
                Decision::Reject(_)
            ));
            open_files.push(fs::read_dir("/proc/self/fd").expect("procfs").count());
        }
        // A connection that the server keeps, and the two sockets of tokio's feature `signal`,
        // which `pcm` has and so all of this workspace gets. The first cycle may set up what the
        // host keeps.
        let kept = open_files[4] - open_files[1];
        assert!(kept <= 3 * (1 + 2), "{open_files:?}");
    });
}
