//! Names in the one form they are compared in.
//!
//! The same person appears as `CN=Ada Lovelace,O=Office` in one message and as
//! `cn = "ADA  LOVELACE" ; o=office` in the next. A [`Name`] is what both become; it is the key of
//! rules and of accounts. [`Name::dn`] makes one of a distinguished
//! name, [`Name::id`] of a login or the name of a program.

use std::fmt;

use smallvec::SmallVec;

/// A canonical name, equal bytes for equal names. Up to 128 bytes take no allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Name {
    bytes: SmallVec<[u8; 128]>,
}

impl Name {
    /// The name of a login or a program, as in the credentials `ASCII_ID` and `UNICODE_ID` of
    /// RFC 3182 section 3.3.2.
    ///
    /// Case does not count, nor does whitespace at the ends; inside, any run of it is one space
    /// (the `caseIgnoreMatch` of directories). A NUL counts as whitespace: some senders include
    /// the terminator of a C string. Letters are folded one by one (`ß` stays `ß`), and
    /// differently composed accents stay different.
    pub fn id(text: impl IntoIterator<Item = char>) -> Name {
        let mut name = Name::default();
        let mut words = Words::new(&mut name);
        for c in text {
            words.push(c);
        }
        name
    }

    /// Whether nothing is left of the name.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The canonical text, in UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn push(&mut self, c: char) {
        match u8::try_from(c) {
            Ok(byte) if byte.is_ascii() => self.bytes.push(byte),
            _ => self.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

impl AsRef<[u8]> for Name {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The canonical text.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.bytes))
    }
}

/// Appends text to a name by the rules of [`Name::id`].
pub(crate) struct Words<'a> {
    name: &'a mut Name,
    start: usize,
    space: bool,
}

impl<'a> Words<'a> {
    pub(crate) fn new(name: &'a mut Name) -> Words<'a> {
        let start = name.len();
        Words {
            name,
            start,
            space: false,
        }
    }

    /// Appends one character, folded.
    pub(crate) fn push(&mut self, c: char) {
        self.push_marked(c, None);
    }

    /// Appends one character, folded, with `mark` before it: the backslash a DN may need.
    pub(crate) fn push_marked(&mut self, c: char, mark: Option<char>) {
        if c.is_whitespace() || c == '\0' {
            self.space = !self.is_empty();
            return;
        }
        if self.space {
            self.name.push(' ');
            self.space = false;
        }
        if let Some(mark) = mark {
            self.name.push(mark);
        }
        if c.is_ascii() {
            self.name.push(c.to_ascii_lowercase());
        } else {
            c.to_lowercase().for_each(|c| self.name.push(c));
        }
    }

    /// Whether nothing but whitespace was appended yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.name.len() == self.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_and_whitespace_do_not_count() {
        let ada = Name::id("ada lovelace".chars());
        for same in ["Ada Lovelace", "  ADA\t \r\nlovelace ", "ada lovelace\0\0"] {
            assert_eq!(Name::id(same.chars()), ada, "{same:?}");
        }
        for other in ["adalovelace", "ada", "ada.lovelace", "ada lovelacé"] {
            assert_ne!(Name::id(other.chars()), ada, "{other:?}");
        }
        assert_eq!(Name::id("ÉCOLE".chars()), Name::id("école".chars()));
    }

    #[test]
    fn nothing_but_whitespace_is_no_name() {
        for nothing in ["", " ", "\0", "\t\n "] {
            assert!(Name::id(nothing.chars()).is_empty(), "{nothing:?}");
        }
    }

    proptest! {
        #[test]
        fn a_canonical_name_stays_as_it_is(text in ".*") {
            let name = Name::id(text.chars());
            prop_assert_eq!(Name::id(name.to_string().chars()), name);
        }
    }
}
