//! What an LPM in a process of its own may take and do, and that it does no more.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use lpm_host::event::EventId;
use lpm_host::{Confinement, Decision, Isolation, LpmConfig, Pcm};
use lpm_tests::messages::{admit, path};
use lpm_tests::{RecordedEvents, fixture, runner};

fn tries(what: &str) -> LpmConfig {
    fixture("tries").config(what).isolation(Isolation::Process)
}

fn started(lpm: LpmConfig) -> (Pcm, RecordedEvents) {
    let events = RecordedEvents::default();
    let pcm = Pcm::builder().lpm(lpm).runner(runner());
    let pcm = pcm.event_log(events.clone()).build().expect("builds");
    pcm.become_dsbm().expect("starts");
    (pcm, events)
}

/// The number of the error that comes of trying this; `None` where it goes well, or where the
/// kernel does not have what it takes, which is an event then.
fn comes_to(what: &str, confinement: Confinement) -> Result<Option<u16>, String> {
    let (pcm, events) = started(tries(what).confine(confinement));
    let verdict = admit(&pcm, &path(4000)).expect("in charge");
    if let Some(missing) = events.of(EventId::LpmNotConfined).pop() {
        return Err(missing.detail);
    }
    Ok(match verdict.flows()[0].decision {
        Decision::Accept(_) => None,
        Decision::Reject(reason) => Some(reason.value()),
        other => panic!("{other:?}"),
    })
}

/// It goes well as it is, and confined so it fails with this error.
fn is_kept_from(what: &str, confinement: Confinement, error: i32) {
    assert_eq!(comes_to(what, Confinement::default()), Ok(None), "{what}");
    let error = u16::try_from(error).expect("a small number");
    match comes_to(what, confinement) {
        Ok(found) => assert_eq!(found, Some(error), "{what}"),
        Err(missing) => assert!(missing.contains("not restricted"), "{missing}"),
    }
}

#[test]
fn memory_and_files_are_limited() {
    let little = Confinement::default().memory(256 << 20);
    is_kept_from("memory 1000", little.clone(), libc::ENOMEM);
    assert!(!matches!(comes_to("memory 10", little), Ok(Some(_))));
    let few = Confinement::default().open_files(64);
    is_kept_from("files 100", few.clone(), libc::EMFILE);
    assert_eq!(comes_to("files 10", few), Ok(None));
}

#[test]
fn time_of_processors_is_limited() {
    let short = Confinement::default().cpu_time(Duration::from_secs(1));
    let hours = Duration::from_secs(3600);
    let lpm = tries("processors").result_time_limit(hours).confine(short);
    let (pcm, events) = started(lpm);
    let verdict = admit(&pcm, &path(4000)).expect("in charge");
    assert!(matches!(verdict.flows()[0].decision, Decision::Reject(_)));
    let ended = events.of(EventId::LpmProcessEnded).remove(0);
    // The soft limit is the hard one, at which it is killed.
    assert!(ended.detail.contains("killed by signal"), "{ended:?}");
}

#[test]
fn no_programs_are_started_but_threads_are() {
    let alone = Confinement::default().no_new_processes();
    is_kept_from("program", alone.clone(), libc::EPERM);
    // Also where the kernel cannot do it.
    assert!(!matches!(comes_to("thread", alone), Ok(Some(_))));
}

#[test]
fn the_network_is_out_of_reach() {
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = server.local_addr().expect("it has one");
    let offline = Confinement::default().no_network();
    is_kept_from(&format!("connect {address}"), offline.clone(), libc::EACCES);
    is_kept_from("datagram", offline, libc::EACCES);
}

#[test]
fn only_the_files_that_are_named_can_be_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let inside = |name: &str| folder.path().join(name).display().to_string();
    for (name, text) in [("read/file", "r"), ("write/file", "w"), ("file", "o")] {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        fs::write(file, text).expect("written");
    }
    let some = Confinement::default().files([inside("read")], [inside("write")]);
    for what in ["read read/file", "read write/file", "write write/other"] {
        let (verb, name) = what.split_once(' ').expect("two words");
        let what = format!("{verb} {}", inside(name));
        // Also where the kernel cannot do it.
        assert!(
            matches!(comes_to(&what, some.clone()), Ok(None) | Err(_)),
            "{what}"
        );
    }
    for what in ["read file", "write read/file", "write file"] {
        let (verb, name) = what.split_once(' ').expect("two words");
        is_kept_from(
            &format!("{verb} {}", inside(name)),
            some.clone(),
            libc::EACCES,
        );
    }
    let absent = Confinement::default().files([inside("absent")], []);
    let pcm = Pcm::builder()
        .lpm(tries("").confine(absent))
        .runner(runner());
    let error = pcm.build().expect("builds").become_dsbm();
    let error = error.expect_err("it cannot be opened").to_string();
    assert!(error.contains("absent: No such file"), "{error}");
}

/// Everything at once, and it still does what it is for; as another user where this one may say so.
#[test]
fn one_that_may_nothing_decides() {
    let nothing = Confinement::default()
        .memory(512 << 20)
        .cpu_time(Duration::from_secs(600))
        .open_files(64)
        .no_new_processes()
        .no_network()
        .files::<&str>([], []);
    let is_root = fs::metadata("/proc/self").expect("Linux has it").uid() == 0;
    let nothing = match is_root {
        true => nothing.user(65_534, 65_534),
        false => nothing,
    };
    let (pcm, _) = started(tries("user").confine(nothing.clone()));
    let verdict = admit(&pcm, &path(4000)).expect("in charge");
    assert!(
        matches!(verdict.flows()[0].decision, Decision::Reject(_)),
        "it is nobody"
    );
    let process = pcm.status().lpms[0]
        .initialized
        .as_ref()
        .and_then(|it| it.process);
    let status = format!("/proc/{}/status", process.expect("it has one"));
    let status = fs::read_to_string(status).expect("Linux tells");
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    let teardown = pcm.demote().expect("in charge");
    assert_eq!(teardown.lpms[0].status, lpm_host::LpmStatus::OK);
    // It ends with its PCM all the same.
    let lpm = fixture("accepts")
        .isolation(Isolation::Process)
        .confine(nothing);
    let (pcm, _) = started(lpm);
    let process = pcm.status().lpms[0]
        .initialized
        .as_ref()
        .and_then(|it| it.process);
    drop(pcm);
    let folder = format!("/proc/{}", process.expect("it has one"));
    let until = Instant::now() + Duration::from_secs(60);
    while Path::new(&folder).exists() {
        assert!(Instant::now() < until, "it is still there");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn only_a_process_can_be_confined() {
    let lpm = fixture("accepts").confine(Confinement::default().no_network());
    let error = Pcm::builder().lpm(lpm).build().expect_err("it is here");
    assert!(error.to_string().contains("process of its own"), "{error}");
}
