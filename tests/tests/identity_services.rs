//! The identity LPM in a PCM, with a directory and a server for shared usage: requests are
//! deferred, and afterwards the library is unmapped, with its runtimes, threads and connections.
#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

#[path = "../../lpm-identity/tests/support/slapd.rs"]
mod slapd;

use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lpm_host::lpm_api::lpm_rsvp::{FilterSpec, RsvpHop, Session, TimeValues, Tspec, build};
use lpm_host::lpm_api::{Decision, LpmPolicyError, Metric, Priority, Scope};
use lpm_host::{LpmConfig, LpmStatus, Pcm};
use lpm_tests::messages::admit;
use lpm_tests::platform::{assert_gone, unmaps};
use lpm_tests::trusted;
use slapd::{Slapd, established, free_port};

/// Longer than anything here takes, however slow the machine is.
const LONG: Duration = Duration::from_secs(120);

struct Redis {
    port: u16,
    server: Child,
}

impl Redis {
    fn start() -> Option<Self> {
        let port = free_port();
        let server = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn();
        let Ok(server) = server else {
            println!("SKIPPED: redis-server is not installed");
            return None;
        };
        let start = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(start.elapsed() < LONG, "redis-server hangs");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(Self { port, server })
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn path(id: &str, port: u16) -> Vec<u8> {
    let session = Session::new(Ipv4Addr::new(10, 0, 0, 1), 17, 5004).expect("a session");
    let hop = RsvpHop {
        address: Ipv4Addr::new(10, 2, 0, 1).into(),
        logical_interface: 0,
    };
    let tspec = Tspec {
        rate: 1_000.0,
        bucket: 1_500.0,
        peak_rate: f32::INFINITY,
        min_policed: 64,
        max_packet: 1_500,
    };
    let user = build::Identity::user().credential(id);
    let sender = FilterSpec::new(Ipv4Addr::new(10, 1, 0, 1), port);
    build::Path::new(
        session,
        hop,
        TimeValues { refresh_ms: 30_000 },
        sender,
        tspec,
    )
    .policy_data(build::PolicyData::new().element(user))
    .build()
    .expect("a Path")
}

#[test]
fn requests_are_deferred_and_nothing_is_left() {
    if !slapd::installed() {
        return;
    }
    let Some(redis) = Redis::start() else { return };
    let directory = Slapd::start("");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(
        folder.path().join("office.toml"),
        "[default]\npriority = 1\n[unauthenticated]\nreject = 'no_privileges'\n",
    )
    .expect("a policy");
    let config = format!(
        "policy_file = '{}'\n\
         [directory]\nservers = ['{}']\ntime_limit = 100\nuser_base = 'ou=people,o=office'\n\
         group_base = 'ou=groups,o=office'\npolicy_base = 'ou=acs,o=office'\n\
         [shared_usage]\nserver = 'redis://127.0.0.1:{}'\ntime_limit = 100\n",
        folder.path().join("office.toml").display(),
        directory.url(),
        redis.port
    );
    // A copy of its own name, to be seen in the process's map.
    let copy = folder.path().join("libidentity_with_services.so");
    std::fs::copy(lpm_tests::identity_library(), &copy).expect("a copy");
    let pcm = Pcm::builder()
        .lpm(
            LpmConfig::new("identity", trusted(&copy))
                .config(config)
                .result_time_limit(LONG),
        )
        .build()
        .expect("builds");

    for round in 0..3 {
        pcm.become_dsbm().expect("starts");
        let decision = |id: &str, port| {
            let verdict = admit(&pcm, &path(id, port)).expect("in charge");
            verdict.flows()[0].decision
        };
        // Refused until the connection to the server of the shared usage is there.
        let start = Instant::now();
        let engineer = Decision::accept(Priority::new(300).expect("a priority"));
        while decision("grace", 1) != engineer {
            assert!(start.elapsed() < LONG, "round {round}");
        }
        for port in 2..=3 {
            assert_eq!(decision("grace", port), engineer);
        }
        let over = LpmPolicyError::Limit(Metric::FlowCount, Scope::GlobalGroup);
        assert_eq!(decision("grace", 4), Decision::reject(over));
        let nobody = Decision::reject(LpmPolicyError::NoPrivileges);
        assert_eq!(decision("mallory", 5), nobody);
        assert_eq!(directory.connections(), 1);
        assert_eq!(established(redis.port), 1);
        let statistics = pcm.statistics().expect("in charge");
        let counted = |name: &str| {
            let all = statistics
                .iter()
                .flat_map(|lpm| lpm.counters.iter().flatten());
            all.filter(|counter| counter.0 == name)
                .map(|counter| counter.1)
                .sum::<u64>()
        };
        assert!(counted("path_rejected_flow_count") == 1 && counted("directory_lookups") == 2);

        assert!(lpm_tests::mappings_of("libidentity_with_services") > 0);

        let teardown = pcm.demote().expect("in charge");
        assert_eq!(teardown.lpms[0].status, LpmStatus::OK);
        assert_eq!((directory.connections(), established(redis.port)), (0, 0));
        assert_gone(&teardown.libraries[0].outcome);
        let is_mapped = lpm_tests::mappings_of("libidentity_with_services") != 0;
        assert_eq!(is_mapped, !unmaps());
    }
}
