//! The framing of IntServ data (RFC 2210 §3): message header, service blocks, parameters.
//! Lengths count 32-bit words and leave out the word of the header itself.

use crate::error::{ErrorKind, ParseError};
use crate::object::{HEADER, RawObject};
use crate::wire;

const WORD: usize = 4;

/// In how many blocks, and how many parameters of each, a Tspec or RSpec is looked for. RFC 2210
/// and 2997 have two at most. All flows of a message may share one FLOWSPEC, so that without
/// this bound a hostile one could be searched in full for each of thousands.
pub(super) const PARTS: usize = 8;

/// Iterator over the service blocks of an object's body. Ends after the first error.
#[derive(Clone, Debug)]
pub struct ServiceBlocks<'a> {
    object: RawObject<'a>,
    started: bool,
    /// Bytes of the body that are read.
    at: usize,
    /// Where the data end in the body.
    end: usize,
}

impl<'a> ServiceBlocks<'a> {
    pub(crate) const fn new(object: RawObject<'a>) -> Self {
        ServiceBlocks {
            object,
            started: false,
            at: 0,
            end: 0,
        }
    }

    /// Checks version and overall length, once.
    fn start(&mut self) -> Result<(), ParseError> {
        self.started = true;
        let body = self.object.body;
        let Some([version, _, length1, length2]) = wire::array::<4>(body, 0) else {
            return Err(overrun(&self.object, 0, "IntServ header", 4, body.len()));
        };
        if version >> 4 != 0 {
            return Err(self.object.value(0, "IntServ version", "0", version >> 4));
        }
        let length = words(length1, length2);
        let left = body.len().saturating_sub(WORD);
        if length > left {
            return Err(overrun(&self.object, 0, "IntServ data", length, left));
        }
        self.at = WORD;
        self.end = WORD.saturating_add(length);
        Ok(())
    }
}

impl<'a> Iterator for ServiceBlocks<'a> {
    type Item = Result<ServiceBlock<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.started {
            if let Err(error) = self.start() {
                return Some(Err(error));
            }
        }
        if self.at >= self.end {
            return None;
        }
        let at = self.at;
        let data = self.object.body.get(at..self.end).unwrap_or_default();
        self.at = self.end;
        let Some(&[number, flags, length1, length2]) = data.first_chunk::<WORD>() else {
            return Some(Err(overrun(
                &self.object,
                at,
                "service header",
                WORD,
                data.len(),
            )));
        };
        let length = words(length1, length2);
        let rest = data.get(WORD..).unwrap_or_default();
        let Some(data) = rest.get(..length) else {
            return Some(Err(overrun(
                &self.object,
                at,
                "service data",
                length,
                rest.len(),
            )));
        };
        self.at = at.saturating_add(WORD).saturating_add(length);
        let break_bit = flags & 0x80 != 0;
        let start = at.saturating_add(WORD);
        Some(Ok(ServiceBlock {
            object: self.object,
            number,
            break_bit,
            at: start,
            data,
        }))
    }
}

impl core::iter::FusedIterator for ServiceBlocks<'_> {}

/// The data of one service.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ServiceBlock<'a> {
    object: RawObject<'a>,
    /// Service number, see [`number`](crate::intserv::number).
    pub number: u8,
    /// In an ADSPEC: some hop of the path does not support this service (or, for service 1,
    /// does not speak IntServ at all).
    pub break_bit: bool,
    at: usize,
    data: &'a [u8],
}

impl<'a> ServiceBlock<'a> {
    /// The parameters, in order.
    #[must_use]
    pub const fn parameters(&self) -> Parameters<'a> {
        Parameters {
            object: self.object,
            at: self.at,
            rest: self.data,
        }
    }

    /// The first parameter with this number; `None` when there is none, or only past a fault.
    pub fn parameter(&self, number: u8) -> Option<Parameter<'a>> {
        self.parameters()
            .map_while(Result::ok)
            .find(|parameter| parameter.number == number)
    }

    /// The parameter that must be there, among the first.
    pub(crate) fn required(
        &self,
        number: u8,
        name: &'static str,
    ) -> Result<Parameter<'a>, ParseError> {
        for parameter in self.parameters().take(PARTS) {
            let parameter = parameter?;
            if parameter.number == number {
                return Ok(parameter);
            }
        }
        Err(self.object.value(self.at, name, "the parameter", number))
    }
}

