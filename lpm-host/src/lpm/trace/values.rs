//! The values of a record, as the host's `tracing` wants them.

use std::fmt::{self, Debug, Write};

use lpm_abi::{AbiField, AbiValue};
use smallvec::SmallVec;
use tracing_core::field::{DisplayValue, Value, ValueSet, display};

use super::emitter::{Emitter, Generic};
use super::sites::Site;

/// A value of the library's, borrowed for the call.
enum Borrowed<'a> {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Flag(bool),
    Text(&'a str),
    Formatted(DisplayValue<&'a str>),
}

impl<'a> From<&'a AbiValue<'a>> for Borrowed<'a> {
    fn from(value: &'a AbiValue<'a>) -> Self {
        match value {
            AbiValue::Signed(value) => Self::Signed(*value),
            AbiValue::Unsigned(value) => Self::Unsigned(*value),
            AbiValue::Float(value) => Self::Float(*value),
            AbiValue::Flag(value) => Self::Flag(*value),
            AbiValue::Text(value) => Self::Text(value.as_str()),
            AbiValue::Formatted(value) => Self::Formatted(display(value.as_str())),
        }
    }
}

impl Borrowed<'_> {
    fn value(&self) -> &dyn Value {
        match self {
            Self::Signed(value) => value,
            Self::Unsigned(value) => value,
            Self::Float(value) => value,
            Self::Flag(value) => value,
            Self::Text(value) => value,
            Self::Formatted(value) => value,
        }
    }
}

impl Debug for Borrowed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signed(value) => value.fmt(f),
            Self::Unsigned(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Flag(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
            Self::Formatted(value) => value.fmt(f),
        }
    }
}

/// Lends the values of a record to a call, with the name of the LPM as the last. `None` leaves that
/// out, for what is recorded later.
pub(super) fn lend<R>(
    emitter: &Emitter,
    fields: &[AbiField<'_>],
    lpm: Option<&str>,
    call: impl FnOnce(&ValueSet<'_>) -> R,
) -> R {
    match &emitter.generic {
        None => lend_all(emitter.site, fields, lpm, call),
        Some(generic) => lend_generic(emitter.site, generic, fields, lpm, call),
    }
}

type Values<'v> = SmallVec<[Option<&'v dyn Value>; 16]>;

fn lend_all<R>(
    site: &'static Site,
    fields: &[AbiField<'_>],
    lpm: Option<&str>,
    call: impl FnOnce(&ValueSet<'_>) -> R,
) -> R {
    let borrowed = fields.iter().map(|field| Borrowed::from(&field.value));
    let borrowed: SmallVec<[Borrowed<'_>; 12]> = borrowed.collect();
    let names = site.metadata.fields();
    let mut values: Values<'_> = (0..names.len()).map(|_| None).collect();
    // A library that counts wrongly must not reach the last place, which is not its own.
    let own = names.len().saturating_sub(1);
    for (field, borrowed) in fields.iter().zip(&borrowed) {
        let index = usize::try_from(field.index).unwrap_or(usize::MAX);
        if let Some(place) = values.get_mut(..own).and_then(|own| own.get_mut(index)) {
            *place = Some(borrowed.value());
        }
    }
    if let Some(last) = values.last_mut() {
        *last = lpm.as_ref().map(|lpm| lpm as &dyn Value);
    }
    call(&names.value_set_all(&values))
}

fn lend_generic<R>(
    site: &'static Site,
    generic: &Generic,
    fields: &[AbiField<'_>],
    lpm: Option<&str>,
    call: impl FnOnce(&ValueSet<'_>) -> R,
) -> R {
    let mut message = None;
    let mut rest = String::new();
    for field in fields {
        let index = usize::try_from(field.index).unwrap_or(usize::MAX);
        let Some(name) = generic.fields.get(index) else {
            continue;
        };
        let value = Borrowed::from(&field.value);
        if name == "message" {
            message = Some(value);
        } else {
            let space = if rest.is_empty() { "" } else { " " };
            // Writing to a string does not fail.
            let _ = write!(rest, "{space}{name}={value:?}");
        }
    }
    // What is recorded later does not say again where it comes from.
    let first = |value| lpm.is_some().then_some(value);
    // In the order of `GENERIC_FIELDS`, and the LPM's name.
    let values: [Option<&dyn Value>; 7] = [
        message.as_ref().map(Borrowed::value),
        first(&generic.target as &dyn Value),
        first(&generic.name),
        first(&generic.file),
        first(&generic.line),
        (!rest.is_empty()).then_some(&rest),
        lpm.as_ref().map(|lpm| lpm as &dyn Value),
    ];
    call(&site.metadata.fields().value_set_all(&values))
}
