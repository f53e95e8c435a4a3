//! Reservations in the kernel, on a thread of their own: a class takes milliseconds.
//!
//! Each interface with a configured bandwidth gets an HTB at its root when the first reservation on
//! it comes. What this program left there before, after a crash, is taken away first; what somebody
//! else put there stays, unless the configuration says otherwise, and then there are no
//! reservations on that interface.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use lpm_rsvp::{FilterSpec, Session};
use lpm_sbm::{Command, Reserved};
use smallvec::SmallVec;
use tokio::sync::mpsc::UnboundedSender;

use super::classifier::{self, Flow};
use super::filters::Filters;
use super::netlink::Netlink;
use super::numbers::Numbers;
use super::traffic::{self, Class, MINORS, Root};

/// What is known of an interface.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// Its bandwidth in bytes/s.
    pub bandwidth: u64,
    /// Its longest packet.
    pub mtu: u32,
}

/// What the thread is told.
enum Order {
    Interface(u32, Option<Capacity>),
    Do(Command),
    Replace(bool),
}

/// What the kernel has done.
#[derive(Debug)]
pub struct Done {
    /// The command.
    pub id: u64,
    /// Whether it is done; if not, why.
    pub result: io::Result<()>,
}

/// The thread.
pub struct Kernel {
    orders: Sender<Order>,
    thread: JoinHandle<()>,
}

impl Kernel {
    /// Starts it; what is done is said there.
    ///
    /// # Errors
    /// The kernel refuses a connection, or the system a thread.
    pub fn start(is_replacing: bool, done: UnboundedSender<Done>) -> io::Result<Self> {
        let worker = Worker {
            netlink: Netlink::connect()?,
            is_replacing,
            capacities: HashMap::new(),
            interfaces: HashMap::new(),
            installed: HashMap::new(),
        };
        let (orders, inbox) = channel();
        let thread = std::thread::Builder::new()
            .name("pcm kernel".to_owned())
            .spawn(move || worker.work(&inbox, &done))?;
        Ok(Self { orders, thread })
    }

    /// Says what an interface is like; `None`: nothing can be reserved there.
    pub fn interface(&self, index: u32, capacity: Option<Capacity>) {
        let _ = self.orders.send(Order::Interface(index, capacity));
    }

    /// Says whether qdiscs that somebody else put there may be replaced.
    pub fn replace(&self, is_replacing: bool) {
        let _ = self.orders.send(Order::Replace(is_replacing));
    }

    /// Has a command carried out.
    pub fn carry_out(&self, command: Command) {
        let _ = self.orders.send(Order::Do(command));
    }

    /// Carries out what is left, takes away what was put on interfaces, and ends.
    pub fn finish(self) {
        drop(self.orders);
        let _ = self.thread.join();
    }
}

struct Worker {
    netlink: Netlink,
    is_replacing: bool,
    capacities: HashMap<u32, Capacity>,
    interfaces: HashMap<u32, Interface>,
    installed: HashMap<u64, Box<Installed>>,
}

/// An interface with an HTB of ours.
struct Interface {
    mtu: u32,
    minors: Numbers<u16>,
    filters: Filters,
}

/// A reservation that is there.
struct Installed {
    interface: u32,
    minor: u16,
    class: Class,
    session: Session,
    /// Those that packets are led there from, in ascending order; `None` for any.
    senders: SmallVec<[Option<FilterSpec>; 1]>,
}

impl Worker {
    fn work(mut self, orders: &Receiver<Order>, done: &UnboundedSender<Done>) {
        while let Ok(order) = orders.recv() {
            match order {
                Order::Interface(index, Some(capacity)) => {
                    self.capacity(index, capacity);
                }
                Order::Interface(index, None) => {
                    self.capacities.remove(&index);
                    self.installed
                        .retain(|_, installed| installed.interface != index);
                    if self.interfaces.remove(&index).is_some() {
                        self.clear_own(index);
                    }
                }
                Order::Replace(is_replacing) => self.is_replacing = is_replacing,
                Order::Do(command) => {
                    let result = self.carry_out(&command);
                    let _ = done.send(Done {
                        id: command.id,
                        result,
                    });
                }
            }
        }
        for index in self.interfaces.into_keys() {
            // It may be gone.
            let _ = traffic::clear(&mut self.netlink, index);
        }
    }

    /// An interface is there, or has another bandwidth now. What a crash left behind on it is taken
    /// away at once.
    fn capacity(&mut self, index: u32, capacity: Capacity) {
        let before = self.capacities.insert(index, capacity);
        let Capacity { bandwidth, mtu } = capacity;
        // What does not work here shows at the next reservation.
        if !self.interfaces.contains_key(&index) {
            self.clear_own(index);
        } else if before.is_none_or(|before| before.bandwidth != bandwidth) {
            let _ = traffic::put_shares(&mut self.netlink, index, bandwidth, mtu, false);
        }
    }

