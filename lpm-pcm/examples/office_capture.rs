//! Makes `demo/office.pcap`: a morning in a small office, as the node that runs `pcm` hears it.
//!
//! ```console
//! $ cargo run -p lpm-pcm --example office_capture
//! ```
//!
//! The capture goes with the sample LPM's demo policy (`lpm-sample/demo-policy.toml`): everybody
//! in it does something that the policy allows, and something that it does not. The same program
//! always makes the same bytes.

use std::error::Error;
use std::net::Ipv4Addr;
use std::{env, fs};

use etherparse::{IpHeaders, IpNumber, Ipv4Extensions, Ipv4Header, Ipv4Options, PacketBuilder};
use lpm_rsvp::build::{
    Flows, Identity, Path, PathErr, PathTear, PolicyData, Resv, ResvConf, ResvErr, ResvTear,
    Senders,
};
use lpm_rsvp::{
    ErrorSpec, FilterSpec, ResvConfirm, Rspec, RsvpHop, ServiceRequest, Session, TimeValues, Tspec,
};

/// 2026-03-02T08:00:00Z, a Monday, in seconds since the Unix epoch.
const START: u32 = 1_772_438_400;

/// The node that runs `pcm`, between the workstations (10.1.1.0/24) and the servers (10.1.2.0/24).
const NODE: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
const FILES: Ipv4Addr = Ipv4Addr::new(10, 1, 2, 10);
const ALL_HANDS: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);

const GRACE: Ipv4Addr = Ipv4Addr::new(10, 1, 1, 21);
const ADA: Ipv4Addr = Ipv4Addr::new(10, 1, 1, 22);
const KATHERINE: Ipv4Addr = Ipv4Addr::new(10, 1, 1, 23);
const GEORGE: Ipv4Addr = Ipv4Addr::new(10, 1, 1, 24);
const CHARLES: Ipv4Addr = Ipv4Addr::new(10, 1, 1, 25);
const VISITOR: Ipv4Addr = Ipv4Addr::new(10, 1, 1, 26);
const MARY: Ipv4Addr = Ipv4Addr::new(10, 1, 1, 27);
const PRINTER: Ipv4Addr = Ipv4Addr::new(10, 1, 1, 40);
const CAMERA: Ipv4Addr = Ipv4Addr::new(10, 1, 1, 41);
const PHONE_1: Ipv4Addr = Ipv4Addr::new(10, 1, 1, 51);
const PHONE_2: Ipv4Addr = Ipv4Addr::new(10, 1, 1, 52);
const BACKUP: Ipv4Addr = Ipv4Addr::new(10, 1, 2, 5);

type Fallible<T = ()> = Result<T, Box<dyn Error>>;

#[allow(
    dead_code,
    reason = "a test includes this file for `office_capture` alone"
)]
fn main() -> Fallible {
    let path = env::args().nth(1);
    let path = path.unwrap_or_else(|| format!("{}/demo/office.pcap", env!("CARGO_MANIFEST_DIR")));
    fs::write(&path, office_capture()?).map_err(|error| format!("{path}: {error}"))?;
    println!("{path}");
    Ok(())
}

/// The capture, as the bytes of a pcap file.
pub(crate) fn office_capture() -> Fallible<Vec<u8>> {
    let mut wire = Wire::default();
    engineers(&mut wire)?;
    management_and_accounting(&mut wire)?;
    strangers_and_machines(&mut wire)?;
    applications(&mut wire)?;
    receivers(&mut wire)?;
    errors_and_confirmation(&mut wire)?;
    Ok(wire.pcap)
}

/// 2 Mbit/s a flow, and 8 for Ada.
fn engineers(wire: &mut Wire) -> Fallible {
    let grace = || dn("CN=Grace Hopper, OU=Engineering, O=Small Office, C=CH");
    let ada = || dn("CN=Ada Lovelace, OU=Engineering, O=Small Office, C=CH");
    let drawings = session(FILES, 5004)?;
    wire.path(drawings, GRACE, 4000, mbit(2.0), Some(grace()))?;
    wire.path(session(FILES, 5006)?, ADA, 4000, mbit(8.0), Some(ada()))?;
    // A little too much, and this time she gives her ID.
    let id = Identity::user().credential("ada");
    wire.path(session(FILES, 5008)?, ADA, 4002, mbit(9.0), Some(id))?;
    // A refresh is no second flow.
    wire.path(drawings, GRACE, 4000, mbit(2.0), Some(grace()))
}

