//! An RSVP node: takes in messages, keeps Path and Resv state, has LPMs decide and the kernel
//! reserve, and sends what its neighbours are to know (RFC 2205, RFC 2209). No I/O, and no clock of
//! its own.
//!
//! The road of a message: [`Node::receive`] checks it (`receive`), and tells a refresh, which only
//! renews state, from what is new. That is asked about: [`Output::Ask`], to which the answer goes
//! to [`Node::decided`]. What is granted becomes state (`paths`, `resvs`), takes bandwidth
//! (`crate::reservations`) and is reserved by the kernel ([`Output::Reserve`], `reserve`), merged
//! with what other next hops want (`merge`), and sent on (`upstream`). What is not becomes an error
//! message (`errors`). Meanwhile later messages about the same flow wait (`waiting`), and no
//! others. What cannot be granted whatever anybody says is answered at once (`reject`). With
//! neighbours that know how, messages are acknowledged, and refreshes are short (`names`,
//! `reliable`).
//!
//! Whoever runs it does what [`Node::poll`] says, in order, and calls [`Node::tick`] at
//! [`Node::next_deadline`].

mod deadlines;
mod errors;
mod few;
mod links;
mod merge;
mod names;
pub(crate) mod output;
mod paths;
mod policy;
mod receive;
mod reject;
mod reliable;
pub(crate) mod report;
mod reserve;
mod resvs;
mod resvs_gone;
mod said;
mod state;
mod tick;
mod upstream;
mod waiting;
mod wire;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use foldhash::quality::FixedState;
use foldhash::{HashMap, HashMapExt};
use lpm_api::{DeleteReason, FlowKey, Interface};
use lpm_rsvp::Session;

use std::hash::BuildHasher;

use self::deadlines::{Deadlines, Moment};
use self::names::Names;
use self::output::{Datagram, DropReason, News, NodeConfig, NodeInterface, Notice, Output, Packet};
use self::state::{Installed, SessionState};
use self::waiting::Waiting;
use crate::bandwidth::{InterfaceName, PoolConfig, Pools};
use crate::lifetime::{Life, Time, Timers};
use crate::message_ids::MessageIds;
use crate::reservations::{ReservationKey, Reservations};

/// How much memory messages of a flow may take on average, in bytes.
const BYTES_PER_FLOW: usize = 1024;

/// How many moments of a refresh period there are at which this node refreshes. What is due at the
/// same one goes out together, so that who runs the node need not wake up for each of thousands of
/// sessions.
const MOMENTS: u32 = 1024;

/// An RSVP node.
///
/// Times are durations since some moment of the caller's choosing, by a clock that never goes back.
pub struct Node<R> {
    config: NodeConfig,
    timers: Timers,
    routes: R,
    interfaces: BTreeMap<u32, NodeInterface>,
    sessions: HashMap<Session, Box<SessionState>>,
    flows: usize,
    bytes: usize,
    reservations: Reservations,
    installed: HashMap<Box<ReservationKey>, Box<Installed>>,
    deadlines: Deadlines,
    repair_at: Option<Duration>,
    /// Interfaces that went, or changed, since Paths last followed their routes.
    changed_interfaces: BTreeSet<u32>,
    waiting: Waiting,
    names: Names,
    /// The MESSAGE_IDs of what came in.
    message_ids: MessageIds,
    outputs: VecDeque<Output>,
    /// The last number that was given to something.
    number: u64,
}

