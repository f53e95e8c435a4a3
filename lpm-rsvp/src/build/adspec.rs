//! Updating the ADSPEC of a Path that passes a node (RFC 2210 §3.3, RFC 2212, RFC 2215).

use alloc::vec::Vec;

use super::error::BuildError;
use super::writer::Writer;
use crate::class;
use crate::error::ParseError;
use crate::header::CommonHeader;
use crate::index::ObjectIndex;
use crate::intserv::{
    GeneralParameters, GuaranteedParameters, HopParameters, Parameter, ServiceBlock, number,
};
use crate::message::Message;
use crate::object::ObjectEntry;

/// What one node adds to the ADSPECs that pass it.
///
/// Composes value by value, whatever the services and their order: services the node does not
/// offer get their break bit, an empty guaranteed block is filled, values this crate cannot
/// compose are marked invalid, and values of the node that override its general ones are added
/// to a service that has none.
#[derive(Clone, Debug, PartialEq)]
pub struct AdSpecNode {
    general: HopParameters,
    services: Vec<Service>,
}

/// A service that the node offers.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Service {
    number: u8,
    overrides: Overrides,
    terms: Option<GuaranteedTerms>,
}

/// The general values of a node that are others for one service. `None`: no other.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Overrides {
    /// Available bandwidth in bytes/s.
    pub bandwidth: Option<f32>,
    /// Minimum latency in microseconds.
    pub latency: Option<u32>,
    /// MTU in bytes.
    pub mtu: Option<u32>,
}

/// The error terms of a node's guaranteed service (RFC 2212).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuaranteedTerms {
    /// C: rate-dependent error term in bytes.
    pub c: u32,
    /// D: rate-independent error term in microseconds.
    pub d: u32,
    /// The node reshapes the traffic: the sums since the last such node begin anew.
    pub reshapes: bool,
}

impl AdSpecNode {
    /// A node with these general values that offers no service yet.
    #[must_use]
    pub fn new(general: HopParameters) -> Self {
        Self {
            general,
            services: Vec::new(),
        }
    }

    /// The node offers controlled load.
    #[must_use]
    pub fn controlled_load(self, overrides: Overrides) -> Self {
        self.service(number::CONTROLLED_LOAD, overrides, None)
    }

    /// The node offers the guaranteed service.
    #[must_use]
    pub fn guaranteed(self, terms: GuaranteedTerms, overrides: Overrides) -> Self {
        self.service(number::GUARANTEED, overrides, Some(terms))
    }

    /// The node offers the null service.
    #[must_use]
    pub fn null_service(self) -> Self {
        self.service(number::NULL, Overrides::default(), None)
    }

    /// The message with its ADSPEC as this node passes it on; all else unchanged, but for an
    /// INTEGRITY, which no longer fits and is left out. A message without an ADSPEC gets none.
    ///
    /// # Errors
    /// The ADSPEC cannot be read, or the message would get too long.
    pub fn update(&self, message: &Message<'_>) -> Result<Vec<u8>, BuildError> {
        let mut writer = Writer::default();
        writer.bytes(
            message
                .bytes()
                .get(..CommonHeader::LENGTH)
                .unwrap_or_default(),
        );
        for entry in message.entries() {
            let object = entry.object(message.bytes());
            match entry.class {
                class::INTEGRITY => {}
                class::ADSPEC => self.write(&mut writer, &object.read()?)?,
                _ => writer.bytes(whole(entry, message.bytes())),
            }
        }
        let bytes = writer.finish_message()?;
        Message::parse(&bytes, &mut ObjectIndex::new())?;
        Ok(bytes)
    }

    fn service(mut self, number: u8, overrides: Overrides, terms: Option<GuaranteedTerms>) -> Self {
        self.services.retain(|service| service.number != number);
        self.services.push(Service {
            number,
            overrides,
            terms,
        });
        self
    }

    fn write(
        &self,
        writer: &mut Writer,
        adspec: &crate::intserv::AdSpec<'_>,
    ) -> Result<(), ParseError> {
        let arrived = adspec.general()?;
        let mut blocks = Writer::default();
        for block in adspec.blocks() {
            self.block(&mut blocks, &block?, &arrived)?;
        }
        let c_type = adspec.object().c_type;
        writer.object(class::ADSPEC, c_type, |writer| {
            writer.intserv_header(words(blocks.as_slice()));
            writer.bytes(blocks.as_slice());
        });
        Ok(())
    }

    /// One service block after this node.
    fn block(
        &self,
        writer: &mut Writer,
        block: &ServiceBlock<'_>,
        arrived: &GeneralParameters,
    ) -> Result<(), ParseError> {
        let service = self
            .services
            .iter()
            .find(|service| service.number == block.number);
        let mut data = Writer::default();
        let local = match service {
            _ if block.number == number::GENERAL => Local::of(&self.general, None),
            Some(service) => Local::of(&self.general, Some(service)),
            None => {
                for parameter in block.parameters() {
                    data.unchanged(&parameter?);
                }
                writer.service(block.number, true, words(data.as_slice()));
                writer.bytes(data.as_slice());
                return Ok(());
            }
        };
        let terms = [number::C_TOT, number::D_TOT, number::C_SUM, number::D_SUM];
        let overrides = [
            number::PATH_BANDWIDTH,
            number::MINIMUM_LATENCY,
            number::PATH_MTU,
        ];
        // In the order of their numbers: what the node adds goes before the first greater one.
        let mut added: Vec<u8> = Vec::new();
        if let Some(service) = service.filter(|_| block.number != number::GENERAL) {
            let own = service.overrides;
            let given = [
                own.bandwidth.is_some(),
                own.latency.is_some(),
                own.mtu.is_some(),
            ];
            let given = overrides.into_iter().zip(given).filter(|(_, given)| *given);
            added.extend(given.map(|(number, _)| number));
            if service.terms.is_some() && block.parameters().next().is_none() {
                added.extend(terms);
            }
        }
        for parameter in block.parameters() {
            added.retain(|number| !matches!(parameter, Ok(p) if p.number == *number));
        }
        let mut added = added.into_iter().peekable();
        for parameter in block.parameters() {
            let parameter = parameter?;
            while let Some(number) = added.next_if(|number| *number < parameter.number) {
                local.add(&mut data, number, arrived);
            }
            local.compose(&mut data, &parameter)?;
        }
        added.for_each(|number| local.add(&mut data, number, arrived));
        writer.service(block.number, block.break_bit, words(data.as_slice()));
        writer.bytes(data.as_slice());
        Ok(())
    }
}

