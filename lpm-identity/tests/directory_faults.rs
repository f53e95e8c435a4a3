//! Directories that misbehave: what is not whole refuses, nothing ends the process, and nobody is
//! locked out.
#![cfg(target_os = "linux")]

#[path = "support/fake_ldap.rs"]
mod fake_ldap;
#[path = "support/slapd.rs"]
mod slapd;
mod support;

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use fake_ldap::{FakeLdap, Search, element};
use lpm_api::lpm_rsvp::{Message, ObjectIndex};
use lpm_api::{Decision, DeinitReason, Lpm, LpmPolicyError, Priority};
use lpm_identity::IdentityLpm;
use lpm_identity::config::Config;
use lpm_identity::consider::Verdict;
use slapd::Slapd;
use support::{anywhere, auth_user, path, policy_data};

/// Everybody who is nobody's user would be let in.
const POLICY: &str = "[default]\npriority = 100\n[unauthenticated]\npriority = 1\n";
const REFUSED: Decision = Decision::reject(LpmPolicyError::NoResources);

/// Longer than anything here takes, however slow the machine is.
const LONG: Duration = Duration::from_secs(120);

fn lpm(servers: &[String], more: &str) -> IdentityLpm {
    let limit = if more.contains("time_limit") {
        ""
    } else {
        "time_limit = 100\n"
    };
    let config = format!(
        "{POLICY}[directory]\nservers = {servers:?}\nuser_base = 'ou=people,o=office'\n\
         policy_base = 'ou=acs,o=office'\n{limit}{more}"
    );
    IdentityLpm::start(Config::read(&config, "test", None).unwrap()).unwrap()
}

/// Asks for somebody's flow; the decision comes when it is there.
fn ask(lpm: &IdentityLpm, session: u8, id: &str) -> mpsc::Receiver<Decision> {
    let path = path(session, 1, 1.0, &[policy_data(&[auth_user("", id)])]);
    let mut index = ObjectIndex::new();
    let message = Message::parse(&path, &mut index).unwrap();
    let consideration = lpm.consider(message, anywhere());
    let verdict = consideration.decide(&message.flow_descriptors().next().unwrap());
    drop(consideration);
    let (sender, decided) = mpsc::channel();
    match verdict {
        Verdict::Decided(decision) => sender.send(decision).unwrap(),
        later @ Verdict::Later(_) => {
            lpm.decide_later([later].into_iter().collect(), move |decisions| {
                let _ = sender.send(decisions[0]);
            });
        }
    }
    decided
}

fn decision(lpm: &IdentityLpm, id: &str) -> Decision {
    ask(lpm, 1, id).recv_timeout(LONG).expect("a decision")
}

fn accept(priority: u16) -> Decision {
    Decision::accept(Priority::new(priority).unwrap())
}

fn end(lpm: IdentityLpm) {
    lpm.deinitialize(DeinitReason::Shutdown).unwrap();
}

/// Honest about everybody but `mallory`.
fn honest_but(of_mallory: impl Fn(&Search) -> Option<Vec<u8>> + Send + Sync + 'static) -> FakeLdap {
    FakeLdap::start(move |search| {
        let user = ["ada", "grace"]
            .into_iter()
            .find(|name| search.is_about(name));
        match user {
            Some(name) => Some(search.honest(name, "300")),
            None if search.is_about("mallory") => of_mallory(search),
            None => Some(search.done(0)),
        }
    })
}

#[test]
fn an_honest_server_is_believed() {
    let server = honest_but(|search| Some(search.honest("mallory", "7")));
    let lpm = lpm(&[server.url()], "");
    assert_eq!(decision(&lpm, "ada"), accept(300));
    assert_eq!(decision(&lpm, "mallory"), accept(7));
    assert_eq!(decision(&lpm, "nobody"), accept(1));
    end(lpm);
}