/// Iterator over the parameters of a [`ServiceBlock`]. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Parameters<'a> {
    object: RawObject<'a>,
    at: usize,
    rest: &'a [u8],
}

impl<'a> Iterator for Parameters<'a> {
    type Item = Result<Parameter<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        let data = self.rest;
        self.rest = &[];
        if data.is_empty() {
            return None;
        }
        let Some(&[number, flags, length1, length2]) = data.first_chunk::<WORD>() else {
            return Some(Err(overrun(
                &self.object,
                self.at,
                "parameter header",
                WORD,
                data.len(),
            )));
        };
        let length = words(length1, length2);
        let data = data.get(WORD..).unwrap_or_default();
        let Some((value, rest)) = data.split_at_checked(length) else {
            return Some(Err(overrun(
                &self.object,
                self.at,
                "parameter",
                length,
                data.len(),
            )));
        };
        let at = self.at.saturating_add(WORD);
        self.rest = rest;
        self.at = at.saturating_add(length);
        let invalid = flags & 0x80 != 0;
        Some(Ok(Parameter {
            object: self.object,
            number,
            invalid,
            at,
            value,
        }))
    }
}

impl core::iter::FusedIterator for Parameters<'_> {}

/// One parameter of a service.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter<'a> {
    object: RawObject<'a>,
    /// Parameter number, see [`number`](crate::intserv::number).
    pub number: u8,
    /// In an ADSPEC: some hop could not set the value right.
    pub invalid: bool,
    at: usize,
    /// The value, in network byte order.
    pub value: &'a [u8],
}

impl Parameter<'_> {
    /// The value as one unsigned word.
    ///
    /// # Errors
    /// A value of another length.
    pub fn u32(&self) -> Result<u32, ParseError> {
        match (wire::u32(self.value, 0), self.value.len()) {
            (Some(value), 4) => Ok(value),
            _ => Err(self.overrun("parameter value", 4)),
        }
    }

    /// The value as one rate or size: finite, not negative.
    ///
    /// # Errors
    /// A value of another length; NaN, infinity, a sign bit.
    pub fn f32(&self) -> Result<f32, ParseError> {
        self.u32()?;
        self.finite(0, "parameter value")
    }

    pub(crate) fn overrun(&self, part: &'static str, needed: usize) -> ParseError {
        overrun(&self.object, self.at, part, needed, self.value.len())
    }

    /// The floating-point number at byte `at` of the value: finite, no sign bit.
    pub(crate) fn finite(&self, at: usize, field: &'static str) -> Result<f32, ParseError> {
        let value = self.float(at, field)?;
        if value.is_finite() {
            Ok(value)
        } else {
            Err(self.bad(at, field, "a finite number"))
        }
    }

    /// The floating-point number at byte `at` of the value: no sign bit, no NaN.
    pub(crate) fn float(&self, at: usize, field: &'static str) -> Result<f32, ParseError> {
        let Some(value) = wire::f32(self.value, at) else {
            return Err(self.overrun(field, at.saturating_add(WORD)));
        };
        if value.is_nan() || value.is_sign_negative() {
            return Err(self.bad(at, field, "a number without sign"));
        }
        Ok(value)
    }

    pub(crate) fn word(&self, at: usize, field: &'static str) -> Result<u32, ParseError> {
        wire::u32(self.value, at).ok_or_else(|| self.overrun(field, at.saturating_add(WORD)))
    }

    pub(crate) fn bad(&self, at: usize, field: &'static str, expected: &'static str) -> ParseError {
        let found = wire::u32(self.value, at).unwrap_or_default();
        self.object
            .value(self.at.saturating_add(at), field, expected, found)
    }
}

fn words(length1: u8, length2: u8) -> usize {
    usize::from(u16::from_be_bytes([length1, length2])).saturating_mul(WORD)
}

fn overrun(
    object: &RawObject<'_>,
    at: usize,
    part: &'static str,
    needed: usize,
    left: usize,
) -> ParseError {
    let needed = u32::try_from(needed).unwrap_or(u32::MAX);
    let kind = ErrorKind::Overrun {
        part,
        needed,
        left: wire::clamp(left),
    };
    object.fault(at.saturating_add(HEADER), kind)
}
