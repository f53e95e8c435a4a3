//! The end hosts of the lab: they speak RSVP, and send data.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lpm_rsvp::build::{Flows, Identity, Path, PolicyData, Resv, ResvTear, Senders};
use lpm_rsvp::{
    FilterSpec, Message, MessageType, ObjectIndex, RsvpHop, ServiceRequest, Session, TimeValues,
    Tspec,
};
use lpm_sbm::Datagram;
use nix::net::if_::if_nametoindex;

use super::network::{Network, RECEIVER, ROUTER, SENDER, within};
use crate::run::socket::RawSocket;

/// Who may reserve.
pub(super) const BOB: &str = "CN=Bob";
/// Who may not.
pub(super) const EVE: &str = "CN=Eve";

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// A step of the plot.
pub(super) const STEP: Duration = Duration::from_millis(250);

/// Where the data of a user goes to, and comes from.
fn ports(user: &str) -> (u16, u16) {
    match user {
        BOB => (5201, 4000),
        _ => (5202, 4001),
    }
}

/// A host that speaks RSVP.
struct End {
    socket: RawSocket,
    interface: u32,
    address: Ipv4Addr,
}

impl End {
    fn open(
        namespace: &str,
        link: &'static str,
        address: Ipv4Addr,
    ) -> Result<Self, Box<dyn Error>> {
        let (socket, interface) =
            within(namespace, move || (RawSocket::open(), if_nametoindex(link)))?;
        Ok(Self {
            socket: socket?,
            interface: interface?,
            address,
        })
    }

    fn send(&self, to: Ipv4Addr, kind: MessageType, bytes: Vec<u8>) -> Result<(), Box<dyn Error>> {
        Ok(self.socket.send(&Datagram {
            interface: self.interface,
            source: self.address.into(),
            destination: to.into(),
            ttl: 64,
            router_alert: kind.needs_router_alert(),
            bytes,
        })?)
    }

    /// The next message of this type about this session.
    fn next(&self, kind: MessageType, session: Session) -> Result<Vec<u8>, Box<dyn Error>> {
        let began = Instant::now();
        let mut buffer = vec![0; 65_535];
        while began.elapsed() < PATIENCE {
            let Ok(arrival) = self.socket.receive(&mut buffer) else {
                thread::sleep(Duration::from_millis(5));
                continue;
            };
            let Some(arrival) = arrival else { continue };
            let bytes = buffer.get(arrival.payload..arrival.end).unwrap_or_default();
            let is_it = read(bytes, |message| {
                message.message_type() == kind && message.session() == Some(session)
            });
            if is_it == Some(true) {
                return Ok(bytes.to_vec());
            }
        }
        Err(format!("no {kind} for {session} within {PATIENCE:?}").into())
    }
}

fn read<T>(bytes: &[u8], look: impl FnOnce(&Message<'_>) -> T) -> Option<T> {
    let mut index = ObjectIndex::new();
    Message::parse(bytes, &mut index).ok().as_ref().map(look)
}

/// Sender and receiver.
pub(super) struct Ends {
    sender: End,
    receiver: End,
}

/// A reservation that was granted.
pub(super) struct Granted {
    session: Session,
    flow: FilterSpec,
    /// What the router calls the receiver's side.
    hop: RsvpHop,
}

impl Ends {
    pub(super) fn open(network: &Network) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            sender: End::open(network.sender(), "s0", SENDER)?,
            receiver: End::open(network.receiver(), "d0", RECEIVER)?,
        })
    }

    /// Announces a flow of this user, asks for so many bit/s, and waits until they are reserved.
    pub(super) fn reserve(&self, user: &str, bits: f32) -> Result<Granted, Box<dyn Error>> {
        let (session, flow) = self.announce(user, bits)?;
        let path = self.receiver.next(MessageType::Path, session)?;
        let hop = read(&path, |message| message.hop()).flatten();
        let hop = RsvpHop {
            address: RECEIVER.into(),
            logical_interface: hop.ok_or("a Path without RSVP_HOP")?.logical_interface,
        };
        let service = ServiceRequest::ControlledLoad(tspec(bits));
        let flows = Flows::FixedFilter(vec![(service, flow)]);
        let resv = Resv::new(session, hop, TimeValues::DEFAULT, flows).policy_data(identity(user));
        self.receiver
            .send(ROUTER[1], MessageType::Resv, resv.build()?)?;
        self.sender.next(MessageType::Resv, session)?;
        Ok(Granted { session, flow, hop })
    }

    /// Announces a flow of this user that is refused: the error.
    pub(super) fn announce_refused(&self, user: &str, bits: f32) -> Result<String, Box<dyn Error>> {
        let (session, _) = self.announce(user, bits)?;
        let error = self.sender.next(MessageType::PathErr, session)?;
        let error = read(&error, |message| message.error_spec()).flatten();
        let error = error.ok_or("a PathErr without ERROR_SPEC")?;
        Ok(format!("{}/{}", error.code, error.value))
    }

    /// Gives a reservation back.
    pub(super) fn tear_down(&self, granted: &Granted) -> Result<(), Box<dyn Error>> {
        let senders = Senders::FixedFilter(vec![granted.flow]);
        let tear = ResvTear::new(granted.session, granted.hop, senders);
        self.receiver
            .send(ROUTER[1], MessageType::ResvTear, tear.build()?)?;
        self.sender.next(MessageType::ResvTear, granted.session)?;
        Ok(())
    }

    fn announce(&self, user: &str, bits: f32) -> Result<(Session, FilterSpec), Box<dyn Error>> {
        let (to, from) = ports(user);
        let session = Session::new(RECEIVER, 17, to).ok_or("no session")?;
        let flow = FilterSpec::new(SENDER, from);
        let hop = RsvpHop {
            address: SENDER.into(),
            logical_interface: 1,
        };
        let path = Path::new(session, hop, TimeValues::DEFAULT, flow, tspec(bits));
        let bytes = path.policy_data(identity(user)).build()?;
        self.sender.send(RECEIVER, MessageType::Path, bytes)?;
        Ok((session, flow))
    }
}

