//! Text from outside, made harmless: nothing of it steers the terminal.

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::Formatter;

/// Text from outside on one line, with whatever would steer the terminal escaped.
pub(crate) struct Plain<'a>(pub(crate) &'a str);

/// Says something to the operator, on standard error. It may repeat what comes from outside.
pub(crate) fn tell(what: impl fmt::Display) {
    for line in what.to_string().lines() {
        anstream::eprintln!("pcm: {}", Plain(line));
    }
}

/// Writes a value as JSON in one line, in which text from outside is as harmless as [`Plain`] makes
/// it.
pub(crate) fn write_json(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(out, PlainJson);
    Ok(value.serialize(&mut serializer)?)
}

/// The same as a text; empty for what is no JSON, such as a map with keys that are no texts.
pub(crate) fn json(value: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    match write_json(&mut bytes, value) {
        Ok(()) => String::from_utf8(bytes).unwrap_or_default(),
        Err(_) => String::new(),
    }
}

/// Whether a character would steer the terminal, or change the order in which others are shown.
pub(crate) fn steers(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        )
        || matches!(character, '\u{2066}'..='\u{2069}')
}

impl Plain<'_> {
    /// Whether there is certainly nothing to escape: true for all that is printable ASCII.
    pub(crate) fn is_plain(&self) -> bool {
        is_plain(self.0)
    }
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_plain() {
            return f.write_str(self.0);
        }
        for character in self.0.chars() {
            if steers(character) {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        Ok(())
    }
}

/// JSON escapes the first 32 control characters only.
struct PlainJson;

impl Formatter for PlainJson {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if is_plain(fragment) {
            return out.write_all(fragment.as_bytes());
        }
        let mut written = 0;
        for (start, character) in fragment.char_indices().filter(|(_, c)| steers(*c)) {
            out.write_all(&fragment.as_bytes()[written..start])?;
            // None of them is beyond the first 65 536 characters.
            write!(out, "\\u{:04x}", u32::from(character))?;
            written = start + character.len_utf8();
        }
        out.write_all(&fragment.as_bytes()[written..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_escaped_and_all_else_is_not() {
        let steering = (0..=u32::from(char::MAX)).filter_map(char::from_u32);
        let steering: Vec<char> = steering.filter(|c| steers(*c)).collect();
        assert_eq!(steering.len(), 65 + 3 + 7 + 4);
        for character in steering {
            let text = format!("a{character}b");
            assert!(
                !Plain(&text).to_string().contains(character),
                "{character:?}"
            );
            let json = json(&text);
            assert!(!json.contains(character), "{json:?}");
            let read: String = serde_json::from_str(&json).unwrap();
            assert_eq!(read, text);
        }
        for text in ["Zürich", "日本", "שלום", "🦀", "\"\\"] {
            assert_eq!(Plain(text).to_string(), text);
            assert_eq!(json(&text), serde_json::to_string(text).unwrap());
        }
    }
}
