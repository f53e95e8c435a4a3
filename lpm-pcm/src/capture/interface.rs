//! What a capture says about the interfaces its packets were captured on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use pcap_parser::{InterfaceDescriptionBlock, OptionCode, PcapHeader};

use super::link::LinkType;

/// The pcapng option `if_IPv6addr`, which `pcap-parser` does not name.
const IF_IPV6_ADDRESS: OptionCode = OptionCode(5);

/// What a pcap header or a pcapng interface description block says about an interface.
#[derive(Clone, Debug)]
pub(super) struct CaptureInterface {
    pub(super) link: LinkType,
    pub(super) address: Option<IpAddr>,
    pub(super) clock: Clock,
    /// Whether the operator has been told that its link layer is not supported.
    pub(super) reported: bool,
}

/// The meaning of an interface's timestamps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    units_per_second: u64,
    /// Seconds to add.
    offset: i64,
}

impl CaptureInterface {
    /// The one interface of a pcap file.
    pub(super) fn of_file(header: &PcapHeader) -> CaptureInterface {
        let nanoseconds = header.is_nanosecond_precision();
        CaptureInterface {
            link: LinkType::from_header(header.network.0),
            address: None,
            clock: Clock {
                units_per_second: if nanoseconds {
                    1_000_000_000
                } else {
                    1_000_000
                },
                offset: 0,
            },
            reported: false,
        }
    }

    /// What an interface description block of pcapng says; the error says what is wrong with it.
    pub(super) fn described_by(
        block: &InterfaceDescriptionBlock<'_>,
        big_endian: bool,
    ) -> Result<CaptureInterface, String> {
        let option = |code| {
            let option = block.options.iter().find(|option| option.code == code)?;
            option.as_bytes().ok()
        };
        // The crate knows neither binary resolutions nor big-endian offsets.
        let resolution = option(OptionCode::IfTsresol).and_then(|value| value.first());
        let units_per_second = match resolution.copied() {
            None => Some(1_000_000),
            Some(exponent) if exponent & 0x80 == 0 => 10_u64.checked_pow(exponent.into()),
            Some(exponent) => 1_u64.checked_shl((exponent & 0x7f).into()),
        };
        let offset = option(OptionCode::IfTsoffset).and_then(|value| value.first_chunk());
        let ipv4 = option(OptionCode::IfIpv4Addr).and_then(|value| value.first_chunk::<4>());
        let ipv6 = option(IF_IPV6_ADDRESS).and_then(|value| value.first_chunk::<16>());
        Ok(CaptureInterface {
            link: LinkType::from_header(block.linktype.0),
            address: ipv4
                .map(|bytes| Ipv4Addr::from(*bytes).into())
                .or_else(|| ipv6.map(|bytes| Ipv6Addr::from(*bytes).into())),
            clock: Clock {
                units_per_second: units_per_second.ok_or_else(|| {
                    format!("an interface with the time resolution {resolution:?}")
                })?,
                offset: offset.map_or(0, |bytes| {
                    if big_endian {
                        i64::from_be_bytes(*bytes)
                    } else {
                        i64::from_le_bytes(*bytes)
                    }
                }),
            },
            reported: false,
        })
    }
}

impl Clock {
    /// A pcap timestamp: seconds since the epoch, and units.
    pub(super) fn of_parts(self, seconds: u32, fraction: u32) -> SystemTime {
        let nanos = u64::from(fraction) * (1_000_000_000 / self.units_per_second);
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.into()) + Duration::from_nanos(nanos)
    }

    /// A pcapng timestamp: units since the epoch. A time that this machine cannot represent becomes
    /// the epoch.
    pub(super) fn of_ticks(self, ticks: u64) -> SystemTime {
        let fraction = u128::from(ticks % self.units_per_second) * 1_000_000_000
            / u128::from(self.units_per_second);
        let nanos = Duration::from_nanos(u64::try_from(fraction).unwrap_or(0));
        let whole = Duration::from_secs(ticks / self.units_per_second);
        let offset = Duration::from_secs(self.offset.unsigned_abs());
        let since_epoch = if self.offset < 0 {
            whole.checked_sub(offset)
        } else {
            whole.checked_add(offset)
        };
        since_epoch
            .and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(seconds + nanos))
            .unwrap_or(SystemTime::UNIX_EPOCH)
    }
}