fn identity(user: &str) -> PolicyData {
    PolicyData::new().element(Identity::user().locator(user))
}

fn tspec(bits: f32) -> Tspec {
    Tspec {
        rate: bits / 8.0,
        bucket: 15_000.0,
        peak_rate: f32::INFINITY,
        min_policed: 64,
        max_packet: 1500,
    }
}

/// Data of both users, and how much of it arrives.
pub(super) struct Traffic {
    /// Bytes in each step, of Bob and of Eve.
    arrived: Arc<[Vec<AtomicU64>; 2]>,
    threads: Vec<JoinHandle<()>>,
}

impl Traffic {
    /// Sends 12 Mbit/s of each, for so long.
    pub(super) fn start(
        network: &Network,
        began: Instant,
        length: Duration,
    ) -> Result<Self, Box<dyn Error>> {
        let steps = usize::try_from(length.as_millis() / STEP.as_millis())?;
        let counters = || -> Vec<_> { (0..steps).map(|_| AtomicU64::new(0)).collect() };
        let arrived = Arc::new([counters(), counters()]);
        let mut threads = Vec::new();
        let mut senders = Vec::new();
        for (which, user) in [BOB, EVE].into_iter().enumerate() {
            let (to, from) = ports(user);
            let socket = udp(network.receiver(), to)?;
            socket.set_read_timeout(Some(STEP))?;
            let arrived = Arc::clone(&arrived);
            threads.push(thread::spawn(move || {
                count(&socket, began, length, &arrived[which]);
            }));
            senders.push((udp(network.sender(), from)?, (IpAddr::from(RECEIVER), to)));
        }
        threads.push(thread::spawn(move || send(&senders, began, length)));
        Ok(Self { arrived, threads })
    }

    /// What arrived in each step, in Mbit/s, once all was sent.
    pub(super) fn finish(self) -> [Vec<f64>; 2] {
        for thread in self.threads {
            let _ = thread.join();
        }
        let series = |which: usize| {
            let steps = self.arrived[which].iter();
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let rates = steps.map(|bytes| bytes.load(Ordering::Relaxed) as f64);
            rates
                .map(|bytes| bytes * 8.0 / 1e6 / STEP.as_secs_f64())
                .collect()
        };
        [series(0), series(1)]
    }
}

fn udp(namespace: &str, port: u16) -> Result<UdpSocket, Box<dyn Error>> {
    let socket = within(namespace, move || {
        UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))
    })?;
    Ok(socket?)
}

/// The data of a packet.
const LENGTH: usize = 1200;
/// Ethernet, IP and UDP.
const HEADERS: usize = 42;

fn send(senders: &[(UdpSocket, (IpAddr, u16))], began: Instant, length: Duration) {
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let per_packet = (LENGTH + HEADERS) as f64 * 8.0 / 12e6;
    let mut sent = 0_u32;
    while began.elapsed() < length {
        while f64::from(sent) * per_packet < began.elapsed().as_secs_f64() {
            // In turns: a queue that is full would favour whoever is always first.
            for turn in 0..senders.len() {
                let (socket, to) = &senders[(sent as usize + turn) % senders.len()];
                // What does not go is lost, as on the way.
                let _ = socket.send_to(&[b'x'; LENGTH], to);
            }
            sent += 1;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn count(socket: &UdpSocket, began: Instant, length: Duration, steps: &[AtomicU64]) {
    let mut buffer = [0; 2048];
    while began.elapsed() < length {
        let Ok(received) = socket.recv(&mut buffer) else {
            continue;
        };
        let step = began.elapsed().as_millis() / STEP.as_millis();
        if let Some(step) = usize::try_from(step).ok().and_then(|step| steps.get(step)) {
            step.fetch_add((received + HEADERS) as u64, Ordering::Relaxed);
        }
    }
}
