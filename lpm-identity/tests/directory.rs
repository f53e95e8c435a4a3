//! The directory, with real OpenLDAP servers.
#![cfg(target_os = "linux")]

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/slapd.rs"]
mod slapd;
mod support;

use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use certificates::Certificates;
use lpm_api::lpm_rsvp::{Message, ObjectIndex};
use lpm_api::{Decision, DeinitReason, Lpm, LpmPolicyError, Metric, Priority, Scope};
use lpm_identity::IdentityLpm;
use lpm_identity::config::Config;
use lpm_identity::consider::{Facts, Verdict};
use slapd::Slapd;
use support::{anywhere, auth_user, on, path, policy_data};

const POLICY: &str = "
[[subnet]]
name = 'Lab'
prefixes = ['10.1.0.0/16']
[default]
priority = 100
max_flows = 2
[unauthenticated]
priority = 1
[[group]]
name = 'Engineering'
max_sum_flow_rate = '3 Mbit/s'
[[user]]
id = 'local'
priority = 7
";

const MBIT: f32 = 125_000.0;

/// Longer than anything here takes, however slow the machine is.
const LONG: Duration = Duration::from_secs(120);

fn lpm(servers: &[String], more: &str) -> IdentityLpm {
    lpm_from(servers, more, None)
}

fn lpm_from(servers: &[String], more: &str, folder: Option<&Path>) -> IdentityLpm {
    let config = format!(
        "{POLICY}\n[directory]\nservers = {servers:?}\nuser_base = 'ou=people,o=office'\n\
         group_base = 'ou=groups,o=office'\npolicy_base = 'ou=acs,o=office'\n{more}"
    );
    IdentityLpm::start(Config::read(&config, "test", folder).unwrap()).unwrap()
}

/// A Path's decisions, when they are there; whether somebody had to be looked up.
fn ask(lpm: &IdentityLpm, facts: Facts, path: &[u8]) -> (Decision, bool) {
    let (later, waits) = ask_later(lpm, facts, path);
    (later.recv_timeout(LONG).expect("a decision"), waits)
}

fn ask_later(lpm: &IdentityLpm, facts: Facts, path: &[u8]) -> (mpsc::Receiver<Decision>, bool) {
    let mut index = ObjectIndex::new();
    let message = Message::parse(path, &mut index).unwrap();
    let consideration = lpm.consider(message, facts);
    let flow = message.flow_descriptors().next().unwrap();
    let verdict = consideration.decide(&flow);
    drop(consideration);
    let (sender, receiver) = mpsc::channel();
    let waits = match verdict {
        Verdict::Decided(decision) => {
            sender.send(decision).unwrap();
            false
        }
        wait @ Verdict::Later(_) => {
            lpm.decide_later([wait].into_iter().collect(), move |decisions| {
                let _ = sender.send(decisions[0]);
            });
            true
        }
    };
    (receiver, waits)
}

fn of(session: u8, rate: f32, dn: &str, id: &str) -> Vec<u8> {
    path(session, 1, rate, &[policy_data(&[auth_user(dn, id)])])
}

/// What is decided for a user by ID who asks for nearly nothing.
fn decision(lpm: &IdentityLpm, id: &str) -> Decision {
    ask(lpm, anywhere(), &of(99, 1.0, "", id)).0
}

fn accept(priority: u16) -> Decision {
    Decision::accept(Priority::new(priority).unwrap())
}

fn limit(metric: Metric, scope: Scope) -> Decision {
    Decision::reject(LpmPolicyError::Limit(metric, scope))
}

const UNREACHABLE: Decision = Decision::reject(LpmPolicyError::NoResources);

fn end(lpm: IdentityLpm) {
    lpm.deinitialize(DeinitReason::Shutdown).unwrap();
}

