//! The bandwidth of interfaces.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use lpm_api::Interface;
use lpm_rsvp::ServiceRequest;

use crate::refusal::Refusal;

/// How an interface is named in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InterfaceName {
    /// By its address.
    Address(IpAddr),
    /// By its number, from 1: the SNMP ifIndex, or the place in the capture.
    Index(u32),
    /// Each one that is not named otherwise.
    Any,
}

/// As it is written in the configuration.
impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Index(index) => index.fmt(f),
            Self::Any => f.write_str("*"),
        }
    }
}

/// What there is of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// What reservations may take together, in bit/s.
    pub bandwidth: u64,
    /// What a single flow may ask for, in bit/s.
    pub max_per_flow: Option<u64>,
    /// Whether a reservation may take the place of those that policy gave a lower priority.
    pub preemption: bool,
}

/// A pool of bandwidth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum PoolKey {
    /// That of this entry of the configuration.
    Configured(usize),
    /// That of the interface with this number, which has no entry of its own.
    Other(u32),
}

/// All pools, and what is allocated in each.
pub(crate) struct Pools {
    interfaces: Vec<(InterfaceName, PoolConfig)>,
    /// Those of them that are named, and that no message came in on yet.
    unused: Vec<InterfaceName>,
    /// The entries of interfaces whose addresses are all known.
    entries: BTreeMap<u32, usize>,
    allocated: BTreeMap<PoolKey, u128>,
}

impl Pools {
    pub(crate) fn new(interfaces: &[(InterfaceName, PoolConfig)]) -> Self {
        Self {
            interfaces: interfaces.to_vec(),
            unused: interfaces
                .iter()
                .map(|(name, _)| *name)
                .filter(|name| *name != InterfaceName::Any)
                .collect(),
            entries: BTreeMap::new(),
            allocated: BTreeMap::new(),
        }
    }

    /// Takes other numbers for the same interfaces, in whatever order; `false`, without a change,
    /// where others are named.
    pub(crate) fn replace(&mut self, interfaces: &[(InterfaceName, PoolConfig)]) -> bool {
        let new = |wanted: &InterfaceName| {
            let mut new = interfaces.iter();
            new.find(|(name, _)| name == wanted).map(|(_, pool)| *pool)
        };
        let new: Option<Vec<_>> = self.interfaces.iter().map(|(name, _)| new(name)).collect();
        let Some(new) = new.filter(|new| new.len() == interfaces.len()) else {
            return false;
        };
        for ((_, pool), new) in self.interfaces.iter_mut().zip(new) {
            *pool = new;
        }
        true
    }

    /// Notes that a message came in.
    pub(crate) fn is_used(&mut self, interface: &Interface) {
        if !self.unused.is_empty() {
            let names = names(interface);
            self.unused.retain(|name| !names.contains(name));
        }
    }

    /// The interfaces that are named, and that no message came in on.
    pub(crate) fn unused(&self) -> &[InterfaceName] {
        &self.unused
    }

    /// The pool of an interface: by its address, else by another one that it is known to have, so
    /// that IPv4 and IPv6 share what there is, else by its index.
    pub(crate) fn key(&self, interface: &Interface) -> PoolKey {
        let [address, index] = names(interface);
        let configured = self.entry(address);
        let configured = configured.or_else(|| self.entries.get(&interface.index).copied());
        let configured = configured.or_else(|| self.entry(index));
        configured.map_or(PoolKey::Other(interface.index), PoolKey::Configured)
    }

    fn entry(&self, wanted: InterfaceName) -> Option<usize> {
        self.interfaces.iter().position(|(name, _)| *name == wanted)
    }

    /// The entry for an interface with these addresses.
    pub(crate) fn entry_of(&self, index: u32, addresses: &[IpAddr]) -> Option<usize> {
        let addresses = addresses.iter().copied().map(InterfaceName::Address);
        let mut names = addresses.chain([InterfaceName::Index(index)]);
        names.find_map(|name| self.entry(name))
    }

    /// The entries of interfaces whose addresses are all known.
    pub(crate) fn entries(&self) -> &BTreeMap<u32, usize> {
        &self.entries
    }

    /// Takes other ones. Nothing may be allocated on interfaces that have another entry now.
    pub(crate) fn set_entries(&mut self, entries: BTreeMap<u32, usize>) {
        self.entries = entries;
    }

    /// What there is in a pool; `None` for as much as anybody asks for.
    pub(crate) fn config(&self, key: PoolKey) -> Option<PoolConfig> {
        match key {
            PoolKey::Configured(entry) => self.interfaces.get(entry).map(|(_, pool)| *pool),
            PoolKey::Other(_) => {
                let mut entries = self.interfaces.iter();
                let (_, pool) = entries.find(|(name, _)| *name == InterfaceName::Any)?;
                Some(*pool)
            }
        }
    }

    /// What of a pool is free for a reservation that has `own` of it; `None` without a limit.
    pub(crate) fn free(&self, key: PoolKey, own: u64) -> Option<u64> {
        let pool = self.config(key)?;
        let others = self.taken(key) - u128::from(own);
        let free = u128::from(pool.bandwidth).saturating_sub(others);
        Some(u64::try_from(free).unwrap_or(u64::MAX))
    }

    /// Changes what a reservation has of a pool.
    pub(crate) fn change(&mut self, key: PoolKey, from: u64, to: u64) {
        let allocated = self.taken(key) - u128::from(from) + u128::from(to);
        if allocated == 0 {
            self.allocated.remove(&key);
        } else {
            self.allocated.insert(key, allocated);
        }
    }

    /// What is allocated in a pool, in bit/s.
    pub(crate) fn taken(&self, key: PoolKey) -> u128 {
        self.allocated.get(&key).copied().unwrap_or_default()
    }

    /// Checks what a single flow asks for.
    pub(crate) fn check_flow(&self, key: PoolKey, asked: u64) -> Result<(), Refusal> {
        match self.config(key).and_then(|pool| pool.max_per_flow) {
            Some(limit) if asked > limit => Err(Refusal::TooMuchPerFlow { asked, limit }),
            _ => Ok(()),
        }
    }
}

/// What an interface may be called, the first first.
fn names(interface: &Interface) -> [InterfaceName; 2] {
    [
        InterfaceName::Address(interface.address),
        InterfaceName::Index(interface.index),
    ]
}

/// What a request takes: the token rate of controlled load, the reserved rate of guaranteed
/// service, nothing for the null service.
pub(crate) fn rate(service: &ServiceRequest) -> u64 {
    match service {
        ServiceRequest::ControlledLoad(tspec) => bits_per_second(tspec.rate),
        ServiceRequest::Guaranteed(_, rspec) => bits_per_second(rspec.rate),
        _ => 0,
    }
}

/// Bytes per second in whole bit/s, rounded up: sums of these are exact.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float's cast saturates"
)]
pub fn bits_per_second(bytes_per_second: f32) -> u64 {
    (f64::from(bytes_per_second) * 8.0).ceil() as u64
}
