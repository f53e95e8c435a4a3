//! The values of an event or span, copied and formatted for the moment of one call.

use std::error::Error;
use std::fmt::{self, Debug, Write};
use std::ops::Range;

use abi_stable::std_types::{RSlice, RStr};
use lpm_abi::{AbiField, AbiValue};
use smallvec::SmallVec;
use tracing_core::Field;
use tracing_core::field::Visit;

/// How many bytes of text one record can have; what is longer is cut, and ends in an ellipsis.
const TEXT_LIMIT: usize = 64 << 10;

/// Values as they are recorded, on the stack unless they are many or long.
#[derive(Default)]
pub(super) struct Values {
    fields: SmallVec<[(u32, Value); 12]>,
    text: Text,
}

/// A value; texts are ranges of the common text.
enum Value {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Flag(bool),
    Text(Range<usize>),
    Formatted(Range<usize>),
}

impl Values {
    /// Lends the values to a call.
    pub(super) fn lend<R>(&self, call: impl FnOnce(RSlice<'_, AbiField<'_>>) -> R) -> R {
        let fields: SmallVec<[_; 12]> = self.fields.iter().map(|field| self.field(field)).collect();
        call(RSlice::from_slice(&fields))
    }

    fn field(&self, (index, value): &(u32, Value)) -> AbiField<'_> {
        let text = |range: &Range<usize>| RStr::from(self.text.get(range));
        let value = match value {
            Value::Signed(value) => AbiValue::Signed(*value),
            Value::Unsigned(value) => AbiValue::Unsigned(*value),
            Value::Float(value) => AbiValue::Float(*value),
            Value::Flag(value) => AbiValue::Flag(*value),
            Value::Text(range) => AbiValue::Text(text(range)),
            Value::Formatted(range) => AbiValue::Formatted(text(range)),
        };
        let index = *index;
        AbiField { index, value }
    }

    fn push(&mut self, field: &Field, value: Value) {
        if let Ok(index) = u32::try_from(field.index()) {
            self.fields.push((index, value));
        }
    }

    fn format(&mut self, write: impl FnOnce(&mut Text) -> fmt::Result) -> Range<usize> {
        let start = self.text.bytes.len();
        // It fails where the text gets too long, and where the LPM's own formatting fails.
        let _ = write(&mut self.text);
        start..self.text.bytes.len()
    }
}

impl Visit for Values {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, Value::Signed(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, Value::Unsigned(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, Value::Float(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, Value::Flag(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let range = self.format(|text| text.write_str(value));
        self.push(field, Value::Text(range));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let range = self.format(|text| {
            write!(text, "{value}")?;
            let mut source = value.source();
            while let Some(error) = source {
                write!(text, ": {error}")?;
                source = error.source();
            }
            Ok(())
        });
        self.push(field, Value::Formatted(range));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let range = self.format(|text| write!(text, "{value:?}"));
        self.push(field, Value::Formatted(range));
    }
}

/// The texts of all values, one after the other.
#[derive(Default)]
struct Text {
    bytes: SmallVec<[u8; 512]>,
    /// Whether something was cut; nothing follows.
    full: bool,
}

impl Text {
    fn get(&self, range: &Range<usize>) -> &str {
        let bytes = self.bytes.get(range.clone()).unwrap_or_default();
        // Only whole strings were written, or cut between characters.
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.full {
            return Err(fmt::Error);
        }
        let room = TEXT_LIMIT.saturating_sub(self.bytes.len());
        if text.len() <= room {
            self.bytes.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        let fits = (0..=room).rev().find(|&end| text.is_char_boundary(end));
        let cut = text.get(..fits.unwrap_or_default()).unwrap_or_default();
        self.bytes.extend_from_slice(cut.as_bytes());
        self.bytes.extend_from_slice("…".as_bytes());
        self.full = true;
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_end_is_cut_between_characters() {
        struct Endless;
        impl Debug for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("äöü")?;
                }
            }
        }
        let mut text = Text::default();
        assert!(write!(text, "{Endless:?}").is_err());
        assert!(text.write_str("more").is_err());
        let all = text.get(&(0..text.bytes.len()));
        assert!(all.len() <= TEXT_LIMIT + "…".len(), "{}", all.len());
        assert!(all.starts_with("äöüäöü") && all.ends_with("…"));
    }
}