#[test]
fn users_groups_and_limits_are_those_of_the_directory() {
    if !slapd::installed() {
        return;
    }
    let server = Slapd::start("");
    let lpm = lpm(&[server.url()], "");
    let now =
        |session, rate, dn: &str, id: &str| ask(&lpm, anywhere(), &of(session, rate, dn, id)).0;

    // Of her own, of her group in the directory, of the group of that name in the policy.
    assert_eq!(now(1, 1.0 * MBIT, "", "Ada"), accept(300));
    assert_eq!(
        now(2, 9.0 * MBIT, "", "ada"),
        limit(Metric::FlowRate, Scope::GlobalUser)
    );
    assert_eq!(
        now(2, 2.5 * MBIT, "", "ada"),
        limit(Metric::SumFlowRate, Scope::GlobalGroup)
    );
    // By DN she is the same, whatever its spelling.
    let dn = "UID=Ada, OU=People, O=Office";
    assert_eq!(
        now(2, 2.5 * MBIT, dn, ""),
        limit(Metric::SumFlowRate, Scope::GlobalGroup)
    );
    assert_eq!(now(2, 1.0 * MBIT, dn, ""), accept(300));
    assert_eq!(now(3, 0.0, dn, ""), accept(300));
    assert_eq!(
        now(4, 0.0, dn, ""),
        limit(Metric::FlowCount, Scope::GlobalGroup)
    );
    // On the subnet of the policy that the directory has an entry for.
    let in_lab = |session| ask(&lpm, on("10.1.0.1", 0), &of(session, 0.0, dn, "")).0;
    assert_eq!(in_lab(5), accept(300));
    assert_eq!(in_lab(6), limit(Metric::FlowCount, Scope::SubnetUser));

    assert_eq!(
        now(7, 2.5 * MBIT, "", "grace"),
        limit(Metric::FlowRate, Scope::GlobalGroup)
    );
    assert_eq!(
        now(8, 0.0, "", "charles"),
        Decision::reject(LpmPolicyError::NoPrivileges)
    );
    // The directory knows nobody of these names; a filter's special characters are but letters.
    for stranger in ["mallory", "*", "ada)(uid=*", "a\\64a"] {
        assert_eq!(now(9, 0.0, "", stranger), accept(1), "{stranger}");
    }
    for dn in [
        "cn=engineering,ou=groups,o=office",
        "uid=nobody,ou=people,o=office",
        "o=office",
    ] {
        assert_eq!(now(10, 0.0, dn, ""), accept(1), "{dn}");
    }
    assert_eq!(
        now(11, 0.0, "", "local"),
        accept(7),
        "the policy comes first"
    );
    end(lpm);
}

#[test]
fn who_was_found_is_remembered_and_that_nobody_was_too() {
    if !slapd::installed() {
        return;
    }
    let server = Slapd::start("");
    let lpm = lpm(&[server.url()], "cache_nobody_for = 0\n");
    let waits = |id: &str| ask(&lpm, anywhere(), &of(1, 1.0, "", id)).1;
    assert!(waits("ada"));
    assert!(!waits("ADA"));
    assert!(waits("mallory"));
    assert!(waits("mallory"));
    end(lpm);
}

#[test]
fn an_entry_that_cannot_be_used_refuses_its_user_only() {
    if !slapd::installed() {
        return;
    }
    let server = Slapd::start(
        "dn: cn=grace,ou=acs,o=office\nobjectClass: aCSPolicy\ncn: grace\n\
         aCSIdentityName: grace\naCSPriority: 70000\n",
    );
    let lpm = lpm(&[server.url()], "");
    assert_eq!(decision(&lpm, "grace"), UNREACHABLE);
    assert_eq!(decision(&lpm, "ada"), accept(300));
    end(lpm);
}

#[test]
fn the_second_server_is_asked_when_the_first_one_stops() {
    if !slapd::installed() {
        return;
    }
    let (first, second) = (Slapd::start(""), Slapd::start(""));
    let lpm = lpm(
        &[first.url(), second.url()],
        "cache_for = 0\nretry_after = 3600\n",
    );
    assert_eq!(decision(&lpm, "ada"), accept(300));
    assert_eq!((first.connections(), second.connections()), (1, 0));
    drop(first);
    assert_eq!(decision(&lpm, "ada"), accept(300));
    assert_eq!(second.connections(), 1);
    drop(second);
    assert_eq!(decision(&lpm, "ada"), UNREACHABLE);
    end(lpm);
}

#[test]
fn the_first_server_is_asked_again_after_a_while() {
    if !slapd::installed() {
        return;
    }
    let (first, second) = (Slapd::start(""), Slapd::start(""));
    let more = "cache_for = 0\nretry_after = 0\ntime_limit = 1\n";
    let lpm = lpm(&[first.url(), second.url()], more);
    // On a slow machine, the time limit may pass for either server, time and again.
    let until = |server: &Slapd| {
        let start = Instant::now();
        while decision(&lpm, "ada") != accept(300) || server.connections() == 0 {
            assert!(start.elapsed() < LONG);
        }
    };
    first.pause(true);
    until(&second);
    first.pause(false);
    until(&first);
    end(lpm);
}

#[test]
fn a_server_that_does_not_answer_holds_up_nobody_else() {
    if !slapd::installed() {
        return;
    }
    let server = Slapd::start("");
    let lpm = lpm(&[server.url()], "time_limit = 3600\n");
    assert_eq!(decision(&lpm, "ada"), accept(300));
    server.pause(true);
    let (hangs, waits) = ask_later(&lpm, anywhere(), &of(1, 1.0, "", "grace"));
    assert!(waits);
    for round in 0..1_000 {
        let user = ["ada", "local", ""][round % 3];
        let (decision, waits) = ask(&lpm, anywhere(), &of(99, 1.0, "", user));
        assert!(matches!(decision, Decision::Accept(_)) && !waits);
    }
    assert!(hangs.try_recv().is_err(), "it still hangs");
    server.pause(false);
    assert_eq!(hangs.recv_timeout(LONG), Ok(accept(300)));
    end(lpm);
}