fn management_and_accounting(wire: &mut Wire) -> Fallible {
    let katherine = || dn("CN=Katherine Johnson, OU=Management, O=Small Office, C=CH");
    wire.path(
        session(ALL_HANDS, 5010)?,
        KATHERINE,
        4010,
        kbit(500.0),
        Some(katherine()),
    )?;
    // Ahead of everybody, but not faster than the default.
    wire.path(
        session(FILES, 5012)?,
        KATHERINE,
        4012,
        mbit(2.0),
        Some(katherine()),
    )?;

    // George has one flow at a time: the second has to wait for the first to end.
    let george = || dn("CN=Boole\\, George + UID=gboole, OU=Accounting, O=Small Office, C=CH");
    let (ledger, archive) = (session(FILES, 5020)?, session(FILES, 5022)?);
    wire.path(ledger, GEORGE, 4020, kbit(200.0), Some(george()))?;
    wire.path(archive, GEORGE, 4022, kbit(200.0), Some(george()))?;
    wire.path_tear(ledger, GEORGE, 4020)?;
    wire.path(archive, GEORGE, 4022, kbit(200.0), Some(george()))
}

fn strangers_and_machines(wire: &mut Wire) -> Fallible {
    // Left last month.
    let charles = dn("CN=Charles Babbage, OU=Engineering, O=Small Office, C=CH");
    wire.path(
        session(FILES, 5030)?,
        CHARLES,
        4030,
        kbit(100.0),
        Some(charles),
    )?;
    // May look, but reserve nothing.
    let visitor = Identity::user().credential("visitor");
    wire.path(
        session(FILES, 5032)?,
        VISITOR,
        4032,
        kbit(100.0),
        Some(visitor),
    )?;
    // A colleague without a rule of her own, whose machine has no raw sockets.
    let mary = || dn("CN=Mary Somerville, OU=Library, O=Small Office, C=CH");
    let message = path(session(FILES, 5034)?, MARY, 4034, kbit(400.0), Some(mary()))?;
    wire.udp(MARY, FILES, &message)?;
    wire.path(session(FILES, 5036)?, MARY, 4036, mbit(1.0), Some(mary()))?;
    // Nobody in particular.
    wire.path(session(FILES, 5040)?, PRINTER, 4040, kbit(64.0), None)?;
    wire.path(session(FILES, 5042)?, CAMERA, 4042, mbit(1.0), None)?;
    // A ticket that this LPM cannot verify makes nobody.
    let ticket = Identity::user().kerberos_ticket(b"not a ticket that anybody could verify");
    wire.path(
        session(FILES, 5044)?,
        CAMERA,
        4044,
        kbit(32.0),
        Some(ticket),
    )
}

fn applications(wire: &mut Wire) -> Fallible {
    let phone = || Identity::app().locator("APP=Office Phone, VER=2.1");
    let call = session(PHONE_2, 16_384)?;
    wire.path(call, PHONE_1, 16_384, kbit(80.0), Some(phone()))?;
    let sender = FilterSpec::new(PHONE_1, 16_384);
    let flows = Flows::FixedFilter(vec![(guaranteed(kbit(80.0)), sender)]);
    wire.resv(call, PHONE_2, flows, Some(phone()))?;
    let backup = Identity::app().credential("backup.exe");
    wire.path(session(FILES, 873)?, BACKUP, 4050, mbit(20.0), Some(backup))
}

