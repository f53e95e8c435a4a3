//! A sender, a router and a receiver, each in a network namespace of its own, with `pcm run` on the router.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use lpm_pcm::run::socket::RawSocket;
use lpm_rsvp::build::{Flows, Identity, Path as PathMessage, PolicyData, Resv};
use lpm_rsvp::{
    FilterSpec, Message, MessageType, ObjectIndex, RsvpHop, ServiceRequest, Session, TimeValues,
    Tspec,
};
use lpm_sbm::Datagram;
use nix::sched::{CloneFlags, setns};
use tempfile::TempDir;

use crate::support::{configured_with, eventually};

pub const SENDER: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 1);
pub const ROUTER: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 77, 1, 254), Ipv4Addr::new(10, 77, 2, 254)];
pub const RECEIVER: Ipv4Addr = Ipv4Addr::new(10, 77, 2, 1);

/// Bob may have much, Eve nothing.
pub const POLICY: &str = "\
[default]\npriority = 10\nmax_flows = 10\nmax_flow_rate = '100 Mbit/s'\n\
[unauthenticated]\nreject = 'no_privileges'\n\
[[user]]\ndn = 'CN=Eve'\nreject = 'no_privileges'\n";

/// What `r.key` beside each configuration says.
pub const SECRET: &str = "open sesame";

/// Whether networks can be made here. Says so if not.
pub fn can_make_networks() -> bool {
    let can =
        nix::unistd::Uid::effective().is_root() && run(&["ip", "netns", "list"]).is_some() && {
            let name = unique("probe");
            let made = run(&["ip", "netns", "add", &name]).is_some();
            let _ = run(&["ip", "netns", "del", &name]);
            made
        };
    if !can {
        eprintln!("skipped: network namespaces need root and iproute2");
    }
    can
}

fn unique(what: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("pcm{}n{number}{what}", std::process::id())
}

/// Runs a command; what it prints, if it succeeds.
fn run(command: &[&str]) -> Option<String> {
    let output = Command::new(command[0]).args(&command[1..]).output().ok()?;
    let is_good = output.status.success();
    is_good.then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn must(command: &str) -> String {
    let words: Vec<_> = command.split(' ').collect();
    run(&words).unwrap_or_else(|| panic!("{command}"))
}

/// The namespaces; deleted in the end.
pub struct Net {
    sender: String,
    router: String,
    receiver: String,
}

impl Net {
    pub fn new() -> Self {
        let net = Self {
            sender: unique("s"),
            router: unique("r"),
            receiver: unique("d"),
        };
        let (s, r, d) = (&net.sender, &net.router, &net.receiver);
        for name in [s, r, d] {
            must(&format!("ip netns add {name}"));
            must(&format!("ip -n {name} link set lo up"));
        }
        must(&format!(
            "ip link add s0 netns {s} type veth peer name r0 netns {r}"
        ));
        must(&format!(
            "ip link add r1 netns {r} type veth peer name d0 netns {d}"
        ));
        for (name, link, address) in [
            (s, "s0", SENDER),
            (r, "r0", ROUTER[0]),
            (r, "r1", ROUTER[1]),
            (d, "d0", RECEIVER),
        ] {
            must(&format!("ip -n {name} addr add {address}/24 dev {link}"));
            must(&format!("ip -n {name} link set {link} up"));
        }
        must(&format!("ip -n {s} route add default via {}", ROUTER[0]));
        must(&format!("ip -n {d} route add default via {}", ROUTER[1]));
        must(&format!(
            "ip netns exec {r} sysctl -qw net.ipv4.ip_forward=1"
        ));
        net
    }

    pub fn on_router(&self, command: &str) -> String {
        must(&format!("ip netns exec {} {command}", self.router))
    }

    pub fn sender(&self) -> End {
        End::new(&self.sender, "s0")
    }

    pub fn receiver(&self) -> End {
        End::new(&self.receiver, "d0")
    }

    pub fn udp(&self, is_sender: bool, port: u16) -> UdpSocket {
        let name = if is_sender {
            &self.sender
        } else {
            &self.receiver
        };
        within(name, move || {
            UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap()
        })
    }

    /// Starts `pcm run` on the router, and waits until it serves.
    pub fn pcm(&self, tables: &str) -> Pcm {
        Pcm::start(&self.router, POLICY, tables)
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for name in [&self.sender, &self.router, &self.receiver] {
            let _ = run(&["ip", "netns", "del", name]);
        }
    }
}

/// Does something in a namespace. Sockets that are opened there stay there.
fn within<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let file = File::open(Path::new("/run/netns").join(name)).unwrap();
    let thread = thread::spawn(move || {
        setns(file, CloneFlags::CLONE_NEWNET).unwrap();
        work()
    });
    thread.join().unwrap()
}

/// `pcm run`.
pub struct Pcm {
    child: Child,
    stderr: Arc<Mutex<String>>,
    folder: TempDir,
    tables: String,
}