    /// Takes away what this program put on an interface, which may be gone.
    fn clear_own(&mut self, index: u32) {
        if let Ok(Root::Own) = traffic::root(&mut self.netlink, index) {
            let _ = traffic::clear(&mut self.netlink, index);
        }
    }

    fn carry_out(&mut self, command: &Command) -> io::Result<()> {
        let result = match &command.wanted {
            Some(wanted) => self.install(command.reservation, command.interface, wanted),
            None => {
                self.remove(command.reservation);
                Ok(())
            }
        };
        if result.is_err() && !self.is_whole(command.reservation) {
            self.remove(command.reservation);
        }
        result
    }

    /// Whether what there is of a reservation is of use.
    fn is_whole(&self, reservation: u64) -> bool {
        let installed = self.installed.get(&reservation);
        installed.is_none_or(|installed| !installed.senders.is_empty())
    }

    fn install(&mut self, reservation: u64, index: u32, wanted: &Reserved) -> io::Result<()> {
        self.set_up(index)?;
        let Self {
            netlink,
            interfaces,
            installed,
            ..
        } = self;
        let Some(interface) = interfaces.get_mut(&index) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let class = Class::of(&wanted.service, interface.mtu);
        let known = match installed.get_mut(&reservation) {
            Some(known) => {
                if known.class != class {
                    traffic::reserve(netlink, index, known.minor, class, interface.mtu, false)?;
                    known.class = class;
                }
                known
            }
            None => {
                let minor = interface.minors.take().ok_or_else(|| full("classes"))?;
                let made = traffic::reserve(netlink, index, minor, class, interface.mtu, true);
                if let Err(error) = made {
                    interface.minors.give_back(minor);
                    return Err(error);
                }
                installed.entry(reservation).or_insert(Box::new(Installed {
                    interface: index,
                    minor,
                    class,
                    session: wanted.session,
                    senders: SmallVec::new(),
                }))
            }
        };
        let mut senders: Vec<_> = match &wanted.senders[..] {
            [] => vec![None],
            senders => senders.iter().copied().map(Some).collect(),
        };
        senders.sort_unstable();
        let (session, minor) = (known.session, known.minor);
        let mut kernel = classifier::Kernel {
            netlink,
            interface: index,
        };
        for sender in &senders {
            if let Err(place) = known.senders.binary_search(sender) {
                let sender = *sender;
                let flow = Flow { session, sender };
                interface.filters.add(&mut kernel, flow, minor)?;
                known.senders.insert(place, sender);
            }
        }
        known.senders.retain(|sender| {
            let sender = *sender;
            let is_wanted = senders.binary_search(&sender).is_ok();
            if !is_wanted {
                interface
                    .filters
                    .remove(&mut kernel, Flow { session, sender });
            }
            is_wanted
        });
        Ok(())
    }

    fn remove(&mut self, reservation: u64) {
        let Some(installed) = self.installed.remove(&reservation) else {
            return;
        };
        let index = installed.interface;
        let Some(interface) = self.interfaces.get_mut(&index) else {
            return;
        };
        let session = installed.session;
        let mut kernel = classifier::Kernel {
            netlink: &mut self.netlink,
            interface: index,
        };
        for sender in installed.senders {
            interface
                .filters
                .remove(&mut kernel, Flow { session, sender });
        }
        let _ = traffic::unreserve(&mut self.netlink, index, installed.minor);
        interface.minors.give_back(installed.minor);
    }

    /// Has an HTB of ours on an interface.
    fn set_up(&mut self, index: u32) -> io::Result<()> {
        if self.interfaces.contains_key(&index) {
            return Ok(());
        }
        let capacity = self.capacities.get(&index).copied().ok_or_else(|| {
            let what = "the interface has no [interface] table with its `bandwidth`";
            io::Error::new(io::ErrorKind::NotFound, what)
        })?;
        match traffic::root(&mut self.netlink, index)? {
            Root::Default => {}
            Root::Own => traffic::clear(&mut self.netlink, index)?,
            Root::Other(_) if self.is_replacing => traffic::clear(&mut self.netlink, index)?,
            Root::Other(kind) => {
                let what = format!(
                    "the interface has a {kind} qdisc that somebody else put there; `replace_qdisc = true` in [run] \
                     lets pcm replace it"
                );
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
            }
        }
        let Capacity { bandwidth, mtu } = capacity;
        let made = traffic::set_up(&mut self.netlink, index, bandwidth, mtu).and_then(|()| {
            let netlink = &mut self.netlink;
            Filters::set_up(&mut classifier::Kernel {
                netlink,
                interface: index,
            })
        });
        let filters = made.inspect_err(|_| {
            let _ = traffic::clear(&mut self.netlink, index);
        })?;
        self.interfaces.insert(
            index,
            Interface {
                mtu,
                minors: Numbers::new(MINORS),
                filters,
            },
        );
        Ok(())
    }
}

fn full(what: &str) -> io::Error {
    let what = format!("the kernel has no more room for {what} on this interface");
    io::Error::new(io::ErrorKind::QuotaExceeded, what)
}
