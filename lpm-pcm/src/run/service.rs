//! The loop: packets, answers, timers, changes of links and routes, and signals.

use std::error::Error;
use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lpm_api::Interface;
use lpm_host::Pcm;
use lpm_rsvp::{Message, MessageType, ObjectIndex};
use lpm_sbm::{About, Datagram, Decided, DropReason, Node, NodeConfig, Output, Packet, Ruling};
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep_until};

use super::audit::Audit;
use super::charge::{Changed, Charge};
use super::control::{Asked, Control};
use super::desk::{Answer, Desk};
use super::host::Host;
use super::http::Http;
use super::kernel::{Done, Kernel};
use super::metrics::{self, Counters};
use super::netlink::{Changes, Link, Netlink};
use super::record;
use super::signer::Signer;
use super::socket::Arrival;
use super::sockets::{Incoming, Sockets};
use super::troubles::{TELL_EVERY, Troubles};
use super::watchdog::Watchdog;
use crate::config::{Config, Format};
use crate::integrity::{Guard, Provenance};

mod orders;
mod report;

/// Why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
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
    troubles: Troubles,
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
            control: Control::configured(config.run.control.as_deref(), &query)?,
            http: Http::configured(config.run.metrics, &query)?,
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
            troubles: Troubles::since(Instant::now()),
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
            let due = due.min(self.troubles.due()).min(watchdog.due(now));
            tokio::select! {
                biased;
                _ = interrupt.recv() => return Ok(End::Interrupted),
                _ = terminate.recv() => return Ok(End::Terminated),
                _ = hangup.recv() => self.reload(reload(), None),
                () = sleep_until(due) => {
                    self.count_incomplete();
                    self.troubles.tell(Instant::now());
                    self.node.tick(self.now());
                }
                Some(answer) = self.answers.recv() => self.answered(answer),
                Some(done) = self.done.recv() => self.is_done(done),
                Some(changed) = self.changed.recv() => self.has_changed(changed)?,
                Some((query, answer)) = self.queries.recv() => {
                    self.answer(query, answer, &mut reload);
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

    /// Counts messages of which fragments never came.
    fn count_incomplete(&mut self) {
        while let Some(incomplete) = self.sockets.given_up(SystemTime::now()) {
            self.counters.failed("fragments");
            let source = incomplete.source;
            self.troubles.failed(format!(
                "a message of {source} came in fragments, and not all of them within a minute"
            ));
        }
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

    /// Whether a message bears an INTEGRITY object that was verified; `None` if it is not to be
    /// trusted at all.
    fn is_trusted(&mut self, arrival: &Arrival, bytes: &[u8]) -> Option<bool> {
        if self.config.keys.is_empty() {
            return Some(false);
        }
        let mut index = ObjectIndex::new();
        let Ok(message) = Message::parse(bytes, &mut index) else {
            // Who sent it is not known, and nobody gets an answer.
            self.troubles.dropped(DropReason::Malformed);
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
                self.troubles
                    .failed(format!("a message of {}: {forged}", arrival.source));
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
            self.troubles
                .failed(format!("cannot send to {}: {error}", datagram.destination));
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
                    self.say_what_ends_here(&decided);
                    let now = SystemTime::now();
                    if let Some(audit) = &self.audit {
                        audit.ruled(&decided, now);
                    }
                    record::print(&mut self.out, self.format, &decided, now)?;
                    has_printed = true;
                }
                Output::Dropped { reason, .. } => self.troubles.dropped(reason),
                Output::Bounded {
                    interface,
                    source,
                    announced,
                } => {
                    self.counters.bounded(interface);
                    self.troubles.failed(format!(
                        "{source} announces that it refreshes every {announced:?}: that is taken for `max_refresh` of [sbm]"
                    ));
                }
            }
        }
        if has_printed {
            self.out.flush()?;
        }
        Ok(())
    }

    /// Says that a Path which is granted goes no further.
    fn say_what_ends_here(&mut self, decided: &Decided) {
        let is_granted = matches!(decided.outcome, Ruling::Granted(_));
        if is_granted
            && decided.message == MessageType::Path
            && decided.session.address().is_multicast()
        {
            let what = "a Path for a multicast group is kept here, and goes no further: pcm run forwards for single hosts";
            self.troubles.failed(what.to_owned());
        }
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
            self.troubles.failed(format!("not reserved: {error}"));
        }
        self.node.reserved(self.now(), done.id, done.result.is_ok());
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
        self.troubles.tell_all();
        worked
    }
}