/// The node's values for one service.
struct Local {
    hop: HopParameters,
    terms: Option<GuaranteedTerms>,
}

impl Local {
    fn of(general: &HopParameters, service: Option<&Service>) -> Self {
        let overrides = service.map_or(Overrides::default(), |service| service.overrides);
        Self {
            hop: HopParameters {
                bandwidth: overrides.bandwidth.unwrap_or(general.bandwidth),
                latency: overrides.latency.unwrap_or(general.latency),
                mtu: overrides.mtu.unwrap_or(general.mtu),
            },
            terms: service.and_then(|service| service.terms),
        }
    }

    /// Writes a parameter that has arrived, composed with the node's value.
    fn compose(&self, writer: &mut Writer, parameter: &Parameter<'_>) -> Result<(), ParseError> {
        let value = match parameter.number {
            number::PATH_BANDWIDTH => {
                let path = GeneralParameters {
                    path_bandwidth: parameter.f32()?,
                    ..NOTHING
                };
                Some(path.compose(&self.hop).path_bandwidth.to_bits())
            }
            number::IS_HOPS | number::MINIMUM_LATENCY | number::PATH_MTU => {
                self.general(parameter.number, parameter.u32()?)
            }
            number::C_TOT | number::D_TOT | number::C_SUM | number::D_SUM => {
                self.guaranteed(parameter.number, parameter.u32()?)
            }
            _ => None,
        };
        match value {
            Some(value) => writer.flagged_word(parameter.number, parameter.invalid, value),
            None => writer.invalid(parameter),
        }
        Ok(())
    }

    /// Writes a parameter that has not arrived: the node's value composed with the general one
    /// of the path, or with the 0 that the error terms begin with.
    fn add(&self, writer: &mut Writer, number: u8, arrived: &GeneralParameters) {
        let general = arrived.compose(&self.hop);
        let value = match number {
            number::PATH_BANDWIDTH => Some(general.path_bandwidth.to_bits()),
            number::MINIMUM_LATENCY => Some(general.minimum_latency),
            number::PATH_MTU => Some(general.path_mtu),
            _ => self.guaranteed(number, 0),
        };
        if let Some(value) = value {
            writer.flagged_word(number, false, value);
        }
    }

    fn general(&self, number: u8, value: u32) -> Option<u32> {
        let path = GeneralParameters {
            is_hops: value,
            minimum_latency: value,
            path_mtu: value,
            ..NOTHING
        };
        let path = path.compose(&self.hop);
        Some(match number {
            number::IS_HOPS => path.is_hops,
            number::MINIMUM_LATENCY => path.minimum_latency,
            _ => path.path_mtu,
        })
    }

    fn guaranteed(&self, number: u8, value: u32) -> Option<u32> {
        let terms = self.terms?;
        let path = GuaranteedParameters {
            break_bit: false,
            c_tot: value,
            d_tot: value,
            c_sum: value,
            d_sum: value,
        };
        let mut path = path.compose(terms.c, terms.d);
        if terms.reshapes {
            path = path.reshaped();
        }
        Some(match number {
            number::C_TOT => path.c_tot,
            number::D_TOT => path.d_tot,
            number::C_SUM => path.c_sum,
            _ => path.d_sum,
        })
    }
}

/// To be filled with the one value that is composed.
const NOTHING: GeneralParameters = GeneralParameters {
    break_bit: false,
    is_hops: 0,
    path_bandwidth: 0.0,
    minimum_latency: 0,
    path_mtu: 0,
};

/// Length in words; what is too long for the field does not fit into an object either.
fn words(bytes: &[u8]) -> u16 {
    u16::try_from(bytes.len() / 4).unwrap_or(u16::MAX)
}

/// An object with its header.
fn whole<'a>(entry: &ObjectEntry, message: &'a [u8]) -> &'a [u8] {
    let start = usize::from(entry.offset);
    let end = start.saturating_add(usize::from(entry.length));
    message.get(start..end).unwrap_or_default()
}

impl Writer {
    fn unchanged(&mut self, parameter: &Parameter<'_>) {
        self.parameter_of(parameter, parameter.invalid);
    }

    fn invalid(&mut self, parameter: &Parameter<'_>) {
        self.parameter_of(parameter, true);
    }

    fn parameter_of(&mut self, parameter: &Parameter<'_>, invalid: bool) {
        self.bytes(&[parameter.number, if invalid { 0x80 } else { 0 }]);
        self.u16(words(parameter.value));
        self.bytes(parameter.value);
    }

    fn flagged_word(&mut self, number: u8, invalid: bool, value: u32) {
        self.bytes(&[number, if invalid { 0x80 } else { 0 }]);
        self.u16(1);
        self.u32(value);
    }
}
