//! Parsing a message, next to the floor: copying the same bytes and summing them; and walking it.
//!
//! `cargo bench -p lpm-rsvp`. Prints nanoseconds per message (best of several rounds) and the
//! ratio of parsing to the floor. Times are reported, never asserted.

#[expect(unreachable_pub, reason = "another package includes it as its own")]
mod walk;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use lpm_rsvp::build::{AdSpec, Flows, Identity, Path, PolicyData, Resv};
use lpm_rsvp::intserv::GeneralParameters;
use lpm_rsvp::{
    FilterSpec, Message, ObjectIndex, PreemptionPriority, RsvpHop, ServiceRequest, Session,
    TimeValues, Tspec, checksum,
};

use self::walk::walk;

/// Many short rounds: the best one is then one that nothing interrupted.
const ROUNDS: usize = 5_000;
/// Bytes parsed in a round.
const ROUND_BYTES: u32 = 100_000;

fn main() {
    println!(
        "{:<28} {:>6} {:>10} {:>10} {:>11} {:>10}",
        "message", "bytes", "floor", "parse", "parse/floor", "walk"
    );
    for (name, bytes) in [
        ("Path", path(false)),
        ("Path with identity", path(true)),
        ("Resv, 1 FF flow", resv(1)),
        ("Resv, 8 FF flows", resv(8)),
        ("Resv, 1000 FF flows", resv(1000)),
    ] {
        let mut copy = vec![0; bytes.len()];
        let floor = best(&bytes, |bytes| {
            copy.copy_from_slice(bytes);
            usize::from(checksum(black_box(&copy)))
        });
        let mut index = ObjectIndex::new();
        let parsing = best(&bytes, |bytes| {
            let message = Message::parse(bytes, &mut index).expect("legal");
            message.bytes().len()
        });
        let message = Message::parse(&bytes, &mut index).expect("legal");
        let walking = best(&bytes, |_| walk(black_box(&message)));
        let ratio = parsing / floor;
        println!(
            "{name:<28} {:>6} {floor:>7.1} ns {parsing:>7.1} ns {ratio:>10.1}x {walking:>7.1} ns",
            bytes.len()
        );
    }
}

/// Nanoseconds of one call, in the best round.
fn best(bytes: &[u8], mut work: impl FnMut(&[u8]) -> usize) -> f64 {
    let calls = (ROUND_BYTES / u32::try_from(bytes.len()).expect("a message")).clamp(1, 500);
    let round = |work: &mut dyn FnMut(&[u8]) -> usize| {
        let start = Instant::now();
        for _ in 0..calls {
            black_box(work(black_box(bytes)));
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
    };
    (0..ROUNDS)
        .map(|_| round(&mut work))
        .fold(f64::INFINITY, f64::min)
}

const TSPEC: Tspec = Tspec {
    rate: 125_000.0,
    bucket: 3_000.0,
    peak_rate: 250_000.0,
    min_policed: 64,
    max_packet: 1_500,
};

fn session() -> Session {
    Session::new(Ipv4Addr::new(10, 0, 0, 1), 17, 5004).expect("a session")
}

fn hop() -> RsvpHop {
    RsvpHop {
        address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 254)),
        logical_interface: 1,
    }
}

fn path(identity: bool) -> Vec<u8> {
    let adspec = AdSpec {
        general: GeneralParameters {
            break_bit: false,
            is_hops: 3,
            path_bandwidth: 1.25e6,
            minimum_latency: 1000,
            path_mtu: 1500,
        },
        guaranteed: None,
        controlled_load: Some(true),
    };
    let sender = FilterSpec::new(Ipv4Addr::new(10, 0, 0, 7), 4000);
    let mut path = Path::new(session(), hop(), TimeValues::DEFAULT, sender, TSPEC).adspec(adspec);
    if identity {
        let user = Identity::user()
            .locator("CN=Alice,OU=Sales,O=Example")
            .credential("alice");
        let priority = PreemptionPriority::new(10, 20).expect("in order");
        path = path.policy_data(PolicyData::new().element(user).element(priority));
    }
    path.build().expect("legal")
}

fn resv(flows: u16) -> Vec<u8> {
    let flow = |port| {
        let sender = FilterSpec::new(Ipv4Addr::new(10, 0, 0, 7), port);
        (ServiceRequest::ControlledLoad(TSPEC), sender)
    };
    let flows = Flows::FixedFilter((1..=flows).map(flow).collect());
    Resv::new(session(), hop(), TimeValues::DEFAULT, flows)
        .build()
        .expect("legal")
}
