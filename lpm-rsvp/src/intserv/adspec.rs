//! ADSPEC (RFC 2210 §3.3): what the path offers, collected hop by hop.

use super::block::{ServiceBlock, ServiceBlocks};
use super::number;
use crate::class;
use crate::error::ParseError;
use crate::object::{Object, RawObject};

/// An ADSPEC as it lies in the message; opaque to RSVP, read on request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdSpec<'a>(RawObject<'a>);

/// The composed values of service 1 (RFC 2215).
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct GeneralParameters {
    /// Some hop does not speak IntServ: the other values may be wrong.
    pub break_bit: bool,
    /// Number of IntServ hops.
    pub is_hops: u32,
    /// Available path bandwidth in bytes/s; 0 = no estimate.
    pub path_bandwidth: f32,
    /// Minimum path latency in microseconds; `u32::MAX` = indeterminate.
    pub minimum_latency: u32,
    /// Path MTU in bytes.
    pub path_mtu: u32,
}

/// The composed error terms of the guaranteed service (RFC 2212).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct GuaranteedParameters {
    /// Some hop does not support the guaranteed service.
    pub break_bit: bool,
    /// Ctot in bytes, end to end.
    pub c_tot: u32,
    /// Dtot in microseconds, end to end.
    pub d_tot: u32,
    /// Csum in bytes, since the last reshaping point.
    pub c_sum: u32,
    /// Dsum in microseconds, since the last reshaping point.
    pub d_sum: u32,
}

impl<'a> AdSpec<'a> {
    /// The object itself.
    #[must_use]
    pub const fn object(&self) -> RawObject<'a> {
        self.0
    }

    /// All service blocks; service 1 comes first.
    #[must_use]
    pub const fn blocks(&self) -> ServiceBlocks<'a> {
        ServiceBlocks::new(self.0)
    }

    /// The block of one service; `None` when the sender does not offer it.
    ///
    /// # Errors
    /// Framing.
    pub fn block(&self, service: u8) -> Result<Option<ServiceBlock<'a>>, ParseError> {
        for block in self.blocks() {
            let block = block?;
            if block.number == service {
                return Ok(Some(block));
            }
        }
        Ok(None)
    }

    /// The values of service 1.
    ///
    /// # Errors
    /// Framing, a missing or an illegal parameter.
    pub fn general(&self) -> Result<GeneralParameters, ParseError> {
        let Some(block) = self.block(number::GENERAL)? else {
            return Err(self.0.value(0, "service", "service 1 to be there", 0_u32));
        };
        Ok(GeneralParameters {
            break_bit: block.break_bit,
            is_hops: block
                .required(number::IS_HOPS, "number of IS hops")?
                .u32()?,
            path_bandwidth: block
                .required(number::PATH_BANDWIDTH, "path bandwidth")?
                .f32()?,
            minimum_latency: block
                .required(number::MINIMUM_LATENCY, "path latency")?
                .u32()?,
            path_mtu: block.required(number::PATH_MTU, "path MTU")?.u32()?,
        })
    }

    /// The values of the guaranteed service; `None` when it is not offered, or when a hop
    /// broke it before any value was composed.
    ///
    /// # Errors
    /// Framing, a missing or an illegal parameter.
    pub fn guaranteed(&self) -> Result<Option<GuaranteedParameters>, ParseError> {
        let Some(block) = self.block(number::GUARANTEED)? else {
            return Ok(None);
        };
        if block.break_bit && block.parameters().next().is_none() {
            return Ok(None);
        }
        Ok(Some(GuaranteedParameters {
            break_bit: block.break_bit,
            c_tot: block.required(number::C_TOT, "Ctot")?.u32()?,
            d_tot: block.required(number::D_TOT, "Dtot")?.u32()?,
            c_sum: block.required(number::C_SUM, "Csum")?.u32()?,
            d_sum: block.required(number::D_SUM, "Dsum")?.u32()?,
        }))
    }

    /// Whether every hop supports controlled load; `None` when the sender does not offer it.
    ///
    /// # Errors
    /// Framing.
    pub fn controlled_load(&self) -> Result<Option<bool>, ParseError> {
        Ok(self
            .block(number::CONTROLLED_LOAD)?
            .map(|block| !block.break_bit))
    }
}

impl<'a> Object<'a> for AdSpec<'a> {
    const CLASSES: &'static [u8] = &[class::ADSPEC];

    /// Never fails: RSVP does not judge ADSPECs, traffic control does.
    fn parse(object: RawObject<'a>) -> Result<Self, ParseError> {
        Ok(AdSpec(object))
    }
}
