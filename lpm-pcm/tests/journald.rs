//! Events to the journal: to a socket that speaks its protocol, and to a real systemd-journald.
//!
//! The socket's path is fixed, so `pcm` runs in a mount namespace of its own.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

mod support;

use std::collections::HashMap;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::thread;

use serde_json::Value;
use support::{Run, configured, office};

const EVENTS: &str = "[[events]]\nto = 'journald'\n";

/// Runs a script with an empty `/run` that only it sees; `None`, with a word on it, where the
/// system does not allow that.
fn in_namespace(script: &str, arguments: &[&Path]) -> Option<Run> {
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-ec"]);
        command
    };
    let may = unshare().arg("mount -t tmpfs none /run").output();
    if !may.is_ok_and(|output| output.status.success()) {
        eprintln!("not checked: no mount namespace of our own here");
        return None;
    }
    let script = format!("mount -t tmpfs none /run; mkdir -p /run/systemd/journal; {script}");
    let output = unshare().arg(script).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Some(Run {
        status: output.status.code().unwrap(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    })
}

fn is_last(entry: &HashMap<String, String>) -> bool {
    entry["LPM_EVENT"] == "shut_down"
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names
}

/// A datagram of the native protocol: `NAME=value` lines, or `NAME`, the length as 64 bits little
/// endian, and the value.
fn fields(mut datagram: &[u8]) -> HashMap<String, String> {
    let mut fields = HashMap::new();
    while !datagram.is_empty() {
        let end = datagram
            .iter()
            .position(|byte| *byte == b'\n')
            .expect("a line");
        let line = std::str::from_utf8(&datagram[..end]).unwrap();
        datagram = &datagram[end + 1..];
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None => {
                let (length, rest) = datagram.split_first_chunk().expect("a length");
                let length = usize::try_from(u64::from_le_bytes(*length)).unwrap();
                assert_eq!(rest[length], b'\n');
                datagram = &rest[length + 1..];
                (line, String::from_utf8(rest[..length].to_vec()).unwrap())
            }
        };
        fields.insert(name.to_owned(), value);
    }
    fields
}

#[test]
fn fields_over_the_native_protocol() {
    let folder = configured(EVENTS);
    let journal = folder.path().join("journal");
    std::fs::create_dir(&journal).unwrap();
    let socket = UnixDatagram::bind(journal.join("socket")).unwrap();
    // The socket holds a few datagrams only.
    let reader = thread::spawn(move || {
        let mut entries = Vec::new();
        let mut buffer = vec![0; 1 << 18];
        while !entries.iter().any(is_last) {
            let length = socket.recv(&mut buffer).unwrap();
            // The first one only asks whether somebody listens.
            if length > 0 {
                entries.push(fields(&buffer[..length]));
            }
        }
        entries
    });
    let run = in_namespace(
        "mount --bind \"$0\" /run/systemd/journal; exec \"$1\" replay --format json --config \"$2\" \"$3\"",
        &[
            &journal,
            Path::new(env!("CARGO_BIN_EXE_pcm")),
            &folder.path().join("pcm.toml"),
            &office(),
        ],
    );
    let Some(run) = run else { return };
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert!(!run.stderr.contains("events to"), "{}", run.stderr);

    let entries = reader.join().unwrap();
    let names = entries.iter().map(|entry| entry["LPM_EVENT"].clone());
    assert_eq!(sorted(names), run.events());
    let failed = entries
        .iter()
        .find(|entry| entry["LPM_EVENT"] == "lpm_load_failed")
        .unwrap();
    assert_eq!(failed["PRIORITY"], "3");
    assert_eq!(failed["LPM_EVENT_ID"], "11");
    assert_eq!(failed["LPM_NAME"], "absent");
    assert!(failed["LPM_LIBRARY"].ends_with("not-there.so"));
    assert!(failed["MESSAGE"].contains("not-there.so"), "{failed:?}");
    assert_eq!(failed["SYSLOG_IDENTIFIER"], "pcm");
    let ended = entries
        .iter()
        .find(|entry| entry["LPM_EVENT"] == "lpm_deinitialized")
        .unwrap();
    assert_eq!((&*ended["PRIORITY"], &*ended["LPM_STATUS"]), ("6", "0"));
    assert!(ended["LPM_HANDLE"].parse::<u64>().is_ok());
}

#[test]
fn a_real_journald_shows_them() {
    let daemon = [
        "/usr/lib/systemd/systemd-journald",
        "/lib/systemd/systemd-journald",
    ];
    let Some(daemon) = daemon.into_iter().map(Path::new).find(|path| path.exists()) else {
        return eprintln!("not checked: there is no systemd-journald here");
    };
    let folder = configured(EVENTS);
    let run = in_namespace(
        "mkdir -p /run/log/journal
         \"$0\" & daemon=$!
         trap 'kill $daemon' EXIT
         for _ in $(seq 3000); do [ -S /run/systemd/journal/socket ] && break; sleep 0.1; done
         \"$1\" replay --format json --config \"$2\" \"$3\"
         for _ in $(seq 3000); do
             journalctl -D /run/log/journal -o json LPM_EVENT=shut_down | grep -q . && break
             sleep 0.1
         done
         journalctl -D /run/log/journal -o json SYSLOG_IDENTIFIER=pcm",
        &[
            daemon,
            Path::new(env!("CARGO_BIN_EXE_pcm")),
            &folder.path().join("pcm.toml"),
            &office(),
        ],
    );
    let Some(run) = run else { return };
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert!(!run.stderr.contains("events to"), "{}", run.stderr);
    // The program's output, and then the journal's.
    let entries = run
        .json()
        .into_iter()
        .filter(|entry| entry.get("LPM_EVENT").is_some());
    let entries: Vec<Value> = entries.collect();
    let names = entries
        .iter()
        .map(|entry| entry["LPM_EVENT"].as_str().unwrap().to_owned());
    assert_eq!(sorted(names), run.events());
    let failed = entries
        .iter()
        .find(|entry| entry["LPM_EVENT"] == "lpm_load_failed")
        .unwrap();
    assert_eq!(failed["PRIORITY"], "3");
    assert_eq!(failed["LPM_EVENT_ID"], "11");
    assert_eq!(failed["LPM_NAME"], "absent");
}