impl<R> Node<R> {
    /// A node without interfaces and without state.
    pub fn new(config: NodeConfig, routes: R) -> Self {
        Self {
            timers: Timers {
                missed_refreshes: config.sbm.missed_refreshes,
                max_refresh: config.sbm.max_refresh,
                max_duration: config.sbm.max_flow_duration,
            },
            routes,
            interfaces: BTreeMap::new(),
            sessions: HashMap::new(),
            flows: 0,
            bytes: 0,
            reservations: Reservations::new(Pools::new(&config.sbm.interfaces)),
            installed: HashMap::new(),
            deadlines: Deadlines::default(),
            repair_at: None,
            changed_interfaces: BTreeSet::new(),
            waiting: Waiting::new(config.max_waiting),
            names: Names::new(config.seed),
            message_ids: MessageIds::new(),
            outputs: VecDeque::new(),
            number: 0,
            config,
        }
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to [`tick`](Self::tick).
    pub fn next_deadline(&self) -> Option<Duration> {
        self.deadlines.first()
    }

    /// The routes.
    pub fn routes(&mut self) -> &mut R {
        &mut self.routes
    }

    /// How many flows there is state of: senders, and requests of next hops.
    pub fn flow_count(&self) -> usize {
        self.flows
    }

    /// How many sessions there is state of.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// How much of an interface's bandwidth is reserved, in bit/s.
    pub fn allocated(&self, interface: &Interface) -> u128 {
        let pools = self.reservations.pools();
        pools.taken(pools.key(interface))
    }

    /// What there is of the interfaces from now on. What is reserved stays, also where that is
    /// more. `false`, without a change, where not the same interfaces are named as before.
    pub fn set_bandwidth(&mut self, interfaces: &[(InterfaceName, PoolConfig)]) -> bool {
        self.reservations.set_bandwidth(interfaces)
    }

    /// How often this node refreshes state in its neighbours, from the next refresh of each on.
    pub fn set_refresh(&mut self, refresh: Duration) {
        self.config.refresh = refresh;
    }

    /// A number that nothing else has.
    fn number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// The refresh period, as TIME_VALUES has it.
    fn refresh_ms(&self) -> u32 {
        u32::try_from(self.config.refresh.as_millis()).unwrap_or(u32::MAX)
    }

    /// When to refresh next: between half and one and a half refresh periods from now (RFC 2205
    /// §3.7), at one of the moments of the period.
    fn next_refresh(&mut self, now: Duration) -> Duration {
        let draw = self.number();
        let draw = FixedState::with_seed(self.config.seed).hash_one(draw);
        let moment = (self.config.refresh / MOMENTS).max(Duration::from_nanos(1));
        let since = now.as_nanos() % moment.as_nanos();
        let since = Duration::from_nanos(u64::try_from(since).unwrap_or_default());
        let moments = u32::try_from(draw % u64::from(MOMENTS)).unwrap_or_default();
        now - since + self.config.refresh / 2 + moment * moments
    }

    fn is_own(&self, address: IpAddr) -> bool {
        let mut interfaces = self.interfaces.values();
        interfaces.any(|interface| interface.addresses.contains(&address))
    }

    /// An interface as LPMs and bandwidth know it.
    fn interface(&self, index: u32, like: IpAddr) -> Option<Interface> {
        let address = self.interfaces.get(&index)?.address(like)?;
        Some(Interface { index, address })
    }

    /// Whether there is room for state of one more flow, that takes so many bytes.
    fn has_room(&self, bytes: usize) -> bool {
        let max = self.config.sbm.max_flows;
        self.flows < max && self.bytes + bytes <= max.saturating_mul(BYTES_PER_FLOW)
    }

    fn send(&mut self, datagram: Datagram) {
        self.outputs.push_back(Output::Send(datagram));
    }

    fn tell_gone(
        &mut self,
        session: Session,
        said: &[u8],
        interface: Interface,
        reason: DeleteReason,
    ) {
        self.outputs.push_back(Output::Tell(Notice {
            session,
            bytes: said.to_vec(),
            interface,
            news: News::Gone(reason),
        }));
    }

    fn dropped(&mut self, packet: &Packet<'_>, reason: DropReason) {
        self.outputs.push_back(Output::Dropped {
            interface: packet.interface,
            source: packet.source,
            reason,
        });
    }

    fn resv(&mut self, flow: &FlowKey) -> Option<&mut state::ResvState> {
        let session = self.sessions.get_mut(&flow.session())?;
        session.resvs.get_mut(flow)
    }

    /// Forgets a session of which nothing is left.
    fn clear(&mut self, session: Session) {
        let kept = self.sessions.get(&session);
        if kept.is_some_and(|kept| kept.is_empty()) {
            self.sessions.remove(&session);
        }
    }
}

/// A time on the clock that lifetimes are kept by.
fn time(now: Duration) -> Time {
    Time::from(SystemTime::UNIX_EPOCH + now)
}

/// From when on state is too old.
fn end(life: Life) -> Moment {
    let end = SystemTime::from(life.deadline().time);
    let end = end.duration_since(SystemTime::UNIX_EPOCH);
    Moment::from(end.unwrap_or_default() + Duration::from_nanos(1))
}