fn receivers(wire: &mut Wire) -> Fallible {
    let grace = || Identity::user().credential("grace");
    let renderings = session(GRACE, 5060)?;
    let sender = |number: u8| FilterSpec::new(Ipv4Addr::new(10, 1, 2, 60 + number), 4060);
    let asked = |rate, number| (ServiceRequest::ControlledLoad(rate), sender(number));
    // Of five flows one is too fast, and one is the fourth where three are allowed.
    let five = [mbit(1.0), mbit(2.0), mbit(3.0), mbit(2.0), mbit(1.5)];
    let five = (0..).zip(five).map(|(number, rate)| asked(rate, number));
    wire.resv(
        renderings,
        GRACE,
        Flows::FixedFilter(five.collect()),
        Some(grace()),
    )?;
    // One ends, and the next gets its place.
    wire.resv_tear(renderings, GRACE, Senders::FixedFilter(vec![sender(0)]))?;
    let next = Flows::FixedFilter(vec![asked(mbit(1.5), 4)]);
    wire.resv(renderings, GRACE, next, Some(grace()))?;

    // The all-hands meeting: Ada listens to two speakers, the camera to whoever speaks.
    let speakers = vec![
        FilterSpec::new(KATHERINE, 4010),
        FilterSpec::new(MARY, 4010),
    ];
    let shared = Flows::SharedExplicit(ServiceRequest::ControlledLoad(kbit(500.0)), speakers);
    let ada = Identity::user().credential("ada");
    let meeting = session(ALL_HANDS, 5010)?;
    wire.resv(meeting, ADA, shared, Some(ada))?;
    let wildcard = Flows::WildcardFilter(ServiceRequest::ControlledLoad(kbit(64.0)));
    wire.resv(meeting, CAMERA, wildcard, None)?;
    wire.resv_tear(meeting, CAMERA, Senders::WildcardFilter)
}

fn errors_and_confirmation(wire: &mut Wire) -> Fallible {
    let files = session(FILES, 5036)?;
    // Policy refused Mary's second flow: code 2, value 17, the default's flow rate.
    let refused = ErrorSpec {
        node: NODE.into(),
        flags: 0,
        code: 2,
        value: 17,
    };
    let error = PathErr::new(files, refused).sender(FilterSpec::new(MARY, 4036), mbit(1.0));
    wire.rsvp(NODE, MARY, false, &error.build()?)?;
    // And Grace's third: value 18, the group's flow rate.
    let refused = ErrorSpec {
        value: 18,
        ..refused
    };
    let sender = FilterSpec::new(Ipv4Addr::new(10, 1, 2, 62), 4060);
    let flow = Flows::FixedFilter(vec![(ServiceRequest::ControlledLoad(mbit(3.0)), sender)]);
    let renderings = session(GRACE, 5060)?;
    let error = ResvErr::new(renderings, hop(NODE), refused, flow);
    wire.rsvp(NODE, GRACE, false, &error.build()?)?;
    // The phone's reservation stands all the way.
    let flow = (guaranteed(kbit(80.0)), FilterSpec::new(PHONE_1, 16_384));
    let confirmation = ResvConf::new(
        session(PHONE_2, 16_384)?,
        PHONE_1.into(),
        ResvConfirm {
            receiver: PHONE_2.into(),
        },
        Flows::FixedFilter(vec![flow]),
    );
    wire.rsvp(PHONE_1, PHONE_2, true, &confirmation.build()?)?;
    wire.path_tear(session(PHONE_2, 16_384)?, PHONE_1, 16_384)
}

fn path(
    session: Session,
    sender: Ipv4Addr,
    port: u16,
    tspec: Tspec,
    identity: Option<Identity>,
) -> Fallible<Vec<u8>> {
    let template = FilterSpec::new(sender, port);
    let mut path = Path::new(session, hop(sender), TimeValues::DEFAULT, template, tspec);
    if let Some(identity) = identity {
        path = path.policy_data(PolicyData::new().element(identity));
    }
    Ok(path.build()?)
}

fn dn(name: &str) -> Identity {
    Identity::user().locator(name)
}

fn session(destination: Ipv4Addr, port: u16) -> Fallible<Session> {
    const UDP: u8 = 17;
    Ok(Session::new(destination, UDP, port).ok_or("no session")?)
}

fn hop(address: Ipv4Addr) -> RsvpHop {
    RsvpHop {
        address: address.into(),
        logical_interface: 0,
    }
}

fn mbit(rate: f32) -> Tspec {
    kbit(rate * 1000.0)
}

/// A token bucket of this rate in kbit/s, that holds two large packets.
fn kbit(rate: f32) -> Tspec {
    let rate = rate * 125.0;
    Tspec {
        rate,
        bucket: 3000.0,
        peak_rate: f32::INFINITY,
        min_policed: 64,
        max_packet: 1500,
    }
}

fn guaranteed(tspec: Tspec) -> ServiceRequest {
    ServiceRequest::Guaranteed(
        tspec,
        Rspec {
            rate: tspec.rate,
            slack: 0,
        },
    )
}

