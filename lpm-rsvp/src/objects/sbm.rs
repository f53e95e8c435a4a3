//! The objects of the subnet bandwidth manager (RFC 2814 §B.3).

use core::fmt;
use core::net::IpAddr;

use crate::class;
use crate::error::ParseError;
use crate::intserv::{ServiceBlocks, Tspec, number};
use crate::object::{HEADER, Object, RawObject};
use crate::wire;

/// DSBM_IP_ADDRESS, LAN_NHOP_L3 and LAN_LOOPBACK: one IP address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct SbmAddress {
    /// The address of the DSBM, of the next layer 3 hop, or of the interface that sent.
    pub address: IpAddr,
}

impl<'a> Object<'a> for SbmAddress {
    const CLASSES: &'static [u8] = &[
        class::DSBM_IP_ADDRESS,
        class::LAN_NHOP_L3,
        class::LAN_LOOPBACK,
    ];

    fn parse(object: RawObject<'a>) -> Result<Self, ParseError> {
        let body = object.body;
        let (address, expected) = match object.c_type {
            1 if body.len() == 4 => (wire::ipv4(body, 0), "4"),
            2 if body.len() == 16 => (wire::ipv6(body, 0), "16"),
            1 => (None, "4"),
            2 => (None, "16"),
            _ => return Err(object.unknown_c_type()),
        };
        address
            .map(|address| Self { address })
            .ok_or_else(|| object.body_length(expected))
    }
}

/// RSVP_HOP_L2 (which is also the DSBM L2 ADDRESS) and LAN_NHOP_L2: an IEEE 802 address.
///
/// Displays as `00:11:22:33:44:55`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct L2Address {
    /// The address in canonical order; all zeros = left out.
    pub octets: [u8; 6],
}

impl<'a> Object<'a> for L2Address {
    const CLASSES: &'static [u8] = &[class::RSVP_HOP_L2, class::LAN_NHOP_L2];

    fn parse(object: RawObject<'a>) -> Result<Self, ParseError> {
        match (
            object.c_type,
            object.body.len(),
            wire::array(object.body, 0),
        ) {
            (1, 8, Some(octets)) => Ok(Self { octets }),
            (1, ..) => Err(object.body_length("8")),
            _ => Err(object.unknown_c_type()),
        }
    }
}

impl fmt::Display for L2Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.octets;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// SBM_PRIORITY: how much a node wants to become the designated SBM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct SbmPriority {
    /// 0 = not eligible; 1 = default; hosts use 1 to 63, routers 64 to 127, layer 2 devices
    /// 128 to 255.
    pub priority: u8,
}

impl<'a> Object<'a> for SbmPriority {
    const CLASSES: &'static [u8] = &[class::SBM_PRIORITY];

    fn parse(object: RawObject<'a>) -> Result<Self, ParseError> {
        let [.., priority] = word(object)?;
        Ok(Self { priority })
    }
}

/// DSBM TIMER INTERVALS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct DsbmTimerIntervals {
    /// DSBMDeadInterval in seconds; 0 = left out, use the own default.
    pub dead_interval: u8,
    /// DSBMRefreshInterval in seconds; 0 = left out, use the own default.
    pub refresh_interval: u8,
}

impl<'a> Object<'a> for DsbmTimerIntervals {
    const CLASSES: &'static [u8] = &[class::DSBM_TIMER_INTERVALS];

    fn parse(object: RawObject<'a>) -> Result<Self, ParseError> {
        let [_, _, dead_interval, refresh_interval] = word(object)?;
        Ok(Self {
            dead_interval,
            refresh_interval,
        })
    }
}

/// TCLASS: the IEEE 802.1p class that a flow gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct TrafficClass {
    /// user_priority, 0 to 7.
    pub user_priority: u8,
}

impl<'a> Object<'a> for TrafficClass {
    const CLASSES: &'static [u8] = &[class::TCLASS];

    fn parse(object: RawObject<'a>) -> Result<Self, ParseError> {
        let [.., last] = word(object)?;
        Ok(Self {
            user_priority: last & 0x07,
        })
    }
}

/// NON_RESV_SEND_LIMIT: how much a sender may send without a reservation.
///
/// The values are not those of a real flow: "nothing" has rates of 0 with M = 0 and m at its
/// greatest, "anything" has infinite rates with m = 0 and M at its greatest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NonResvSendLimit {
    /// The limit; see [`Tspec`] for the units.
    pub limit: Tspec,
}

impl<'a> Object<'a> for NonResvSendLimit {
    const CLASSES: &'static [u8] = &[class::NON_RESV_SEND_LIMIT];

    /// Accepts the SENDER_TSPEC in it both as a complete object, as the text of RFC 2814
    /// says, and as its bare content, as the figure shows it.
    fn parse(object: RawObject<'a>) -> Result<Self, ParseError> {
        if object.c_type != 1 {
            return Err(object.unknown_c_type());
        }
        let nested = wire::array::<HEADER>(object.body, 0);
        let inner = match nested {
            Some([0, 36, class::SENDER_TSPEC, 2]) => RawObject {
                offset: object
                    .fault(HEADER, crate::error::ErrorKind::Duplicate)
                    .offset,
                body: object.body.get(HEADER..).unwrap_or_default(),
                ..object
            },
            _ => object,
        };
        for block in ServiceBlocks::new(inner) {
            for parameter in block?.parameters() {
                let parameter = parameter?;
                if parameter.number == number::TOKEN_BUCKET_TSPEC {
                    let limit = Tspec {
                        rate: parameter.float(0, "token rate r")?,
                        bucket: parameter.float(4, "bucket size b")?,
                        peak_rate: parameter.float(8, "peak rate p")?,
                        min_policed: parameter.word(12, "minimum policed unit m")?,
                        max_packet: parameter.word(16, "maximum packet size M")?,
                    };
                    return Ok(Self { limit });
                }
            }
        }
        Err(object.value(
            0,
            "token bucket Tspec",
            "the parameter",
            number::TOKEN_BUCKET_TSPEC,
        ))
    }
}

/// The one word of an object with C-Type 1.
fn word(object: RawObject<'_>) -> Result<[u8; 4], ParseError> {
    match (
        object.c_type,
        object.body.len(),
        wire::array(object.body, 0),
    ) {
        (1, 4, Some(word)) => Ok(word),
        (1, ..) => Err(object.body_length("4")),
        _ => Err(object.unknown_c_type()),
    }
}
