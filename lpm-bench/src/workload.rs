//! What is done while instructions are counted.

use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use libunload::gate::Gate;
use lpm_bench::walk::walk;
use lpm_bench::{capture, messages, policy};
use lpm_host::{Interface, LpmConfig, Pcm, ReceivedMessage};
use lpm_identity::IdentityLpm;
use lpm_identity::consider::{Facts, Verdict};
use lpm_identity::policy::Policy;
use lpm_pcm::commands::replay;
use lpm_pcm::log::LogLevel;
use lpm_rsvp::{Message, ObjectIndex};

use crate::host_table::Table;

/// What makes this program do a workload: its name and how often follow.
pub(crate) const COMMAND: &str = "workload";

/// Matches [`counted_calls`] in the symbols of this program.
pub(crate) const COUNTED: &str = "*counted_calls*";

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

/// A name, and what does it so many times.
type Workload = (&'static str, fn(u64) -> Result);

/// All that are compared with the record.
pub(crate) const WORKLOADS: [Workload; 13] = [
    ("admit, 1 LPM", |count| admit(1, "", count)),
    ("admit, 16 LPMs", |count| admit(16, "", count)),
    ("admit, 1 LPM that defers and answers", |count| {
        admit(1, "deferred", count)
    }),
    ("gate", gate),
    ("table of requests: issue, take", table),
    ("parse a Path", |count| parse(&messages::path(1), count)),
    ("parse and walk a Path with identity", |count| {
        parse_and_walk(&messages::path_with_identity(1, 1), count)
    }),
    ("parse and walk a Resv, 8 flows", |count| {
        parse_and_walk(&messages::resv(1, 8), count)
    }),
    ("identity LPM, 1 000 users", identity),
    (
        "identity LPM, a first message, 10 000 users",
        first_messages,
    ),
    ("pcm replay, a first message, 10 000 flows", |count| {
        replay(10_000, 10_000, count)
    }),
    ("pcm replay, a refresh", |count| {
        refresh(capture::FLOWS, capture::FLOWS, count)
    }),
    ("pcm replay, a refresh, 8 flows of each user", |count| {
        refresh(capture::FLOWS, capture::FLOWS / 8, count)
    }),
];

/// Those that take minutes to count.
const LONG: [Workload; 1] = [(
    "pcm replay, a refresh, 100 000 flows, 8 of each user",
    |count| refresh(100_000, 12_500, count),
)];

/// Does one of them so many times.
pub(crate) fn run(arguments: &[OsString]) -> Result<ExitCode> {
    let [name, count] = arguments else {
        return Err("expected a workload and how often".into());
    };
    let mut workloads = WORKLOADS.iter().chain(&LONG);
    let workload = workloads.find(|(known, _)| name == known);
    let (_, workload) = workload.ok_or("no such workload")?;
    let count = count.to_str().and_then(|count| count.parse().ok());
    workload(count.ok_or("expected how often")?)?;
    Ok(ExitCode::SUCCESS)
}

/// What is counted: this function, and all that it calls on its thread.
#[inline(never)]
fn counted_calls(call: &mut dyn FnMut(), count: u64) {
    for _ in 0..count {
        call();
    }
}

fn admit(lpms: u32, config: &str, count: u64) -> Result {
    let bytes = messages::path(1);
    let mut index = ObjectIndex::new();
    let received = ReceivedMessage {
        message: Message::parse(&bytes, &mut index)?,
        interface: interface(),
        received: SystemTime::now(),
        integrity_verified: false,
    };
    let pcm = pcm(lpms, config)?;
    let mut ask = || {
        black_box(black_box(&pcm).admit(black_box(&received))).expect("in charge");
    };
    counted_calls(&mut ask, count);
    Ok(())
}

fn pcm(lpms: u32, config: &str) -> Result<Pcm> {
    let mut builder = Pcm::builder();
    for number in 0..lpms {
        // The fixture is this project's own.
        let library = lpm_host::trust_library!(unsafe lpm_fixtures::library("accepts"));
        builder = builder.lpm(LpmConfig::new(format!("LPM {number}"), library).config(config));
    }
    let pcm = builder.build()?;
    pcm.become_dsbm()?;
    Ok(pcm)
}

/// A library that cargo has built for this program.
fn beside(name: &str) -> PathBuf {
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let this = std::env::current_exe().unwrap_or_default();
    let folder = this.with_file_name("deps");
    folder.join(format!("{prefix}{name}{suffix}"))
}

fn gate(count: u64) -> Result {
    let gate = Gate::new(Box::new(1_u64));
    let mut enter = || {
        black_box(*black_box(&gate).enter());
    };
    counted_calls(&mut enter, count);
    Ok(())
}

fn table(count: u64) -> Result {
    let table = Table::new();
    let mut issue_and_take = || {
        let handle = table.issue(black_box([0_u64; 2]), 1).expect("open");
        black_box(table.take(black_box(handle))).expect("is there");
    };
    counted_calls(&mut issue_and_take, count);
    Ok(())
}

fn parse(bytes: &[u8], count: u64) -> Result {
    let mut index = ObjectIndex::new();
    let mut parse = || {
        black_box(Message::parse(black_box(bytes), &mut index)).expect("well-formed");
    };
    counted_calls(&mut parse, count);
    Ok(())
}

fn parse_and_walk(bytes: &[u8], count: u64) -> Result {
    let mut index = ObjectIndex::new();
    let mut parse = || {
        let message = Message::parse(black_box(bytes), &mut index).expect("well-formed");
        black_box(walk(&message));
    };
    counted_calls(&mut parse, count);
    Ok(())
}

fn identity(count: u64) -> Result {
    let policy = Policy::parse("workload", &policy::identity_policy(capture::FLOWS))?;
    let lpm = IdentityLpm::new(policy);
    let bytes = messages::path_with_identity(1, 1);
    let mut index = ObjectIndex::new();
    let message = Message::parse(&bytes, &mut index)?;
    let mut decide = || {
        let facts = facts();
        let again = lpm.again(&message, facts.interface, false, || facts.received);
        if black_box(again).is_none() {
            decide(&lpm, message);
        }
    };
    // What is kept of a message is there.
    decide();
    decide();
    counted_calls(&mut decide, count);
    Ok(())
}

/// Paths of flows that were not there before.
fn first_messages(count: u64) -> Result {
    const USERS: u32 = 10_000;
    let policy = Policy::parse("workload", &policy::identity_policy(USERS))?;
    let lpm = IdentityLpm::new(policy);
    let flows = (0..USERS).take(usize::try_from(count)?);
    let paths: Vec<_> = flows
        .map(|flow| messages::path_with_identity(flow, flow))
        .collect();
    let mut paths = paths.iter();
    let mut index = ObjectIndex::new();
    let mut decide = || {
        let path = paths.next().expect("no more calls than users");
        let message = Message::parse(path, &mut index).expect("well-formed");
        decide(&lpm, message);
    };
    counted_calls(&mut decide, count);
    Ok(())
}

fn decide(lpm: &IdentityLpm, message: Message<'_>) {
    let consideration = lpm.consider(black_box(message), facts());
    for flow in message.flow_descriptors() {
        let verdict = consideration.decide(&flow);
        assert!(matches!(black_box(verdict), Verdict::Decided(_)));
    }
}

fn facts() -> Facts {
    Facts {
        interface: interface(),
        received: SystemTime::UNIX_EPOCH,
        integrity_verified: false,
    }
}

/// So many messages after each flow's Path and Resv came twice: what is kept of a message for the
/// next one like it is there.
fn refresh(flows: u32, users: u32, messages: u64) -> Result {
    replay(flows, users, 4 * u64::from(flows) + messages)
}

/// A capture with so many flows, users and messages, the first of each flow at the beginning.
fn replay(flows: u32, users: u32, messages: u64) -> Result {
    let folder = tempfile::tempdir()?;
    let path = |name| folder.path().join(name);
    let mut pcap = Vec::new();
    capture::write_flows(&mut pcap, flows, users, messages)?;
    fs::write(path("capture.pcap"), pcap)?;
    fs::write(path("policy.toml"), policy::identity_policy(users))?;
    let library = beside("lpm_identity");
    let config = format!(
        "[[lpm]]\nname = 'identity'\nlibrary = '{}'\n[lpm.config]\npolicy_file = 'policy.toml'\n\
         [sbm]\nmax_flows = 1000000\n",
        library.display()
    );
    fs::write(path("pcm.toml"), config)?;
    let args = replay::Args {
        captures: vec![path("capture.pcap")],
        config: Some(path("pcm.toml")),
        format: replay::Format::Table,
        log: LogLevel::Warn,
        no_timing: false,
        summary: false,
        debug_lpms: false,
        filter: Default::default(),
    };
    let mut outcome = Ok(ExitCode::FAILURE);
    counted_calls(&mut || outcome = replay::run(&args), 1);
    outcome.map(|_| ())
}

fn interface() -> Interface {
    Interface {
        index: 2,
        address: Ipv4Addr::new(192, 0, 2, 1).into(),
    }
}
