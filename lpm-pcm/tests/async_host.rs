//! The asynchronous host of the book: the example, driven over its socket and by signals.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

#[allow(dead_code, reason = "it is a program, and its `main` is not called")]
#[path = "../examples/async_host.rs"]
mod async_host;
mod support;

use std::fs;
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use lpm_host::testing::messages;
use lpm_rsvp::{Message, MessageType, ObjectIndex};

#[test]
fn it_is_at_most_80_lines() {
    let lines = include_str!("../examples/async_host.rs").lines();
    let code = lines.filter(|line| !line.is_empty() && !line.starts_with("//!"));
    assert!(code.count() <= 80);
}

#[test]
fn it_answers_takes_another_configuration_and_ends() {
    let refuses = "[default]\npriority = 7\n[unauthenticated]\nreject = 'no_privileges'\n";
    let folder = support::configured_with(refuses, "");
    let config = folder.path().join("pcm.toml");
    let host = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = host.local_addr().unwrap();
    let neighbour = UdpSocket::bind("127.0.0.1:0").unwrap();
    neighbour
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let path = messages::path().build();
    // The host is a thread of this process: it handles the signals as soon as it answers.
    let serving = {
        let config = config.clone();
        std::thread::spawn(move || {
            host.set_nonblocking(true).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async {
                let socket = tokio::net::UdpSocket::from_std(host).unwrap();
                async_host::serve(&config, socket)
                    .await
                    .map_err(|error| error.to_string())
            })
        })
    };
    // What it says of a flow without a user: the error's value.
    let ask = || {
        neighbour.send_to(path.view().bytes(), address).unwrap();
        let mut answer = [0; 1024];
        let length = neighbour.recv(&mut answer).ok()?;
        let mut index = ObjectIndex::new();
        let answer = Message::parse(&answer[..length], &mut index).unwrap();
        assert_eq!(answer.message_type(), MessageType::PathErr);
        let error = answer.error_spec().unwrap();
        assert_eq!((error.node, error.code), (address.ip(), 2));
        Some(error.value)
    };
    support::eventually("a refusal", || ask().filter(|value| *value == 50));

    let signal = |name: &str| {
        let pid = std::process::id().to_string();
        assert!(
            Command::new("kill")
                .args([name, &pid])
                .status()
                .unwrap()
                .success()
        );
    };
    let text = fs::read_to_string(&config).unwrap();
    let text = text.replace("no_privileges", "unknown_user");
    fs::write(&config, text).unwrap();
    signal("-HUP");
    support::eventually("another refusal", || ask().filter(|value| *value == 49));
    signal("-TERM");
    assert_eq!(serving.join().unwrap(), Ok(()));
}