#[test]
fn what_is_not_whole_refuses_whatever_is_remembered() {
    type Lie = fn(&Search) -> Vec<u8>;
    fn policy(search: &Search, attributes: &[(&str, &[&[u8]])]) -> Vec<u8> {
        if search.is_for_user() {
            return search.honest("mallory", "");
        }
        let mut all: Vec<(&str, &[&[u8]])> = vec![("aCSIdentityName", &[b"mallory"])];
        all.extend(attributes);
        [search.entry("cn=m,ou=acs,o=office", &all), search.done(0)].concat()
    }
    let lies: [(&str, Lie); 14] = [
        ("a size limit", |search| match search.is_for_user() {
            true => search.honest("mallory", ""),
            false => [search.entry("cn=m,ou=acs,o=office", &[]), search.done(4)].concat(),
        }),
        ("a time limit", |search| search.done(3)),
        ("no such base of policies", |search| {
            match search.is_for_user() {
                true => search.honest("mallory", ""),
                false => search.done(32),
            }
        }),
        ("no rights", |search| search.done(50)),
        ("a result of its own", |search| search.done(120)),
        ("a referral", |search| {
            [search.reference(), search.done(0)].concat()
        }),
        ("several users", |search| {
            let dns = [
                "uid=mallory,ou=people,o=office",
                "uid=other,ou=people,o=office",
            ];
            let entries: Vec<u8> = dns.iter().flat_map(|dn| search.entry(dn, &[])).collect();
            [entries, search.done(0)].concat()
        }),
        ("an empty DN", |search| {
            [search.entry("", &[]), search.done(0)].concat()
        }),
        ("no DN", |search| {
            [search.entry("mallory", &[]), search.done(0)].concat()
        }),
        ("a group that is no DN", |search| {
            match search.is_for_user() {
                true => {
                    let group: [(&str, &[&[u8]]); 1] = [("memberOf", &[b"engineering"])];
                    [
                        search.entry("uid=m,ou=people,o=office", &group),
                        search.done(0),
                    ]
                    .concat()
                }
                false => search.done(0),
            }
        }),
        ("a group that is no text", |search| {
            match search.is_for_user() {
                true => {
                    let group: [(&str, &[&[u8]]); 1] = [("memberOf", &[b"cn=\xff"])];
                    [
                        search.entry("uid=m,ou=people,o=office", &group),
                        search.done(0),
                    ]
                    .concat()
                }
                false => search.done(0),
            }
        }),
        ("an unreadable limit beside a refusal", |search| {
            policy(
                search,
                &[("aCSPermissionBits", &[b"0"]), ("aCSPriority", &[b"high"])],
            )
        }),
        ("a limit that is no text", |search| {
            policy(search, &[("aCSPriority", &[b"\xff"])])
        }),
        ("two limits in one", |search| {
            policy(search, &[("aCSPriority", &[b"1", b"9"])])
        }),
    ];
    for (what, lie) in lies {
        let lies = Arc::new(AtomicBool::new(false));
        let now = Arc::clone(&lies);
        let server = honest_but(move |search| {
            Some(match now.load(Ordering::SeqCst) {
                true => lie(search),
                false => search.honest("mallory", "7"),
            })
        });
        let more = "cache_for = 0\nwhen_unreachable = 'use_cache'\n";
        let lpm = lpm(&[server.url()], more);
        assert_eq!(decision(&lpm, "mallory"), accept(7), "{what}");
        lies.store(true, Ordering::SeqCst);
        assert_eq!(decision(&lpm, "mallory"), REFUSED, "{what}");
        assert_eq!(decision(&lpm, "ada"), accept(300), "nobody else: {what}");
        lies.store(false, Ordering::SeqCst);
        assert_eq!(decision(&lpm, "mallory"), accept(7), "not for good: {what}");
        end(lpm);
    }
}

#[test]
fn referrals_may_be_left_out_where_that_is_wanted() {
    let server =
        honest_but(|search| Some([search.reference(), search.honest("mallory", "7")].concat()));
    let lpm = lpm(&[server.url()], "ignore_referrals = true\n");
    assert_eq!(decision(&lpm, "mallory"), accept(7));
    end(lpm);
}

#[test]
fn what_is_no_ldap_ends_nothing_and_locks_nobody_out() {
    type Lie = fn(&Search) -> Vec<u8>;
    let lies: [(&str, Lie); 9] = [
        ("30 KB of nested sequences", |_| {
            let mut nested = Vec::new();
            for _ in 0..5_000 {
                nested = element(0x30, &nested);
            }
            nested
        }),
        ("an endless length", |_| {
            vec![0x30, 0x84, 0x7f, 0xff, 0xff, 0xff]
        }),
        ("an indefinite length", |_| {
            vec![0x30, 0x80, 0x02, 0x01, 0x01, 0, 0]
        }),
        ("no result", |search| search.message(&element(0x65, b""))),
        ("an entry without attributes", |search| {
            search.message(&element(0x64, &element(0x04, b"uid=mallory")))
        }),
        ("an entry whose DN is no text", |search| {
            let parts = [element(0x04, b"\xff"), element(0x30, b"")].concat();
            search.message(&element(0x64, &parts))
        }),
        ("values that are none", |search| {
            let attribute = [
                element(0x04, b"memberOf"),
                element(0x31, &element(0x30, b"")),
            ];
            let attributes = element(0x30, &element(0x30, &attribute.concat()));
            search.message(&element(
                0x64,
                &[element(0x04, b"uid=m"), attributes].concat(),
            ))
        }),
        ("a request", |search| search.message(&element(0x63, b""))),
        ("no LDAP at all", |_| {
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()
        }),
    ];
    for (what, lie) in lies {
        let server = honest_but(move |search| Some(lie(search)));
        let lpm = lpm(&[server.url()], "cache_for = 0\n");
        assert_eq!(decision(&lpm, "ada"), accept(300), "{what}");
        for _ in 0..2 {
            assert_eq!(decision(&lpm, "mallory"), REFUSED, "{what}");
            assert_eq!(decision(&lpm, "ada"), accept(300), "{what}");
        }
        end(lpm);
    }
}

