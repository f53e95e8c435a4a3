//! `pcm policy explain`: one request, put in words.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use lpm_api::{Interface, Rate, RateError};
use lpm_identity::duration::FlowDuration;
use lpm_identity::explain::{Holdings, Request};
use lpm_identity::ledger::Traffic;
use lpm_identity::policy::Policy;
use thiserror::Error;

/// A request, and where it comes in.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The policy file
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The user who asks, a DN ("CN=Ada,O=Office") or an ID; without a user or an application the
    /// request is unauthenticated
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// The application that asks, a DN ("APP=Phone,VER=2") or an ID
    #[arg(long, value_name = "NAME")]
    application: Option<String>,

    /// The rate asked for, as in the policy: "2 Mbit/s", or a number of bytes per second
    #[arg(long, value_name = "RATE", default_value = "0")]
    rate: Rate,

    /// The peak rate asked for, or `unbounded`; as much as the rate if it is not given
    #[arg(long, value_name = "RATE", value_parser = peak_rate)]
    peak_rate: Option<f32>,

    /// The subnet on which the request comes in: a name in the policy
    #[arg(long, value_name = "NAME", conflicts_with = "interface")]
    subnet: Option<String>,

    /// The interface on which it comes in: its address, or its number (SNMP ifIndex)
    #[arg(long, value_name = "INTERFACE", value_parser = interface)]
    interface: Option<Interface>,

    /// When: 2026-07-01T14:30 on the policy's clock, or with an offset; now if it is not given
    #[arg(long, value_name = "TIME", value_parser = time)]
    time: Option<Time>,

    /// How many other flows the subject has already
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    flows: u32,

    /// The rate of its other flows together
    #[arg(long, value_name = "RATE", default_value = "0")]
    held_rate: Rate,

    /// The peak rate of its other flows together
    #[arg(long, value_name = "RATE", default_value = "0")]
    held_peak_rate: Rate,

    /// How long this flow lasts already: "90 min", or a number of seconds
    #[arg(long, value_name = "DURATION", default_value = "0")]
    lasted: FlowDuration,
}

impl Args {
    pub(super) fn explanation(&self) -> Result<String, Box<dyn Error>> {
        let policy = Policy::read(&self.file)?;
        let rate = self.rate.bytes_per_second();
        let request = Request {
            user: self.user.as_deref(),
            application: self.application.as_deref(),
            interface: self.interface_in(&policy)?,
            received: self.received(policy.time_zone())?,
            traffic: Traffic {
                rate,
                peak_rate: self.peak_rate.unwrap_or(rate),
            },
            held: Holdings {
                flows: self.flows,
                rate: self.held_rate.bytes_per_second(),
                peak_rate: self.held_peak_rate.bytes_per_second(),
                lasted: self.lasted.into(),
            },
        };
        Ok(format!("{}\n", policy.explain(&request)?))
    }

    /// An interface on the subnet that is named, or the one that is given.
    fn interface_in(&self, policy: &Policy) -> Result<Interface, UnknownSubnet> {
        let Some(name) = &self.subnet else {
            return Ok(self.interface.unwrap_or(NOWHERE));
        };
        let subnet = policy.subnets().iter().find(|subnet| subnet.name == *name);
        let Some(subnet) = subnet else {
            let known: Vec<_> = policy.subnets().iter().map(|it| it.name.as_str()).collect();
            return Err(UnknownSubnet {
                file: self.file.clone(),
                name: name.clone(),
                defined: match &*known {
                    [] => "none".to_owned(),
                    known => known.join(", "),
                },
            });
        };
        Ok(match (subnet.interfaces.first(), subnet.prefixes.first()) {
            (Some(index), _) => Interface {
                index: *index,
                ..NOWHERE
            },
            (None, Some(prefix)) => Interface {
                address: prefix.addr(),
                ..NOWHERE
            },
            (None, None) => NOWHERE,
        })
    }

    fn received(&self, zone: &TimeZone) -> Result<SystemTime, jiff::Error> {
        Ok(match self.time {
            None => SystemTime::now(),
            Some(Time::Instant(instant)) => instant.into(),
            Some(Time::Clock(clock)) => zone.to_timestamp(clock)?.into(),
        })
    }
}

/// An interface of which nothing is known: on no subnet.
const NOWHERE: Interface = Interface {
    index: 0,
    address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
};

#[derive(Clone, Copy, Debug)]
enum Time {
    Instant(Timestamp),
    /// On the clock of the policy's time zone.
    Clock(DateTime),
}

/// The policy defines no subnet of this name.
#[derive(Debug, Error)]
#[error("{}: there is no subnet {name:?}; defined: {defined}", file.display())]
struct UnknownSubnet {
    file: PathBuf,
    name: String,
    defined: String,
}

/// An argument is not what was expected.
#[derive(Debug, Error)]
enum BadArgument {
    #[error("expected a date and a time, such as 2026-07-01T14:30, perhaps with Z or an offset")]
    Time,
    #[error("expected an IP address, or a number from 0 to 4294967295")]
    Interface,
    #[error("{0}, or \"unbounded\"")]
    PeakRate(RateError),
}

fn time(text: &str) -> Result<Time, BadArgument> {
    let instant = text.parse().map(Time::Instant);
    instant
        .or_else(|_| text.parse().map(Time::Clock))
        .map_err(|_| BadArgument::Time)
}

fn interface(text: &str) -> Result<Interface, BadArgument> {
    let index = text.parse().map(|index| Interface { index, ..NOWHERE });
    index
        .or_else(|_| text.parse().map(|address| Interface { address, ..NOWHERE }))
        .map_err(|_| BadArgument::Interface)
}

fn peak_rate(text: &str) -> Result<f32, BadArgument> {
    if text == "unbounded" {
        return Ok(f32::INFINITY);
    }
    let rate: Result<Rate, _> = text.parse();
    rate.map(Rate::bytes_per_second)
        .map_err(BadArgument::PeakRate)
}
