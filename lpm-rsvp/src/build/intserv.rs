//! Writing SENDER_TSPEC, FLOWSPEC and ADSPEC (RFC 2210 §3).

use alloc::vec::Vec;

use super::writer::Writer;
use crate::class;
use crate::error::ParseError;
use crate::intserv::{
    GeneralParameters, GuaranteedParameters, Rspec, ServiceRequest, Tspec, number,
};

/// The values of an ADSPEC: service 1, guaranteed and controlled load, without overrides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdSpec {
    /// Service 1.
    pub general: GeneralParameters,
    /// The guaranteed service, when it is offered.
    pub guaranteed: Option<GuaranteedParameters>,
    /// Controlled load, when it is offered: whether every hop supports it.
    pub controlled_load: Option<bool>,
}

impl AdSpec {
    /// Reads the values of a received ADSPEC. Other services and overrides are left out, and
    /// so is a guaranteed service that was broken before it had any values.
    ///
    /// # Errors
    /// Those of [`crate::AdSpec`]'s methods.
    pub fn from_view(adspec: &crate::intserv::AdSpec<'_>) -> Result<Self, ParseError> {
        Ok(Self {
            general: adspec.general()?,
            guaranteed: adspec.guaranteed()?,
            controlled_load: adspec.controlled_load()?,
        })
    }
}

/// A FLOWSPEC object for this request (RFC 2210 §3.2), its header included: what a node that merges
/// reservations hands on. A received token bucket is written as it is, also one that strict parsing
/// refuses.
#[must_use]
pub fn flow_spec_object(request: &ServiceRequest) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.flow_spec(request);
    writer.as_slice().to_vec()
}

impl Writer {
    pub(super) fn sender_tspec(&mut self, tspec: &Tspec) {
        self.object(class::SENDER_TSPEC, 2, |writer| {
            writer.intserv_header(7);
            writer.service(number::GENERAL, false, 6);
            writer.token_bucket(tspec);
        });
    }

    pub(super) fn flow_spec(&mut self, request: &ServiceRequest) {
        self.object(class::FLOWSPEC, 2, |writer| match request {
            ServiceRequest::ControlledLoad(tspec) => {
                writer.intserv_header(7);
                writer.service(number::CONTROLLED_LOAD, false, 6);
                writer.token_bucket(tspec);
            }
            ServiceRequest::Guaranteed(tspec, Rspec { rate, slack }) => {
                writer.intserv_header(10);
                writer.service(number::GUARANTEED, false, 9);
                writer.token_bucket(tspec);
                writer.parameter(number::GUARANTEED_RSPEC, 2);
                writer.f32(*rate);
                writer.u32(*slack);
            }
            ServiceRequest::Null { max_packet } => {
                writer.intserv_header(3);
                writer.service(number::NULL, false, 2);
                writer.parameter(number::NULL_TSPEC, 1);
                writer.u32(*max_packet);
            }
        });
    }

    pub(super) fn adspec(&mut self, adspec: &AdSpec) {
        let guaranteed = adspec.guaranteed.map_or(0, |_| 9);
        let controlled_load = adspec.controlled_load.map_or(0, |_| 1);
        self.object(class::ADSPEC, 2, |writer| {
            writer.intserv_header(
                9_u16
                    .saturating_add(guaranteed)
                    .saturating_add(controlled_load),
            );
            let general = &adspec.general;
            writer.service(number::GENERAL, general.break_bit, 8);
            writer.word(number::IS_HOPS, general.is_hops);
            writer.word(number::PATH_BANDWIDTH, general.path_bandwidth.to_bits());
            writer.word(number::MINIMUM_LATENCY, general.minimum_latency);
            writer.word(number::PATH_MTU, general.path_mtu);
            if let Some(guaranteed) = &adspec.guaranteed {
                writer.service(number::GUARANTEED, guaranteed.break_bit, 8);
                writer.word(number::C_TOT, guaranteed.c_tot);
                writer.word(number::D_TOT, guaranteed.d_tot);
                writer.word(number::C_SUM, guaranteed.c_sum);
                writer.word(number::D_SUM, guaranteed.d_sum);
            }
            if let Some(supported) = adspec.controlled_load {
                writer.service(number::CONTROLLED_LOAD, !supported, 0);
            }
        });
    }

    /// The first word; `words` follow it.
    pub(super) fn intserv_header(&mut self, words: u16) {
        self.u16(0);
        self.u16(words);
    }

    pub(super) fn service(&mut self, number: u8, break_bit: bool, words: u16) {
        self.bytes(&[number, if break_bit { 0x80 } else { 0 }]);
        self.u16(words);
    }

    fn parameter(&mut self, number: u8, words: u16) {
        self.bytes(&[number, 0]);
        self.u16(words);
    }

    fn word(&mut self, number: u8, value: u32) {
        self.parameter(number, 1);
        self.u32(value);
    }

    fn token_bucket(&mut self, tspec: &Tspec) {
        self.parameter(number::TOKEN_BUCKET_TSPEC, 5);
        self.f32(tspec.rate);
        self.f32(tspec.bucket);
        self.f32(tspec.peak_rate);
        self.u32(tspec.min_policed);
        self.u32(tspec.max_packet);
    }
}

#[cfg(test)]
mod tests {
    use crate::object::ObjectWalk;

    use super::*;

    #[test]
    fn a_flow_spec_object_says_what_is_asked() {
        let tspec = Tspec {
            rate: 1_000.0,
            bucket: 500.0,
            peak_rate: f32::INFINITY,
            min_policed: 0,
            max_packet: u32::MAX >> 1,
        };
        let rspec = Rspec {
            rate: 2_000.0,
            slack: 7,
        };
        for request in [
            ServiceRequest::ControlledLoad(tspec),
            ServiceRequest::Guaranteed(tspec, rspec),
            ServiceRequest::Null { max_packet: 1500 },
        ] {
            let bytes = flow_spec_object(&request);
            let mut objects = ObjectWalk::new(&bytes, 0);
            let object = objects.next().unwrap().unwrap();
            assert_eq!(objects.next(), None);
            let read: crate::FlowSpec<'_> = object.read().unwrap();
            assert_eq!(read.service(), Ok(request));
        }
    }
}
