//! Runs the LPM beside it, from each library that is named, through its life, and checks everything
//! that crosses the boundary, both ways. Builds with every release of `lpm-host`.
#![forbid(unsafe_code)]

mod log;

use std::error::Error;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lpm_host::event::{Event, EventLog};
use lpm_host::lpm_rsvp::build::{Flows, Path as PathMessage, PathTear, Resv};
use lpm_host::lpm_rsvp::{
    FilterSpec, Message, ObjectIndex, RsvpHop, ServiceRequest, Session, TimeValues, Tspec,
};
use lpm_host::{
    AddressRow, CommitDecision, CommittedResv, Decision, DeleteReason, Interface, LpmConfig,
    OutgoingMessage, OutgoingVerdict, Pcm, ReceivedMessage, StateGone, UnloadOutcome,
    trust_library,
};

const INTERFACE: Interface = Interface {
    index: 7,
    address: std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
};

/// The machine may be slow; nothing here is about limits.
const LONG: Duration = Duration::from_secs(600);

/// What the LPM tells of the calls that it gets.
const LOG: [&str; 18] = [
    r#"initialize compat "a configuration" a source Some("a directory") 600.5s 1 1"#,
    r"ip_address_table []",
    r"ip_address_table [AddressRow { interface_index: 7, media_type: 6, address: 192.0.2.1, prefix_length: 24 }]",
    r"span admit flows=1",
    r"admit Path Interface { index: 7, address: 192.0.2.1 } Ok(1000000000.25s) true",
    r"span admit flows=2",
    r"admit Resv Interface { index: 7, address: 192.0.2.1 } Ok(1000000000.25s) true",
    r"delete_state AdmissionControlFailed Resv Some(Interface { index: 7, address: 192.0.2.1 }) [0]",
    r"span admit flows=1",
    r"admit Path Interface { index: 7, address: 192.0.2.1 } Ok(1000000000.25s) true",
    r"delete_state AdmissionControlFailed Path Some(Interface { index: 7, address: 192.0.2.1 }) [0]",
    r"delete_state ReceivedPathTear PathTear Some(Interface { index: 7, address: 192.0.2.1 }) [0]",
    r"commit_resv ResourcesModified Interface { index: 7, address: 192.0.2.1 } flow Some(1) rate Some(Ok(125000.0))",
    r"delete_state StateTimeout Resv None [1]",
    r"rsvp_objects Path Interface { index: 7, address: 192.0.2.1 } 100",
    r"rsvp_objects Path Interface { index: 7, address: 192.0.2.1 } 100",
    r"rsvp_objects Path Interface { index: 7, address: 192.0.2.1 } 100",
    r"deinitialize demotion",
];

/// What the host puts on record: the event, and the status where there is one.
const EVENTS: [(&str, Option<u32>); 7] = [
    ("lpm_initialized", Some(0)),
    ("became_dsbm", None),
    ("lpm_address_table_refused", Some(0xFFFF_FF05)),
    ("lpm_panicked", Some(0xFFFF_FF01)),
    ("lpm_call_failed", Some(0xFFFF_FF01)),
    ("lpm_deinitialize_failed", Some(78)),
    ("demoted", None),
];

