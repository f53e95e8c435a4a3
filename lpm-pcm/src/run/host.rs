//! What the kernel of this host gives `pcm run`: sockets, word of changes, routes and interfaces.

use std::error::Error;
use std::io;

use lpm_api::AddressRow;
use lpm_sbm::InterfaceName;
use tokio::io::unix::AsyncFd;

use super::netlink::{Changes, Link, Netlink};
use super::sockets::{Sockets, watched};
use crate::config::Config;

/// What the kernel of this host gives `pcm run`.
pub struct Host {
    pub(super) sockets: Sockets,
    pub(super) changes: AsyncFd<Changes>,
    /// Routes and interfaces.
    pub netlink: Netlink,
}

impl Host {
    /// Opens what is needed, inside a tokio runtime.
    ///
    /// # Errors
    /// What is missing, and what to do.
    pub fn open() -> Result<Self, Box<dyn Error>> {
        let sockets = Sockets::open().map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => {
                "cannot open a raw socket: CAP_NET_RAW is missing; run as root, or give the service this capability"
                    .into()
            }
            _ => format!("cannot open a raw socket for RSVP: {error}"),
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

/// The links of the interfaces that the configuration names; all that are up, where it names none.
///
/// # Errors
/// The kernel refuses.
pub(super) fn wanted_links(netlink: &mut Netlink, config: &Config) -> io::Result<Vec<Link>> {
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

/// What the configuration says of an interface, in bytes/s.
pub(super) fn bandwidth(config: &Config, link: &Link) -> Option<u64> {
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
