//! A sender, a router and a receiver, each in a network namespace of its own, with `pcm run` on the
//! router.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use lpm_pcm::run::socket::RawSocket;
use lpm_pcm::run::socket6::RawSocket6;
use lpm_rsvp::build::{
    Flows, Identity, Path as PathMessage, PathTear, PolicyData, Resv, ResvTear, Senders,
};
use lpm_rsvp::{
    FilterSpec, Message, MessageType, ObjectIndex, RsvpHop, ServiceRequest, Session, TimeValues,
    Tspec,
};
use lpm_sbm::Datagram;
use nix::sched::{CloneFlags, setns};
use tempfile::TempDir;

use crate::support::{configured_with, eventually, sample_library};

pub const SENDER: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 1);
pub const ROUTER: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 77, 1, 254), Ipv4Addr::new(10, 77, 2, 254)];
pub const RECEIVER: Ipv4Addr = Ipv4Addr::new(10, 77, 2, 1);

/// Who talks, and about what.
#[derive(Clone, Copy)]
pub struct Ends {
    pub sender: IpAddr,
    pub router: [IpAddr; 2],
    pub receiver: IpAddr,
}

pub const V4: Ends = Ends {
    sender: IpAddr::V4(SENDER),
    router: [IpAddr::V4(ROUTER[0]), IpAddr::V4(ROUTER[1])],
    receiver: IpAddr::V4(RECEIVER),
};

pub const V6: Ends = Ends {
    sender: v6(1, 1),
    router: [v6(1, 0x254), v6(2, 0x254)],
    receiver: v6(2, 1),
};

const fn v6(network: u16, host: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0xfd77, network, 0, 0, 0, 0, 0, host))
}

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

pub fn unique(what: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("pcm{}n{number}{what}", std::process::id())
}

