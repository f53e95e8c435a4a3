//! The loop: packets, answers, timers, changes of links and routes, and signals.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lpm_api::{AddressRow, Interface};
use lpm_host::Pcm;
use lpm_rsvp::{Message, MessageType, ObjectIndex};
use lpm_sbm::{About, Datagram, DropReason, InterfaceName, Node, NodeConfig, Output, Packet};
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::audit::Audit;
use super::charge::{Change, Changed, Charge};
use super::control::{Asked, Control, InterfaceStatus, LpmReport, Query, Reply, Status};
use super::desk::{Answer, Desk};
use super::http::Http;
use super::kernel::{Capacity, Done, Kernel};
use super::metrics::{self, Counters, InterfaceView, View};
use super::netlink::{Changes, Link, Netlink};
use super::record;
use super::reload::not_taken;
use super::signer::Signer;
use super::socket::Arrival;
use super::sockets::{Incoming, Sockets, watched};
use super::watchdog::Watchdog;
use crate::config::{Config, Format};
use crate::integrity::{Guard, Provenance};

/// How often what was dropped is said.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

/// What the kernel of this host gives `pcm run`.
pub struct Host {
    sockets: Sockets,
    changes: AsyncFd<Changes>,
    netlink: Netlink,
}

impl Host {
    /// Opens what is needed, inside a tokio runtime.
    ///
    /// # Errors
    /// What is missing, and what to do.
    pub fn open() -> Result<Self, Box<dyn Error>> {
        let sockets = Sockets::open().map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => {
                "no raw socket: CAP_NET_RAW is missing; run as root, or grant it to the service"
                    .into()
            }
            _ => format!("no raw socket for RSVP: {error}"),
        })?;
        Ok(Self {
            sockets,
            changes: watched(Changes::listen()?)?,
            netlink: Netlink::connect()?,
        })
    }

    /// The interfaces that RSVP is to run on.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn links(&mut self, config: &Config) -> io::Result<Vec<Link>> {
        wanted_links(&mut self.netlink, config)
    }
}

fn wanted_links(netlink: &mut Netlink, config: &Config) -> io::Result<Vec<Link>> {
    let mut links = netlink.links()?;
    let named = &config.run.interfaces;
    links.retain(|link| named.is_empty() || named.contains(&link.name));
    Ok(links)
}

/// What is told to LPMs of these interfaces.
#[must_use]
pub fn address_rows(links: &[Link]) -> Vec<AddressRow> {
    links.iter().flat_map(Link::rows).collect()
}

/// The running service.
pub struct Service<W> {
    config: Config,
    node: Node<Netlink>,
    sockets: Sockets,
    changes: AsyncFd<Changes>,
    lookup: Netlink,
    links: Vec<Link>,
    pcm: Arc<Pcm>,
    audit: Option<Arc<Audit>>,
    desk: Desk,
    answers: UnboundedReceiver<Answer>,
    kernel: Option<Kernel>,
    done: UnboundedReceiver<Done>,
    charge: Charge,
    changed: UnboundedReceiver<Changed>,
    control: Option<Control>,
    http: Option<Http>,
    query: UnboundedSender<Asked>,
    queries: UnboundedReceiver<Asked>,
    guard: Guard,
    signer: Signer,
    started: Instant,
    /// What was dropped since it was last said.
    dropped: BTreeMap<DropReason, u64>,
    /// What was dropped before that.
    told: BTreeMap<DropReason, u64>,
    tell_at: Instant,
    /// What failed since it was last said, and how often.
    failures: HashMap<String, u64>,
    counters: Counters,
    format: Format,
    out: W,
}