/// What is on the wire, as a pcap file: little-endian, microseconds, Ethernet.
struct Wire {
    pcap: Vec<u8>,
    packets: u16,
}

impl Default for Wire {
    fn default() -> Self {
        let mut pcap = Vec::new();
        for field in [0xa1b2_c3d4, 2 | 4 << 16, 0, 0, 65_535, 1_u32] {
            pcap.extend(field.to_le_bytes());
        }
        Self { pcap, packets: 0 }
    }
}

impl Wire {
    fn path(
        &mut self,
        session: Session,
        sender: Ipv4Addr,
        port: u16,
        tspec: Tspec,
        identity: Option<Identity>,
    ) -> Fallible {
        let message = path(session, sender, port, tspec, identity)?;
        self.rsvp(sender, destination(session), true, &message)
    }

    fn path_tear(&mut self, session: Session, sender: Ipv4Addr, port: u16) -> Fallible {
        let message = PathTear::new(session, hop(sender), FilterSpec::new(sender, port)).build()?;
        self.rsvp(sender, destination(session), true, &message)
    }

    fn resv(
        &mut self,
        session: Session,
        receiver: Ipv4Addr,
        flows: Flows,
        identity: Option<Identity>,
    ) -> Fallible {
        let mut resv = Resv::new(session, hop(receiver), TimeValues::DEFAULT, flows);
        if let Some(identity) = identity {
            resv = resv.policy_data(PolicyData::new().element(identity));
        }
        self.rsvp(receiver, NODE, false, &resv.build()?)
    }

    fn resv_tear(&mut self, session: Session, receiver: Ipv4Addr, senders: Senders) -> Fallible {
        let message = ResvTear::new(session, hop(receiver), senders).build()?;
        self.rsvp(receiver, NODE, false, &message)
    }

    /// A message as IP protocol 46. Path, PathTear and ResvConf go with the Router Alert option,
    /// for the nodes on the way (RFC 2205 §3.1).
    fn rsvp(
        &mut self,
        source: Ipv4Addr,
        destination: Ipv4Addr,
        router_alert: bool,
        message: &[u8],
    ) -> Fallible {
        let options = if router_alert {
            [148, 4, 0, 0].into()
        } else {
            Ipv4Options::new()
        };
        let builder = self.builder(source, destination, options);
        let mut frame = Vec::new();
        builder.write(&mut frame, IpNumber(46), message)?;
        self.packet(&frame);
        Ok(())
    }

    /// A message in the UDP encapsulation (RFC 2205, appendix C).
    fn udp(&mut self, source: Ipv4Addr, destination: Ipv4Addr, message: &[u8]) -> Fallible {
        const PU: u16 = 1698;
        let builder = self.builder(source, destination, Ipv4Options::new());
        let mut frame = Vec::new();
        builder.udp(PU, PU).write(&mut frame, message)?;
        self.packet(&frame);
        Ok(())
    }

    fn builder(
        &self,
        source: Ipv4Addr,
        destination: Ipv4Addr,
        options: Ipv4Options,
    ) -> etherparse::PacketBuilderStep<IpHeaders> {
        let header = Ipv4Header {
            identification: self.packets,
            time_to_live: 64,
            source: source.octets(),
            destination: destination.octets(),
            options,
            ..Ipv4Header::default()
        };
        PacketBuilder::ethernet2(mac(source), mac(destination))
            .ip(IpHeaders::Ipv4(header, Ipv4Extensions::default()))
    }

    /// Records a frame, a quarter of a second after the one before.
    fn packet(&mut self, frame: &[u8]) {
        let number = u32::from(self.packets);
        self.packets += 1;
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        for field in [START + number / 4, number % 4 * 250_000, length, length] {
            self.pcap.extend(field.to_le_bytes());
        }
        self.pcap.extend_from_slice(frame);
    }
}

fn destination(session: Session) -> Ipv4Addr {
    match session.address() {
        std::net::IpAddr::V4(address) => address,
        std::net::IpAddr::V6(_) => unreachable!("the office has IPv4 only"),
    }
}

/// A locally administered address per host; the one that RFC 1112 §6.4 gives a group.
fn mac(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    if address.is_multicast() {
        [1, 0, 0x5e, b & 0x7f, c, d]
    } else {
        [2, 0, a, b, c, d]
    }
}
