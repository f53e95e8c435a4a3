//! What a capture says about a packet, and about the interface it was captured on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use pcap_parser::{InterfaceDescriptionBlock, OptionCode};

use super::link::LinkType;

/// The pcapng option `if_IPv6addr`, which `pcap-parser` does not name.
const IF_IPV6_ADDRESS: OptionCode = OptionCode(5);

/// What a file header or a pcapng interface description block says about an interface.
#[derive(Clone, Debug)]
pub(super) struct CaptureInterface {
    pub(super) link: LinkType,
    pub(super) address: Option<IpAddr>,
    pub(super) clock: Clock,
    /// Whether the operator has been told that its link layer is not supported.
    pub(super) reported: bool,
}

/// What a packet's record or block says about it.
pub(super) struct PacketHeader {
    /// The place of its interface in the section, from 0.
    pub(super) interface: usize,
    pub(super) time: SystemTime,
    pub(super) outgoing: bool,
}

/// The meaning of an interface's timestamps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    unit: Unit,
    /// Seconds to add.
    offset: i64,
}

/// What one tick is: 10 or 2 to the power of minus so many seconds. The exponent has 7 bits.
#[derive(Clone, Copy, Debug)]
enum Unit {
    Decimal(u8),
    Binary(u8),
}

impl CaptureInterface {
    /// What an interface description block of pcapng says.
    pub(super) fn described_by(block: &InterfaceDescriptionBlock<'_>, big_endian: bool) -> Self {
        let option = |code| {
            let option = block.options.iter().find(|option| option.code == code)?;
            option.as_bytes().ok()
        };
        // The crate knows neither binary resolutions nor big-endian offsets.
        let resolution = option(OptionCode::IfTsresol).and_then(|value| value.first());
        let unit = match resolution.copied() {
            None => Unit::Decimal(6),
            Some(exponent) if exponent & 0x80 == 0 => Unit::Decimal(exponent),
            Some(exponent) => Unit::Binary(exponent & 0x7f),
        };
        let offset = option(OptionCode::IfTsoffset).and_then(|value| value.first_chunk());
        let ipv4 = option(OptionCode::IfIpv4Addr).and_then(|value| value.first_chunk::<4>());
        let ipv6 = option(IF_IPV6_ADDRESS).and_then(|value| value.first_chunk::<16>());
        Self {
            link: LinkType::from_header(u32::from_ne_bytes(block.linktype.0.to_ne_bytes())),
            address: ipv4
                .map(|bytes| Ipv4Addr::from(*bytes).into())
                .or_else(|| ipv6.map(|bytes| Ipv6Addr::from(*bytes).into())),
            clock: Clock {
                unit,
                offset: offset.map_or(0, |bytes| {
                    if big_endian {
                        i64::from_be_bytes(*bytes)
                    } else {
                        i64::from_le_bytes(*bytes)
                    }
                }),
            },
            reported: false,
        }
    }
}

impl Clock {
    pub(super) const MICROSECONDS: Self = Self {
        unit: Unit::Decimal(6),
        offset: 0,
    };
    pub(super) const NANOSECONDS: Self = Self {
        unit: Unit::Decimal(9),
        offset: 0,
    };

    /// A timestamp in two parts: seconds since the epoch, and ticks.
    pub(super) fn of_parts(self, seconds: u32, fraction: u32) -> SystemTime {
        let nanos = match self.unit {
            Unit::Decimal(6) => u64::from(fraction) * 1_000,
            _ => fraction.into(),
        };
        let since = Duration::from_secs(seconds.into()) + Duration::from_nanos(nanos);
        SystemTime::UNIX_EPOCH + since
    }

    /// A pcapng timestamp: ticks since the epoch. A time that this machine cannot represent becomes
    /// the epoch.
    pub(super) fn of_ticks(self, ticks: u64) -> SystemTime {
        let since = self.unit.of_ticks(ticks);
        let offset = Duration::from_secs(self.offset.unsigned_abs());
        let since_epoch = if self.offset < 0 {
            since.checked_sub(offset)
        } else {
            since.checked_add(offset)
        };
        since_epoch
            .and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since))
            .unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

impl Unit {
    /// So many ticks, in whole nanoseconds.
    fn of_ticks(self, ticks: u64) -> Duration {
        const NANOS: u128 = 1_000_000_000;
        let ticks = u128::from(ticks);
        let nanos = match self {
            Self::Decimal(exponent) => match exponent.checked_sub(9) {
                None => ticks * 10_u128.pow((9 - exponent).into()),
                // Beyond 10^38 a tick is so short that all of them are less than a nanosecond.
                Some(more) => 10_u128
                    .checked_pow(more.into())
                    .map_or(0, |unit| ticks / unit),
            },
            // At most 2^64 · 2^30.
            Self::Binary(exponent) => (ticks * NANOS).checked_shr(exponent.into()).unwrap_or(0),
        };
        let seconds = u64::try_from(nanos / NANOS).unwrap_or(u64::MAX);
        let rest = u32::try_from(nanos % NANOS).unwrap_or_default();
        Duration::new(seconds, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_of_every_resolution_have_a_time() {
        let seconds = |unit: Unit, ticks| unit.of_ticks(ticks).as_secs_f64();
        assert_eq!(seconds(Unit::Decimal(0), 1 << 40), (1_u64 << 40) as f64);
        assert_eq!(seconds(Unit::Decimal(6), 1_500_000), 1.5);
        assert_eq!(seconds(Unit::Decimal(20), 10_u64.pow(19)), 0.1);
        assert_eq!(seconds(Unit::Decimal(127), u64::MAX), 0.0);
        assert_eq!(seconds(Unit::Binary(0), 7), 7.0);
        assert_eq!(seconds(Unit::Binary(10), 1536), 1.5);
        assert_eq!(seconds(Unit::Binary(63), 1 << 63), 1.0);
        assert_eq!(seconds(Unit::Binary(127), u64::MAX), 0.0);
    }
}