impl<W: Write> Service<W> {
    /// A service on these interfaces, whose LPMs are in charge already.
    ///
    /// # Errors
    /// The kernel refuses a connection.
    pub fn new(
        config: Config,
        host: Host,
        links: Vec<Link>,
        pcm: Arc<Pcm>,
        audit: Option<Arc<Audit>>,
        format: Format,
        out: W,
    ) -> io::Result<Self> {
        let (answer, answers) = unbounded_channel();
        let (tell_done, done) = unbounded_channel();
        let kernel = match config.run.enforce {
            true => Some(Kernel::start(config.run.replace_qdisc, tell_done)?),
            false => None,
        };
        let (query, queries) = unbounded_channel();
        let (tell_changed, changed) = unbounded_channel();
        let mut node_config = NodeConfig::default();
        node_config.sbm = config.sbm.clone();
        node_config.refresh = config.run.refresh;
        node_config.seed = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| u64::from(since.subsec_nanos()) ^ since.as_secs());
        let mut service = Self {
            charge: Charge::new(Arc::clone(&pcm), tell_changed),
            changed,
            control: control(&config, &query)?,
            http: http(&config, &query)?,
            query,
            queries,
            guard: Guard::asking(config.keys.clone()),
            signer: Signer::new(&config.keys),
            node: Node::new(node_config, host.netlink),
            sockets: host.sockets,
            changes: host.changes,
            lookup: Netlink::connect()?,
            links: Vec::new(),
            audit: audit.clone(),
            desk: Desk::new(Arc::clone(&pcm), audit, answer),
            pcm,
            answers,
            kernel,
            done,
            started: Instant::now(),
            dropped: BTreeMap::new(),
            told: BTreeMap::new(),
            tell_at: Instant::now() + TELL_EVERY,
            failures: HashMap::new(),
            counters: Counters::default(),
            config,
            format,
            out,
        };
        service.take_links(links);
        Ok(service)
    }

    /// Serves until a signal says to end. `reload` reads the configuration anew.
    ///
    /// # Errors
    /// The system refuses signals, or the output cannot be written.
    pub async fn serve(
        &mut self,
        mut reload: impl FnMut() -> Result<Config, Box<dyn Error>>,
    ) -> Result<End, Box<dyn Error>> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut watchdog = Watchdog::of_environment();
        loop {
            self.work_off()?;
            let now = Instant::now();
            let due = self.node.next_deadline();
            let due = due.map_or(now + TELL_EVERY, |due| self.started + due);
            let due = due.min(self.tell_at).min(watchdog.due(now));
            tokio::select! {
                biased;
                _ = interrupt.recv() => return Ok(End::Interrupted),
                _ = terminate.recv() => return Ok(End::Terminated),
                _ = hangup.recv() => self.reload(reload()),
                () = sleep_until(due) => {
                    self.tell_dropped(Instant::now());
                    self.node.tick(self.now());
                }
                Some(answer) = self.answers.recv() => self.answered(answer),
                Some(done) = self.done.recv() => self.is_done(done),
                Some(changed) = self.changed.recv() => self.has_changed(changed)?,
                Some((query, answer)) = self.queries.recv() => {
                    if query == Query::Reload {
                        self.reload(reload());
                    }
                    self.answer(query, answer);
                }
                ready = self.changes.readable() => {
                    let mut ready = ready?;
                    while let Ok(Ok(())) = ready.try_io(|changes| changes.get_ref().read()) {}
                    self.follow_changes();
                }
                incoming = self.sockets.receive() => {
                    for Incoming { arrival, bytes } in incoming? {
                        self.receive(&arrival, &bytes);
                    }
                }
            }
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn receive(&mut self, arrival: &Arrival, bytes: &[u8]) {
        self.counters.received(arrival.interface, bytes);
        if MessageType::from(metrics::type_of(bytes)) == MessageType::Bundle {
            let mut index = ObjectIndex::new();
            // What is in a bundle is signed by itself.
            if let Ok(message) = Message::parse(bytes, &mut index) {
                for bytes in message.bundled().flatten() {
                    self.receive_one(arrival, bytes);
                }
                return;
            }
        }
        self.receive_one(arrival, bytes);
    }

    fn receive_one(&mut self, arrival: &Arrival, bytes: &[u8]) {
        let Some(integrity_verified) = self.is_trusted(arrival, bytes) else {
            return;
        };
        let packet = Packet {
            interface: arrival.interface,
            source: arrival.source,
            destination: arrival.destination,
            ttl: arrival.ttl,
            bytes,
            received: SystemTime::now(),
            integrity_verified,
        };
        self.node.receive(self.started.elapsed(), &packet);
    }

    /// Whether a message bears an INTEGRITY object that was verified; `None` if it is not to be trusted at all.
    fn is_trusted(&mut self, arrival: &Arrival, bytes: &[u8]) -> Option<bool> {
        if self.config.keys.is_empty() {
            return Some(false);
        }
        let mut index = ObjectIndex::new();
        let Ok(message) = Message::parse(bytes, &mut index) else {
            // Who sent it is not known, and nobody gets an answer.
            *self.dropped.entry(DropReason::Malformed).or_default() += 1;
            return None;
        };
        let interface = self.interface(arrival.interface, arrival.destination);
        if message.message_type() == MessageType::IntegrityChallenge {
            if interface.address == arrival.destination {
                let answer = self.signer.answer(&message, &interface);
                answer
                    .into_iter()
                    .for_each(|answer| self.send_as_is(&interface, arrival.source, answer));
            }
            return None;
        }
        let checked = self.guard.check(&message, arrival.source, &interface);
        for (sender, challenge) in self.guard.challenges() {
            self.send_as_is(&interface, sender, challenge);
        }
        match checked {
            // It was for the guard.
            Ok(_) if message.message_type() == MessageType::IntegrityResponse => None,
            Ok(provenance) => Some(provenance == Provenance::Verified),
            Err(forged) => {
                self.counters.failed("integrity");
                self.failed(format!("a message of {}: {forged}", arrival.source));
                None
            }
        }
    }

    /// Sends a message of the handshake, which is signed already or never.
    fn send_as_is(&mut self, own: &Interface, destination: IpAddr, bytes: Vec<u8>) {
        self.send(&Datagram {
            interface: own.index,
            source: own.address,
            destination,
            ttl: 64,
            router_alert: false,
            bytes,
        });
    }

    fn send(&mut self, datagram: &Datagram) {
        self.counters.sent(datagram.interface, &datagram.bytes);
        if let Err(error) = self.sockets.send(datagram) {
            self.counters.failed("send");
            self.failed(format!("nothing goes to {}: {error}", datagram.destination));
        }
    }

    /// An interface with its own address; where it has none, with this one.
    fn interface(&self, index: u32, address: IpAddr) -> Interface {
        let mut links = self.links.iter();
        let link = links.find(|link| link.interface.index == index);
        let own = link.and_then(|link| link.interface.address(address));
        Interface {
            index,
            address: own.unwrap_or(address),
        }
    }

    /// Does what the node says.
    fn work_off(&mut self) -> io::Result<()> {
        let mut has_printed = false;
        while let Some(output) = self.node.poll() {
            match output {
                Output::Send(mut datagram) => {
                    let interface = self.interface(datagram.interface, datagram.source);
                    datagram.bytes = self.signer.signed(datagram.bytes, &interface);
                    self.send(&datagram);
                }
                Output::Ask(question) => {
                    if matches!(question.about, About::Received { .. }) {
                        self.counters.asked(question.id);
                    }
                    self.desk.ask(question);
                }
                Output::Tell(notice) => self.desk.tell(notice),
                Output::Reserve(command) => match &self.kernel {
                    Some(kernel) => kernel.carry_out(command),
                    // What is granted is counted, and the kernel does nothing about it.
                    None => self.node.reserved(self.started.elapsed(), command.id, true),
                },
                Output::Record(decided) => {
                    self.counters.ruled(&decided);
                    let now = SystemTime::now();
                    if let Some(audit) = &self.audit {
                        audit.ruled(&decided, now);
                    }
                    record::print(&mut self.out, self.format, &decided, now)?;
                    has_printed = true;
                }
                Output::Dropped { reason, .. } => *self.dropped.entry(reason).or_default() += 1,
            }
        }
        if has_printed {
            self.out.flush()?;
        }
        Ok(())
    }

    fn answered(&mut self, answer: Answer) {
        let now = self.now();
        match answer {
            Answer::Decided(id, decisions) => {
                self.counters.decided(id);
                self.node.decided(now, id, &decisions);
            }
            Answer::Supplied(id, objects) => self.node.supplied(now, id, objects),
            Answer::Free(session) => self.desk.is_free(session),
        }
    }

    fn is_done(&mut self, done: Done) {
        if let Err(error) = &done.result {
            self.counters.failed("reserve");
            self.failed(format!("not reserved: {error}"));
        }
        self.node.reserved(self.now(), done.id, done.result.is_ok());
    }

    /// Notes a failure, to be said once in a while.
    fn failed(&mut self, what: String) {
        *self.failures.entry(what).or_default() += 1;
    }

    /// Says what was dropped and what failed, once in a while.
    fn tell_dropped(&mut self, now: Instant) {
        if now < self.tell_at {
            return;
        }
        self.tell_at = now + TELL_EVERY;
        for (reason, count) in std::mem::take(&mut self.dropped) {
            *self.told.entry(reason).or_default() += count;
            anstream::eprintln!("pcm: {count} messages dropped: {}", reason.name());
        }
        for (what, count) in std::mem::take(&mut self.failures) {
            anstream::eprintln!("pcm: {what} ({count} times)");
        }
    }

    fn answer(&mut self, query: Query, answer: oneshot::Sender<Reply>) {
        let reply = match query {
            Query::Sessions => Reply::Sessions(self.node.report()),
            Query::Reload => Reply::Reloading,
            Query::Status => Reply::Status(self.status()),
            Query::Metrics => Reply::Metrics(self.metrics()),
            Query::Demote => return self.charge.make(Change::Demote, Some(answer)),
            Query::BecomeDsbm => return self.charge.make(Change::BecomeDsbm, Some(answer)),
        };
        // Who went away does not mind.
        let _ = answer.send(reply);
    }

    /// Does what follows from a change that was made.
    fn has_changed(&mut self, changed: Changed) -> io::Result<()> {
        let Changed {
            change,
            result,
            answer,
        } = changed;
        let reply = match (change, result) {
            (Change::Demote, Ok(())) => {
                // What LPMs granted goes with them. What comes now is refused.
                self.node.stop(self.now());
                anstream::eprintln!(
                    "pcm: demoted: the LPMs are stopped, what was reserved is given back"
                );
                Reply::Demoted
            }
            (Change::BecomeDsbm, Ok(())) => {
                anstream::eprintln!("pcm: in charge: the LPMs are initialized");
                Reply::InCharge
            }
            (Change::Reload(config), Ok(())) => {
                self.take(*config);
                Reply::Reloading
            }
            (change, Err(error)) => {
                let what = match change {
                    Change::Demote => "not demoted",
                    Change::BecomeDsbm => "not in charge",
                    Change::Reload(_) => "not reloaded",
                };
                anstream::eprintln!("pcm: {what}: {error}");
                Reply::Refused(error.to_string())
            }
        };
        self.work_off()?;
        if let Some(answer) = answer {
            let _ = answer.send(reply);
        }
        Ok(())
    }

    /// Takes what can be taken of another configuration, whose LPMs run already, and says what cannot.
    fn take(&mut self, new: Config) {
        for what in not_taken(&self.config, &new) {
            anstream::eprintln!("pcm: not before a restart: {what}");
        }
        let mut faults = Vec::new();
        if new.run.control != self.config.run.control {
            match control(&new, &self.query) {
                Ok(control) => self.control = control,
                Err(fault) => faults.push(fault),
            }
        }
        if new.run.metrics != self.config.run.metrics {
            match http(&new, &self.query) {
                Ok(http) => self.http = http,
                Err(fault) => faults.push(fault),
            }
        }
        for fault in faults {
            anstream::eprintln!("pcm: {fault}; the one there was goes on");
        }
        if self.node.set_bandwidth(&new.sbm.interfaces) {
            self.config.sbm.interfaces = new.sbm.interfaces;
        }
        self.node.set_refresh(new.run.refresh);
        if let Some(kernel) = &self.kernel {
            kernel.replace(new.run.replace_qdisc);
        }
        let enforce = self.config.run.enforce;
        self.config.lpms = new.lpms;
        self.config.run = new.run;
        self.config.run.enforce = enforce;
        if let Ok(links) = wanted_links(&mut self.lookup, &self.config) {
            self.take_links(links);
        }
        anstream::eprintln!("pcm: reloaded: the LPMs of the configuration run");
    }

    fn status(&self) -> Status {
        let interfaces = self.interfaces().into_iter();
        let interfaces = interfaces.map(|interface| InterfaceStatus {
            name: interface.name,
            index: interface.index,
            reserved: interface.reserved,
        });
        let dropped = self.all_dropped().into_iter();
        let status = self.pcm.status();
        let pinned = status.pinned.iter();
        Status {
            uptime: self.started.elapsed().as_secs(),
            phase: status.phase.name(),
            lpms: status.lpms.iter().map(LpmReport::from).collect(),
            pinned: pinned
                .map(|pinned| pinned.library.display().to_string())
                .collect(),
            interfaces: interfaces.collect(),
            sessions: self.node.session_count(),
            flows: self.node.flow_count(),
            enforce: self.config.run.enforce,
            dropped: dropped
                .map(|(reason, count)| (reason.name(), count))
                .collect(),
        }
    }

    fn metrics(&self) -> String {
        let view = View {
            uptime: self.started.elapsed(),
            interfaces: &self.interfaces(),
            sessions: self.node.session_count(),
            flows: self.node.flow_count(),
            dropped: &self.all_dropped(),
            status: &self.pcm.status(),
            lpms: &self.pcm.metrics(),
        };
        metrics::text(&self.counters, &view)
    }

    fn interfaces(&self) -> Vec<InterfaceView> {
        let interfaces = self.links.iter().map(|link| {
            let index = link.interface.index;
            let addresses = link.interface.addresses.iter();
            let reserved = addresses.map(|address| {
                self.node.allocated(&Interface {
                    index,
                    address: *address,
                })
            });
            InterfaceView {
                name: link.name.clone(),
                index,
                bandwidth: bandwidth(&self.config, link).map(|bytes| bytes.saturating_mul(8)),
                reserved: u64::try_from(reserved.max().unwrap_or_default()).unwrap_or(u64::MAX),
            }
        });
        interfaces.collect()
    }

    fn all_dropped(&self) -> BTreeMap<DropReason, u64> {
        let mut dropped = self.told.clone();
        for (reason, count) in &self.dropped {
            *dropped.entry(*reason).or_default() += count;
        }
        dropped
    }

    fn follow_changes(&mut self) {
        match wanted_links(&mut self.lookup, &self.config) {
            Ok(links) if links != self.links => {
                let rows = address_rows(&links);
                self.take_links(links);
                let pcm = Arc::clone(&self.pcm);
                tokio::task::spawn_blocking(move || pcm.set_ip_address_table(&rows));
            }
            _ => self.node.routes_changed(self.now()),
        }
    }

    fn take_links(&mut self, links: Vec<Link>) {
        if let Some(kernel) = &self.kernel {
            for old in &self.links {
                let index = old.interface.index;
                if !links.iter().any(|link| link.interface.index == index) {
                    kernel.interface(index, None);
                }
            }
            for link in &links {
                let bandwidth = bandwidth(&self.config, link);
                let capacity = bandwidth.map(|bandwidth| Capacity {
                    bandwidth,
                    mtu: link.interface.mtu,
                });
                if capacity.is_some() {
                    kernel.interface(link.interface.index, capacity);
                }
            }
        }
        let interfaces = links.iter().map(|link| link.interface.clone());
        self.node.set_interfaces(self.started.elapsed(), interfaces);
        self.links = links;
    }

    /// Runs the LPMs of another configuration; flows stay.
    fn reload(&mut self, config: Result<Config, Box<dyn Error>>) {
        let config = match config {
            Ok(config) => config,
            Err(error) => {
                anstream::eprintln!("pcm: not reloaded: {error}");
                return;
            }
        };
        self.charge.make(Change::Reload(Box::new(config)), None);
    }

    /// Tears everything down: in the neighbours, and in the kernel.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        (self.control, self.http) = (None, None);
        self.node.stop(self.now());
        let worked = self.work_off();
        if let Some(kernel) = self.kernel.take() {
            kernel.finish();
        }
        self.tell_at = Instant::now();
        self.tell_dropped(self.tell_at);
        worked
    }
}

