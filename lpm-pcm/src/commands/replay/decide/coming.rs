//! A message on its way: where it is from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use lpm_api::Interface;

use crate::capture::CapturedMessage;
use crate::output::record::Origin;

/// A message on its way: where it is from.
pub(super) struct Coming<'a> {
    pub(super) captured: &'a CapturedMessage,
    pub(super) origin: Origin,
    pub(super) interface: Interface,
}

impl<'a> Coming<'a> {
    /// A message of the capture with this name.
    pub(super) fn new(capture: &Arc<str>, captured: &'a CapturedMessage) -> Self {
        Self {
            captured,
            origin: Origin {
                capture: Arc::clone(capture),
                packet: captured.packet,
                time: captured.time,
                source: captured.source,
                destination: captured.destination,
            },
            interface: interface(captured),
        }
    }
}

fn interface(captured: &CapturedMessage) -> Interface {
    let unspecified: IpAddr = match captured.destination {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    Interface {
        index: captured.interface,
        address: captured.interface_address.unwrap_or(unspecified),
    }
}
