//! A new build of an LPM in place of one that serves: it takes over what it is to know, and no flow
//! is lost.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path as FilePath;

use lpm_rsvp::build::{Path, PathTear};
use lpm_rsvp::{FilterSpec, MessageType, Session, TimeValues};

use crate::net::{Net, RECEIVER, SENDER, can_make_networks, hop, tspec, user};
use crate::support::{eventually, sample_library};
use crate::to;

/// As many flows as the policy allows to one user.
const ALLOWED: u16 = 10;

fn session(flow: u16) -> Session {
    Session::new(RECEIVER, 17, 6_000 + flow).unwrap()
}

fn sender_of(flow: u16) -> FilterSpec {
    FilterSpec::new(SENDER, 1_000 + flow)
}

fn path(flow: u16) -> Vec<u8> {
    let own = hop(SENDER, 7);
    let path = Path::new(
        session(flow),
        own,
        TimeValues::DEFAULT,
        sender_of(flow),
        tspec(1e4),
    );
    path.policy_data(user("CN=Bob")).build().unwrap()
}

fn tear(flow: u16) -> Vec<u8> {
    let tear = PathTear::new(session(flow), hop(SENDER, 7), sender_of(flow));
    tear.build().unwrap()
}

/// A new build of a library, put in place as an installer does it.
fn build_anew(library: &FilePath) {
    let aside = library.with_extension("new");
    fs::copy(library, &aside).unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(&aside).unwrap();
    file.write_all(b"another build").unwrap();
    drop(file);
    fs::rename(&aside, library).unwrap();
}

#[test]
fn a_new_build_of_an_lpm_knows_its_flows_and_none_is_lost() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let [program, library] = ["pcm", "lpm.so"].map(|name| folder.path().join(name));
    fs::copy(env!("CARGO_BIN_EXE_pcm"), &program).unwrap();
    let identity = sample_library().with_file_name(lpm_fixtures::file_name("lpm-identity"));
    fs::copy(identity, &library).unwrap();
    let events = folder.path().join("events.log");
    let tables = format!(
        "[run]\ncontrol = {:?}\n[[events]]\nto = 'file'\npath = {events:?}\n",
        folder.path().join("control")
    );
    let pcm = net.pcm_by(&tables, &program, &[], &[]);
    let (sender, receiver) = (net.sender(), net.receiver());
    let announce = |flow| sender.send(SENDER, to(RECEIVER), path(flow));
    let is_of = |flow, came: &crate::net::Came| {
        came.read(|message| message.session().map(|session| session.with_flags(0)))
            == Some(session(flow))
    };
    let is_granted = |flow| {
        announce(flow);
        eventually("a Path goes on, or is refused", || {
            if receiver
                .take(MessageType::Path)
                .is_some_and(|came| is_of(flow, &came))
            {
                return Some(true);
            }
            let refused = sender.take(MessageType::PathErr);
            refused
                .is_some_and(|came| is_of(flow, &came))
                .then_some(false)
        })
    };
    for flow in 0..ALLOWED {
        assert!(is_granted(flow));
    }
    assert!(!is_granted(ALLOWED));
    for round in 1..=2 {
        build_anew(&library);
        pcm.signal("HUP");
        eventually("the new build serves", || {
            // Refreshes go on meanwhile.
            (0..ALLOWED).for_each(announce);
            let log = fs::read_to_string(&events).unwrap_or_default();
            (log.matches("lpm_took_over").count() == round).then_some(())
        });
        assert!(!is_granted(ALLOWED), "round {round}: flows are counted on");
    }
    // None was torn down, and one that is makes room for one.
    assert!(!receiver.has(MessageType::PathTear));
    let control = folder.path().join("control");
    let asked = ["sessions", "--socket", control.to_str().unwrap()];
    let sessions = crate::support::pcm(&asked).stdout;
    assert_eq!(
        sessions.matches("CN=Bob").count(),
        usize::from(ALLOWED),
        "{sessions}"
    );
    sender.send(SENDER, to(RECEIVER), tear(0));
    receiver.next(MessageType::PathTear);
    assert!(is_granted(ALLOWED));
    assert!(!is_granted(ALLOWED + 1));
    assert_eq!(pcm.stop("TERM"), Some(143));
}
