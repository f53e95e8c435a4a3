//! DCLASS (RFC 2996 §2): the DSCPs a sender may mark its packets with.

use crate::class;
use crate::error::ParseError;
use crate::object::{Object, RawObject};

/// A list of differentiated services code points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DClass<'a> {
    body: &'a [u8],
}

impl<'a> DClass<'a> {
    /// The code points, each 0 to 63.
    pub fn dscps(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.body
            .chunks_exact(4)
            .filter_map(|word| word.last().map(|byte| byte >> 2))
    }
}

impl<'a> Object<'a> for DClass<'a> {
    const CLASSES: &'static [u8] = &[class::DCLASS];

    fn parse(object: RawObject<'a>) -> Result<Self, ParseError> {
        match (object.c_type, object.body.len() % 4) {
            (1, 0) => Ok(DClass { body: object.body }),
            (1, _) => Err(object.body_length("a multiple of 4")),
            _ => Err(object.unknown_c_type()),
        }
    }
}