#[test]
fn a_slow_server_is_left_alone_after_its_time_limit() {
    if !slapd::installed() {
        return;
    }
    let server = Slapd::start("");
    server.pause(true);
    let lpm = lpm(&[server.url()], "time_limit = 1\nretry_after = 3600\n");
    assert_eq!(decision(&lpm, "ada"), UNREACHABLE);
    server.pause(false);
    assert_eq!(decision(&lpm, "ada"), UNREACHABLE, "it is left alone");
    assert_eq!(server.connections(), 0);
    end(lpm);
}

#[test]
fn what_is_remembered_is_used_when_no_server_answers_where_that_is_wanted() {
    if !slapd::installed() {
        return;
    }
    let server = Slapd::start("");
    let more = "cache_for = 0\nretry_after = 3600\nwhen_unreachable = 'use_cache'\n";
    let lpm = lpm(&[server.url()], more);
    assert_eq!(decision(&lpm, "ada"), accept(300));
    drop(server);
    assert_eq!(decision(&lpm, "ada"), accept(300));
    assert_eq!(decision(&lpm, "grace"), UNREACHABLE);
    end(lpm);
}

#[test]
fn every_connection_is_closed_when_deinitialize_returns() {
    if !slapd::installed() {
        return;
    }
    let (first, second) = (Slapd::start(""), Slapd::start(""));
    let more =
        "time_limit = 3600\nbind_dn = 'cn=admin,o=office'\nbind_password_file = 'password'\n";
    for round in ["idle", "with a lookup that hangs"] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("password"), "secret\n").unwrap();
        let servers = [first.url(), second.url()];
        let lpm = lpm_from(&servers, more, Some(folder.path()));
        assert_eq!(decision(&lpm, "ada"), accept(300));
        assert_eq!(first.connections(), 1, "{round}");
        let hangs = (round != "idle").then(|| {
            first.pause(true);
            ask_later(&lpm, anywhere(), &of(1, 1.0, "", "grace")).0
        });
        end(lpm);
        assert_eq!(
            (first.connections(), second.connections()),
            (0, 0),
            "{round}"
        );
        if let Some(hangs) = hangs {
            let dropped = Err(mpsc::TryRecvError::Disconnected);
            assert_eq!(hangs.try_recv(), dropped, "nobody waits any more");
            first.pause(false);
        }
    }
}

#[test]
fn a_wrong_password_is_no_way_in() {
    if !slapd::installed() {
        return;
    }
    let server = Slapd::start("");
    let folder = tempfile::tempdir().unwrap();
    let more = "retry_after = 0\nbind_dn = 'cn=admin,o=office'\nbind_password_file = 'password'\n";
    let lpm = lpm_from(&[server.url()], more, Some(folder.path()));
    assert_eq!(decision(&lpm, "ada"), UNREACHABLE, "no such file");
    fs::write(folder.path().join("password"), "guess\n").unwrap();
    assert_eq!(decision(&lpm, "ada"), UNREACHABLE);
    fs::write(folder.path().join("password"), "secret\n").unwrap();
    assert_eq!(decision(&lpm, "ada"), accept(300));
    end(lpm);
}

#[test]
fn tls_takes_servers_that_are_trusted_only() {
    if !slapd::installed() {
        return;
    }
    let Some(certificates) = Certificates::new() else {
        return;
    };
    let (certificate, key) = (
        certificates.file("server.pem"),
        certificates.file("server.key"),
    );
    for (scheme, start_tls) in [("ldaps", false), ("ldap", true)] {
        let server = Slapd::start_tls(scheme, &certificate, &key);
        for (ca, expected) in [("server.pem", accept(300)), ("other.pem", UNREACHABLE)] {
            let more = format!("start_tls = {start_tls}\nca_file = '{ca}'\n");
            let folder = Some(certificates.folder.path());
            let lpm = lpm_from(&[server.url()], &more, folder);
            assert_eq!(decision(&lpm, "ada"), expected, "{scheme} {ca}");
            end(lpm);
            assert_eq!(server.connections(), 0);
        }
    }
    // A server without TLS is not spoken to in clear text instead.
    let plain = Slapd::start("");
    let lpm = lpm_from(
        &[plain.url()],
        "start_tls = true\nca_file = 'server.pem'\n",
        Some(certificates.folder.path()),
    );
    assert_eq!(decision(&lpm, "ada"), UNREACHABLE);
    end(lpm);
}