fn main() -> ExitCode {
    log::listen();
    for library in std::env::args_os().skip(1) {
        if let Err(error) = run(Path::new(&library)) {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn run(library: &Path) -> Result<(), Box<dyn Error>> {
    refused(library)?;
    log::take();
    live(library)
}

/// An LPM that refuses to start: its status and text come across.
fn refused(library: &Path) -> Result<(), Box<dyn Error>> {
    let library = trust_library!(unsafe library);
    let lpm = LpmConfig::new("compat", library)
        .config("refuse")
        .initialize_limit(LONG);
    let events = Events::default();
    let pcm = Pcm::builder().lpm(lpm).event_log(events.clone()).build()?;
    let error = pcm.become_dsbm().err().ok_or("it started all the same")?;
    let failed = ("lpm_initialize_failed", Some(77));
    if !events.take().contains(&(failed.0.to_owned(), failed.1)) {
        return Err(error.into());
    }
    expect(
        "text",
        error.to_string().contains("refused as configured"),
        true,
    )
}

fn live(library: &Path) -> Result<(), Box<dyn Error>> {
    let lpm = LpmConfig::new("compat", trust_library!(unsafe library))
        .config("a configuration")
        .config_source("a source")
        .config_dir("a directory")
        .result_time_limit(Duration::from_millis(600_500))
        .initialize_limit(LONG)
        .deinitialize_limit(LONG);
    let events = Events::default();
    let pcm = Pcm::builder()
        .lpm(lpm)
        .event_log(events.clone())
        .drain_limit(LONG)
        .build()?;
    let started = pcm.become_dsbm()?;
    expect("PE type", started.lpms[0].pe_type.p_type(), 3)?;
    pcm.set_ip_address_table(&[AddressRow {
        interface_index: 7,
        media_type: 6,
        address: INTERFACE.address,
        prefix_length: 24,
    }]);

    let verdict = admit(&pcm, &path(1))?;
    expect("decision", &*verdict.0, &[(0xFF00, 0, 0)])?;
    expect("refresh", verdict.1, true)?;
    let verdict = admit(&pcm, &resv())?;
    expect("decisions", &*verdict.0, &[(0xFFFF, 2, 50), (1, 0, 0)])?;
    expect("refresh", verdict.1, false)?;
    let verdict = admit(&pcm, &path(3))?;
    expect("decision after a panic", &*verdict.0, &[(0xFFFF, 2, 52)])?;
    admit(&pcm, &path_tear())?;

    with_received(&resv(), |received| {
        pcm.commit_resv(&CommittedResv {
            decision: CommitDecision::ResourcesModified,
            message: received.message,
            flow: 1,
            interface: received.interface,
            merged: None,
        })?;
        pcm.delete_state(&StateGone {
            reason: DeleteReason::StateTimeout,
            message: received.message,
            flow: Some(1),
            interface: None,
        })
    })??;

    for port in [1, 2] {
        let objects = match rsvp_objects(&pcm, port)? {
            OutgoingVerdict::Send(objects) => objects.policy_data,
            other => return Err(format!("objects: {other:?}").into()),
        };
        let supplied = [0, 16, 14, 1, 0, 8, 0, 0, 0, 8, 0, 3, 1, 2, 3, 4];
        expect("objects", &*objects, &supplied)?;
    }
    let dropped = matches!(rsvp_objects(&pcm, 3)?, OutgoingVerdict::Drop { .. });
    expect("message dropped", dropped, true)?;

    let counters = pcm.statistics()?.remove(0).counters;
    expect("counters", counters, Some(vec![("asked".to_owned(), 3)]))?;

    let teardown = pcm.demote()?;
    let [unloaded] = &teardown.libraries[..] else {
        return Err("expected one library".into());
    };
    expect("outcome", &unloaded.outcome, &UnloadOutcome::Unmapped)?;
    let mut recorded = events.take();
    recorded.retain(|(name, _)| !name.starts_with("library_"));
    let expected = EVENTS.map(|(name, status)| (name.to_owned(), status));
    expect("events", &*recorded, &expected)?;
    let expected = LOG.map(|line| format!("compat: {line}"));
    expect("log", &*log::take(), &expected)
}

fn expect<T: PartialEq<U>, U>(what: &str, found: T, expected: U) -> Result<(), Box<dyn Error>>
where
    T: std::fmt::Debug,
    U: std::fmt::Debug,
{
    match found == expected {
        true => Ok(()),
        false => Err(format!("{what}: expected {expected:#?}, found {found:#?}").into()),
    }
}

/// LPV, error code and error value of each flow, and whether a refresh is to follow.
type Answer = (Vec<(u32, u16, u16)>, bool);

fn admit(pcm: &Pcm, message: &[u8]) -> Result<Answer, Box<dyn Error>> {
    let verdict = with_received(message, |received| pcm.admit(received))??;
    let parts = |decision: Decision| {
        (
            decision.lpv(),
            decision.error_code(),
            decision.error_value(),
        )
    };
    let flows = verdict.flows().iter().map(|flow| parts(flow.decision));
    Ok((flows.collect(), verdict.immediate_refresh()))
}

fn rsvp_objects(pcm: &Pcm, port: u16) -> Result<OutgoingVerdict, Box<dyn Error>> {
    with_received(&path(port), |received| {
        Ok(pcm.rsvp_objects(&OutgoingMessage {
            message: received.message,
            interface: received.interface,
            max_policy_data_size: 100,
        })?)
    })?
}

fn with_received<R>(
    message: &[u8],
    use_it: impl FnOnce(&ReceivedMessage<'_>) -> R,
) -> Result<R, Box<dyn Error>> {
    let mut index = ObjectIndex::new();
    Ok(use_it(&ReceivedMessage {
        message: Message::parse(message, &mut index)?,
        interface: INTERFACE,
        received: received(),
        integrity_verified: true,
    }))
}

fn received() -> SystemTime {
    UNIX_EPOCH + Duration::new(1_000_000_000, 250_000_000)
}

fn session() -> Session {
    Session::new(Ipv4Addr::new(192, 0, 2, 80), 17, 5004).expect("a legal session")
}

fn hop() -> RsvpHop {
    RsvpHop {
        address: Ipv4Addr::new(192, 0, 2, 254).into(),
        logical_interface: 0,
    }
}

fn sender(port: u16) -> FilterSpec {
    FilterSpec::new(Ipv4Addr::new(198, 51, 100, 7), port)
}

const TSPEC: Tspec = Tspec {
    rate: 125_000.0,
    bucket: 3_000.0,
    peak_rate: f32::INFINITY,
    min_policed: 64,
    max_packet: 1_500,
};

fn path(port: u16) -> Vec<u8> {
    PathMessage::new(session(), hop(), TimeValues::DEFAULT, sender(port), TSPEC)
        .build()
        .expect("a legal message")
}

fn path_tear() -> Vec<u8> {
    PathTear::new(session(), hop(), sender(1))
        .build()
        .expect("a legal message")
}

fn resv() -> Vec<u8> {
    let flows = [2, 9].map(|port| (ServiceRequest::ControlledLoad(TSPEC), sender(port)));
    let flows = Flows::FixedFilter(flows.to_vec());
    Resv::new(session(), hop(), TimeValues::DEFAULT, flows)
        .build()
        .expect("a legal message")
}

/// The events on record, with their status.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<(String, Option<u32>)>>>);

impl Events {
    fn take(&self) -> Vec<(String, Option<u32>)> {
        std::mem::take(&mut *self.0.lock().expect("nothing panics here"))
    }
}

impl EventLog for Events {
    fn record(&self, event: &Event) {
        let name = event.id.name().to_owned();
        let status = event.status.map(|status| status.0);
        let mut events = self.0.lock().expect("nothing panics here");
        events.push((name, status));
    }
}