/// The control socket, where there is to be one.
fn control(config: &Config, query: &UnboundedSender<Asked>) -> io::Result<Option<Control>> {
    let control = config.run.control.as_deref().map(|path| {
        Control::open(path, query.clone()).map_err(|error| {
            let what = format!("control socket {}: {error}", path.display());
            io::Error::new(error.kind(), what)
        })
    });
    control.transpose()
}

/// Where Prometheus fetches metrics, where that is to be.
fn http(config: &Config, query: &UnboundedSender<Asked>) -> io::Result<Option<Http>> {
    let http = config.run.metrics.map(|address| {
        Http::open(address, query.clone())
            .map_err(|error| io::Error::new(error.kind(), format!("metrics on {address}: {error}")))
    });
    http.transpose()
}

/// What the configuration says of an interface, in bytes/s.
fn bandwidth(config: &Config, link: &Link) -> Option<u64> {
    let tables = &config.sbm.interfaces;
    let of = |is_wanted: &dyn Fn(&InterfaceName) -> bool| {
        let mut tables = tables.iter();
        tables
            .find(|(name, _)| is_wanted(name))
            .map(|(_, pool)| pool.bandwidth)
    };
    let by_address = of(
        &|name| matches!(name, InterfaceName::Address(address) if link.interface.addresses.contains(address)),
    );
    let bits = by_address
        .or_else(|| of(&|name| *name == InterfaceName::Index(link.interface.index)))
        .or_else(|| of(&|name| *name == InterfaceName::Any))?;
    Some(bits / 8)
}