impl Pcm {
    fn start(namespace: &str, policy: &str, tables: &str) -> Self {
        let folder = configured_with(policy, tables);
        std::fs::write(folder.path().join("r.key"), SECRET).unwrap();
        let config = folder.path().join("pcm.toml");
        let mut child = Command::new("ip")
            .args([
                "netns",
                "exec",
                namespace,
                env!("CARGO_BIN_EXE_pcm"),
                "run",
                "--config",
            ])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = Arc::new(Mutex::new(String::new()));
        let (pipe, text) = (child.stderr.take().unwrap(), Arc::clone(&stderr));
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                let mut text = text.lock().unwrap();
                text.push_str(&line);
                text.push('\n');
            }
        });
        let pcm = Self {
            child,
            stderr,
            folder,
            tables: tables.to_owned(),
        };
        eventually("pcm run serves", || {
            pcm.has_said("RSVP on r1").then_some(())
        });
        pcm
    }

    pub fn has_said(&self, what: &str) -> bool {
        self.stderr.lock().unwrap().contains(what)
    }

    /// Gives it another policy, for when it reads its configuration again.
    pub fn configure(&self, policy: &str) {
        let new = configured_with(policy, &self.tables);
        let text = std::fs::read(new.path().join("pcm.toml")).unwrap();
        std::fs::write(self.folder.path().join("pcm.toml"), text).unwrap();
    }

    /// A file beside its configuration.
    pub fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    pub fn signal(&self, signal: &str) {
        must(&format!("kill -s {signal} {}", self.child.id()));
    }

    /// Sends a signal and waits for the end: the exit status, or `None` after a signal that kills.
    pub fn stop(mut self, signal: &str) -> Option<i32> {
        self.signal(signal);
        self.child.wait().unwrap().code()
    }
}

impl Drop for Pcm {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An RSVP end host.
pub struct End {
    socket: RawSocket,
    interface: u32,
}

/// A message that came in.
pub struct Came {
    pub source: IpAddr,
    pub ttl: u8,
    pub bytes: Vec<u8>,
}

impl Came {
    pub fn read<T>(&self, look: impl FnOnce(&Message<'_>) -> T) -> T {
        let mut index = ObjectIndex::new();
        look(&Message::parse(&self.bytes, &mut index).expect("a legal message"))
    }
}

impl End {
    fn new(namespace: &str, link: &'static str) -> Self {
        let (socket, interface) = within(namespace, move || {
            let interface = nix::net::if_::if_nametoindex(link).unwrap();
            (RawSocket::open().unwrap(), interface)
        });
        Self { socket, interface }
    }

    pub fn send(&self, source: Ipv4Addr, destination: IpAddr, bytes: Vec<u8>) {
        let message_type = MessageType::from(bytes[1]);
        self.socket
            .send(&Datagram {
                interface: self.interface,
                source: source.into(),
                destination,
                ttl: 64,
                router_alert: message_type.needs_router_alert(),
                bytes,
            })
            .unwrap();
    }

    /// The next message of this type, whatever comes before it.
    pub fn next(&self, wanted: MessageType) -> Came {
        eventually(&format!("a {wanted}"), || self.take(wanted))
    }

    fn take(&self, wanted: MessageType) -> Option<Came> {
        let mut buffer = vec![0; 65_535];
        while let Ok(arrival) = self.socket.receive(&mut buffer) {
            let Some(arrival) = arrival else { continue };
            let bytes = buffer[arrival.payload..arrival.end].to_vec();
            if bytes[1] == wanted.number() {
                return Some(Came {
                    source: arrival.source,
                    ttl: arrival.ttl,
                    bytes,
                });
            }
        }
        None
    }
}

pub fn session() -> Session {
    Session::new(RECEIVER, 17, 5201).unwrap()
}

pub fn flow() -> FilterSpec {
    FilterSpec::new(SENDER, 4000)
}

/// So many bit/s.
pub fn tspec(bits: f32) -> Tspec {
    Tspec {
        rate: bits / 8.0,
        bucket: 15_000.0,
        peak_rate: f32::INFINITY,
        min_policed: 64,
        max_packet: 1500,
    }
}

pub fn hop(address: Ipv4Addr, logical_interface: u32) -> RsvpHop {
    RsvpHop {
        address: address.into(),
        logical_interface,
    }
}

pub fn user(name: &str) -> PolicyData {
    PolicyData::new().element(Identity::user().locator(name))
}

pub fn path(name: &str, refresh: Duration, bits: f32) -> Vec<u8> {
    let refresh_ms = u32::try_from(refresh.as_millis()).unwrap();
    let path = PathMessage::new(
        session(),
        hop(SENDER, 7),
        TimeValues { refresh_ms },
        flow(),
        tspec(bits),
    );
    path.policy_data(user(name)).build().unwrap()
}

/// The Resv that answers a Path which came in.
pub fn resv(name: &str, answered: &Came, bits: f32) -> Vec<u8> {
    let hop_of_path = answered.read(|message| message.hop().unwrap());
    let flows = Flows::FixedFilter(vec![(ServiceRequest::ControlledLoad(tspec(bits)), flow())]);
    let own = hop(RECEIVER, hop_of_path.logical_interface);
    let resv = Resv::new(session(), own, TimeValues::DEFAULT, flows);
    resv.confirm(RECEIVER)
        .policy_data(user(name))
        .build()
        .unwrap()
}