#[test]
fn a_flood_for_one_search_is_cut_off() {
    let server = honest_but(|search| {
        let entry = search.entry(
            "uid=mallory,ou=people,o=office",
            &[("cn", &[&[b'x'; 60_000]])],
        );
        Some(entry.repeat(400))
    });
    let lpm = lpm(&[server.url()], "");
    assert_eq!(decision(&lpm, "mallory"), REFUSED);
    assert_eq!(decision(&lpm, "ada"), accept(300));
    end(lpm);
}

#[test]
fn a_closed_connection_is_tried_again_before_it_counts() {
    let closed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&closed);
    // Twice in the middle of a lookup, each on another connection.
    let server = honest_but(move |search| {
        let again = count.fetch_add(1, Ordering::SeqCst);
        (again >= 2).then(|| search.honest("mallory", "7"))
    });
    let lpm = lpm(&[server.url()], "retry_after = 3600\n");
    assert_eq!(decision(&lpm, "mallory"), accept(7));
    assert_eq!(
        decision(&lpm, "ada"),
        accept(300),
        "the server did not fail"
    );
    end(lpm);

    let server = honest_but(|_| None);
    let lpm = self::lpm(&[server.url()], "retry_after = 3600\n");
    assert_eq!(decision(&lpm, "mallory"), REFUSED, "it closes every time");
    end(lpm);
}

#[test]
fn an_empty_password_is_no_way_in() {
    if !slapd::installed() {
        return;
    }
    let server = Slapd::start("");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let more = format!(
        "retry_after = 0\nbind_dn = 'cn=admin,o=office'\nbind_password_file = '{}'\n",
        file.display()
    );
    let lpm = lpm(&[server.url()], &more);
    std::fs::write(&file, "\n").unwrap();
    assert_eq!(decision(&lpm, "ada"), REFUSED);
    std::fs::write(&file, "secret\n").unwrap();
    assert_eq!(decision(&lpm, "ada"), accept(100));
    end(lpm);
}

/// An OpenLDAP server as it is installed closes a connection with more than 100 searches pending.
#[test]
fn hundreds_of_users_at_once_are_all_looked_up() {
    if !slapd::installed() {
        return;
    }
    let mut users = String::new();
    for number in 0..400 {
        write!(
            users,
            "dn: uid=user{number},ou=people,o=office\nobjectClass: inetOrgPerson\n\
             uid: user{number}\ncn: user{number}\nsn: user\n\n"
        )
        .unwrap();
    }
    let server = Slapd::start(&users);
    let lpm = lpm(&[server.url()], "");
    for round in 0..2 {
        let asked: Vec<_> = (0..400)
            .map(|number| ask(&lpm, 1, &format!("user{number}")))
            .collect();
        for (number, decided) in asked.into_iter().enumerate() {
            let decision = decided.recv_timeout(LONG).expect("a decision");
            assert_eq!(decision, accept(100), "user{number} in round {round}");
        }
        // They are remembered now; so is that the next ones are nobody.
        let asked: Vec<_> = (0..400)
            .map(|it| ask(&lpm, 1, &format!("none{round}-{it}")))
            .collect();
        for decided in asked {
            assert_eq!(decided.recv_timeout(LONG), Ok(accept(1)));
        }
    }
    assert!(server.connections() <= 4, "{}", server.connections());
    end(lpm);
}

#[test]
fn names_that_somebody_made_up_do_not_crowd_out_users() {
    let hang = Arc::new(AtomicBool::new(true));
    let hanging = Arc::clone(&hang);
    let server = FakeLdap::start(move |search| {
        if search.is_about("made-up") {
            // Each connection is served by one thread, so this one says nothing and goes on.
            return Some(match hanging.load(Ordering::SeqCst) {
                true => Vec::new(),
                false => search.done(0),
            });
        }
        Some(search.honest("ada", "300"))
    });
    let lpm = lpm(&[server.url()], "cache_for = 0\ntime_limit = 3600\n");
    assert_eq!(decision(&lpm, "ada"), accept(300));
    let made_up: Vec<_> = (0..9_000)
        .map(|it| ask(&lpm, 1, &format!("made-up-{it}")))
        .collect();
    for _ in 0..20 {
        assert_eq!(decision(&lpm, "ada"), accept(300));
    }
    drop(made_up);
    end(lpm);
}

#[test]
fn whoever_waits_is_told_when_the_lpm_ends() {
    let server = FakeLdap::start(|_| Some(Vec::new()));
    let lpm = lpm(&[server.url()], "time_limit = 3600\n");
    let waits = ask(&lpm, 1, "ada");
    end(lpm);
    assert_eq!(waits.try_recv(), Err(mpsc::TryRecvError::Disconnected));
}