/// Runs a command; what it prints, if it succeeds.
pub fn run(command: &[&str]) -> Option<String> {
    let output = Command::new(command[0]).args(&command[1..]).output().ok()?;
    let is_good = output.status.success();
    is_good.then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

pub fn must(command: &str) -> String {
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
        for (name, link, address) in [
            (s, "s0", V6.sender),
            (r, "r0", V6.router[0]),
            (r, "r1", V6.router[1]),
            (d, "d0", V6.receiver),
        ] {
            must(&format!(
                "ip -n {name} addr add {address}/64 dev {link} nodad"
            ));
        }
        must(&format!("ip -n {s} route add default via {}", ROUTER[0]));
        must(&format!("ip -n {d} route add default via {}", ROUTER[1]));
        for (name, router) in [(s, V6.router[0]), (d, V6.router[1])] {
            must(&format!("ip -n {name} -6 route add default via {router}"));
        }
        for setting in ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"] {
            must(&format!("ip netns exec {r} sysctl -qw {setting}=1"));
        }
        net
    }

    pub fn on_router(&self, command: &str) -> String {
        must(&format!("ip netns exec {} {command}", self.router))
    }

    pub fn on_sender(&self, command: &str) -> String {
        must(&format!("ip netns exec {} {command}", self.sender))
    }

    pub fn on_receiver(&self, command: &str) -> String {
        must(&format!("ip netns exec {} {command}", self.receiver))
    }

    /// One more link between the router and the receiver: r2 with 10.77.3.254, and d1
    /// with 10.77.3.1.
    pub fn second_link(&self) -> End {
        let (r, d) = (&self.router, &self.receiver);
        must(&format!(
            "ip link add r2 netns {r} type veth peer name d1 netns {d}"
        ));
        for (name, link, address) in [(r, "r2", "10.77.3.254"), (d, "d1", "10.77.3.1")] {
            must(&format!("ip -n {name} addr add {address}/24 dev {link}"));
            must(&format!("ip -n {name} link set {link} up"));
        }
        End::new(d, "d1")
    }

    pub fn sender(&self) -> End {
        End::new(&self.sender, "s0")
    }

    pub fn receiver(&self) -> End {
        End::new(&self.receiver, "d0")
    }

    pub fn udp(&self, is_sender: bool, port: u16) -> UdpSocket {
        self.udp_at(is_sender, Ipv4Addr::UNSPECIFIED.into(), port)
    }

    pub fn udp_at(&self, is_sender: bool, address: IpAddr, port: u16) -> UdpSocket {
        let name = if is_sender {
            &self.sender
        } else {
            &self.receiver
        };
        within(name, move || UdpSocket::bind((address, port)).unwrap())
    }

    /// Has the router be in a group on its first link, until the socket is dropped.
    pub fn join_on_router(&self, group: Ipv4Addr) -> UdpSocket {
        within(&self.router, move || {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            socket.join_multicast_v4(&group, &ROUTER[0]).unwrap();
            socket
        })
    }

    /// What a server on the router's loopback answers.
    pub fn http(&self, port: u16, request: &'static str) -> String {
        within(&self.router, move || {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        })
    }

    /// Starts `pcm run` on the router, and waits until it serves.
    pub fn pcm(&self, tables: &str) -> Pcm {
        self.pcm_by(tables, Path::new(env!("CARGO_BIN_EXE_pcm")), &[], &[])
    }

    /// Likewise, with another copy of the program, which these words start, in this environment.
    pub fn pcm_by(
        &self,
        tables: &str,
        program: &Path,
        before: &[&str],
        environment: &[(&str, &str)],
    ) -> Pcm {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.router]).args(before);
        command.arg(program).envs(environment.iter().copied());
        Pcm::start(command, POLICY, tables)
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
pub fn within<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
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
    /// Starts it in a namespace.
    pub fn within(namespace: &str, tables: &str) -> Self {
        let mut command = Command::new("ip");
        let program = env!("CARGO_BIN_EXE_pcm");
        command.args(["netns", "exec", namespace, program]);
        Self::start(command, POLICY, tables)
    }

    fn start(mut command: Command, policy: &str, tables: &str) -> Self {
        let folder = configured_with(policy, tables);
        std::fs::write(folder.path().join("r.key"), SECRET).unwrap();
        let config = folder.path().join("pcm.toml");
        let copy = Path::new(command.get_args().last().unwrap()).with_file_name("lpm.so");
        if copy.exists() {
            let text = std::fs::read_to_string(&config).unwrap();
            let built = format!("{:?}", sample_library());
            std::fs::write(&config, text.replace(&built, &format!("{copy:?}"))).unwrap();
        }
        let readable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), readable).unwrap();
        let mut child = command
            .args(["run", "--config"])
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
        self.configure_with(policy, &self.tables);
    }

    /// Gives it another configuration, likewise.
    pub fn configure_with(&self, policy: &str, tables: &str) {
        let new = configured_with(policy, tables);
        let text = std::fs::read(new.path().join("pcm.toml")).unwrap();
        std::fs::write(self.folder.path().join("pcm.toml"), text).unwrap();
    }

    /// A file beside its configuration.
    pub fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        // `ip netns exec` becomes what it executes.
        self.child.id()
    }

    /// What the kernel says of its process.
    pub fn process(&self) -> String {
        std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap()
    }

    /// What a command that asks over the control socket prints, and its status.
    pub fn ask(&self, arguments: &[&str]) -> (i32, String) {
        let socket = self.file("control");
        let socket = ["--socket", socket.to_str().unwrap()];
        let run = crate::support::pcm(&[arguments, &socket].concat());
        (run.status, run.stdout + &run.stderr)
    }

    /// How much memory it has in use, in KiB.
    pub fn memory(&self) -> u64 {
        let status = self.process();
        let mut lines = status.lines();
        let line = lines.find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
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
    namespace: File,
    socket: RawSocket,
    socket6: RawSocket6,
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
    pub fn new(namespace: &str, link: &'static str) -> Self {
        let file = File::open(Path::new("/run/netns").join(namespace)).unwrap();
        within(namespace, move || Self {
            namespace: file,
            socket: RawSocket::open().unwrap(),
            socket6: RawSocket6::open().unwrap(),
            interface: nix::net::if_::if_nametoindex(link).unwrap(),
        })
    }

    pub fn send(&self, source: impl Into<IpAddr>, destination: IpAddr, bytes: Vec<u8>) {
        let message_type = MessageType::from(bytes[1]);
        let datagram = Datagram {
            interface: self.interface,
            source: source.into(),
            destination,
            ttl: 64,
            router_alert: message_type.needs_router_alert(),
            bytes,
        };
        let sent = match destination {
            // What is too long for a packet goes out by a socket that is made for it.
            IpAddr::V4(_) if datagram.bytes.len() > 1_000 => thread::scope(|scope| {
                let send = || {
                    setns(&self.namespace, CloneFlags::CLONE_NEWNET).unwrap();
                    self.socket.send(&datagram)
                };
                scope.spawn(send).join().unwrap()
            }),
            IpAddr::V4(_) => self.socket.send(&datagram),
            IpAddr::V6(_) => self.socket6.send(&datagram),
        };
        sent.unwrap();
    }

    /// The next message of this type, whatever comes before it.
    pub fn next(&self, wanted: MessageType) -> Came {
        eventually(&format!("a {wanted}"), || self.take(wanted))
    }

    /// Whether a message of this type is there, whatever comes before it.
    pub fn has(&self, wanted: MessageType) -> bool {
        self.take(wanted).is_some()
    }

    /// The next message of this type that is there.
    pub fn take(&self, wanted: MessageType) -> Option<Came> {
        let mut buffer = vec![0; 65_535];
        loop {
            let arrival = self.socket.receive(&mut buffer);
            let arrival = arrival.or_else(|_| self.socket6.receive(&mut buffer));
            let Some(arrival) = arrival.ok()? else {
                continue;
            };
            let bytes = buffer[arrival.payload..arrival.end].to_vec();
            if bytes[1] == wanted.number() {
                return Some(Came {
                    source: arrival.source,
                    ttl: arrival.ttl,
                    bytes,
                });
            }
        }
    }
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

pub fn hop(address: impl Into<IpAddr>, logical_interface: u32) -> RsvpHop {
    RsvpHop {
        address: address.into(),
        logical_interface,
    }
}

pub fn user(name: &str) -> PolicyData {
    PolicyData::new().element(Identity::user().locator(name))
}

pub fn path(name: &str, refresh: Duration, bits: f32) -> Vec<u8> {
    V4.path(name, refresh, bits)
}

/// The Resv that answers a Path which came in.
pub fn resv(name: &str, answered: &Came, bits: f32) -> Vec<u8> {
    V4.resv(name, answered, bits)
}

impl Ends {
    pub fn session(&self) -> Session {
        Session::new(self.receiver, 17, 5201).unwrap()
    }

    pub fn flow(&self) -> FilterSpec {
        FilterSpec::new(self.sender, 4000)
    }

    pub fn path(&self, name: &str, refresh: Duration, bits: f32) -> Vec<u8> {
        self.path_with(user(name), refresh, bits)
    }

    pub fn path_with(&self, policy: PolicyData, refresh: Duration, bits: f32) -> Vec<u8> {
        let refresh_ms = u32::try_from(refresh.as_millis()).unwrap();
        let path = PathMessage::new(
            self.session(),
            hop(self.sender, 7),
            TimeValues { refresh_ms },
            self.flow(),
            tspec(bits),
        );
        path.policy_data(policy).build().unwrap()
    }

    pub fn path_tear(&self) -> Vec<u8> {
        let tear = PathTear::new(self.session(), hop(self.sender, 7), self.flow());
        tear.build().unwrap()
    }

    /// The receiver as the hop of what answers a Path which came in.
    fn own_hop(&self, answered: &Came) -> RsvpHop {
        let hop_of_path = answered.read(|message| message.hop().unwrap());
        hop(self.receiver, hop_of_path.logical_interface)
    }

    pub fn resv(&self, name: &str, answered: &Came, bits: f32) -> Vec<u8> {
        self.resv_with(user(name), answered, bits)
    }

    pub fn resv_with(&self, policy: PolicyData, answered: &Came, bits: f32) -> Vec<u8> {
        let service = ServiceRequest::ControlledLoad(tspec(bits));
        let flows = Flows::FixedFilter(vec![(service, self.flow())]);
        let own = self.own_hop(answered);
        let resv = Resv::new(self.session(), own, TimeValues::DEFAULT, flows);
        resv.confirm(self.receiver)
            .policy_data(policy)
            .build()
            .unwrap()
    }

    pub fn resv_tear(&self, answered: &Came) -> Vec<u8> {
        let senders = Senders::FixedFilter(vec![self.flow()]);
        let tear = ResvTear::new(self.session(), self.own_hop(answered), senders);
        tear.build().unwrap()
    }
}
