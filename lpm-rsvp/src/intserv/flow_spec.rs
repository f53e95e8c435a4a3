//! FLOWSPEC (RFC 2210 §3.2): the service a receiver asks for.

use super::block::{ServiceBlock, ServiceBlocks};
use super::number;
use super::tspec::{Tspec, token_bucket};
use crate::class;
use crate::error::ParseError;
use crate::object::{Object, RawObject};

/// A FLOWSPEC as it lies in the message; opaque to RSVP, read on request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlowSpec<'a>(RawObject<'a>);

/// What a FLOWSPEC asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum ServiceRequest {
    /// Controlled load (RFC 2211): as if the network were lightly loaded.
    ControlledLoad(Tspec),
    /// Guaranteed (RFC 2212): bounded delay, no loss.
    Guaranteed(Tspec, Rspec),
    /// Null (RFC 2997): the network chooses.
    Null {
        /// M: maximum packet size in bytes.
        max_packet: u32,
    },
}

/// The reservation part of a guaranteed-service request (RFC 2212).
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Rspec {
    /// R: reserved rate in bytes/s; finite, not negative, at least the token rate.
    pub rate: f32,
    /// S: slack in microseconds.
    pub slack: u32,
}

impl<'a> FlowSpec<'a> {
    /// The object itself.
    #[must_use]
    pub const fn object(&self) -> RawObject<'a> {
        self.0
    }

    /// The requested service with its values.
    ///
    /// # Errors
    /// Framing, a service or values that RFC 2210, 2211, 2212, 2997 do not have.
    pub fn service(&self) -> Result<ServiceRequest, ParseError> {
        let block = self.block()?;
        match block.number {
            number::CONTROLLED_LOAD => tspec_of(&block).map(ServiceRequest::ControlledLoad),
            number::GUARANTEED => {
                let tspec = tspec_of(&block)?;
                let rspec = block.required(number::GUARANTEED_RSPEC, "RSpec")?;
                if rspec.value.len() != 8 {
                    return Err(rspec.overrun("RSpec", 8));
                }
                let rate = rspec.finite(0, "reserved rate R")?;
                if rate < tspec.rate {
                    return Err(rspec.bad(0, "reserved rate R", "at least r"));
                }
                let slack = rspec.word(4, "slack S")?;
                Ok(ServiceRequest::Guaranteed(tspec, Rspec { rate, slack }))
            }
            number::NULL => {
                let max_packet = block.required(number::NULL_TSPEC, "null Tspec")?.u32()?;
                Ok(ServiceRequest::Null { max_packet })
            }
            other => Err(self.0.value(4, "service number", "2, 5 or 6", other)),
        }
    }

    /// The service number of the first block.
    ///
    /// # Errors
    /// Framing, or no block at all.
    pub fn service_number(&self) -> Result<u8, ParseError> {
        self.block().map(|block| block.number)
    }

    /// The token bucket of the request, in whichever of its first service blocks it is.
    ///
    /// # Errors
    /// Framing, illegal values, or none there (null service).
    #[inline]
    pub fn tspec(&self) -> Result<Tspec, ParseError> {
        token_bucket(self.0)
    }

    /// All service blocks.
    #[must_use]
    pub const fn blocks(&self) -> ServiceBlocks<'a> {
        ServiceBlocks::new(self.0)
    }

    fn block(&self) -> Result<ServiceBlock<'a>, ParseError> {
        if self.0.c_type != 2 {
            return Err(self.0.unknown_c_type());
        }
        match self.blocks().next() {
            Some(block) => block,
            None => Err(self.0.body_length("a service block")),
        }
    }
}

fn tspec_of(block: &ServiceBlock<'_>) -> Result<Tspec, ParseError> {
    let parameter = block.required(number::TOKEN_BUCKET_TSPEC, "token bucket Tspec")?;
    Tspec::from_parameter(&parameter)
}

impl ServiceRequest {
    /// The token bucket, where the service has one.
    #[must_use]
    pub const fn tspec(&self) -> Option<Tspec> {
        match self {
            Self::ControlledLoad(tspec) | Self::Guaranteed(tspec, _) => Some(*tspec),
            Self::Null { .. } => None,
        }
    }
}

impl<'a> Object<'a> for FlowSpec<'a> {
    const CLASSES: &'static [u8] = &[class::FLOWSPEC];

    /// Never fails: RSVP does not judge flowspecs, traffic control does.
    #[inline]
    fn parse(object: RawObject<'a>) -> Result<Self, ParseError> {
        Ok(FlowSpec(object))
    }
}

impl core::fmt::Display for ServiceRequest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::ControlledLoad(tspec) => write!(f, "controlled load {tspec}"),
            Self::Guaranteed(tspec, rspec) => {
                write!(
                    f,
                    "guaranteed {} B/s, slack {} µs, {tspec}",
                    rspec.rate, rspec.slack
                )
            }
            Self::Null { max_packet } => write!(f, "null, packets to {max_packet} B"),
        }
    }
}
