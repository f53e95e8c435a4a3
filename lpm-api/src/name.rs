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
    bytes: SmallVec<[u8; Self::INLINE]>,
}

impl Name {
    /// How many bytes take no allocation.
    pub(crate) const INLINE: usize = 128;

    /// A name whose canonical form this is.
    pub(crate) fn from_canonical(bytes: &[u8]) -> Self {
        Self {
            bytes: SmallVec::from_slice(bytes),
        }
    }

    /// The name of a login or a program, as in the credentials `ASCII_ID` and `UNICODE_ID` of
    /// RFC 3182 section 3.3.2.
    ///
    /// Case does not count, nor does whitespace at the ends; inside, any run of it is one space
    /// (the `caseIgnoreMatch` of directories). A NUL counts as whitespace: some senders include
    /// the terminator of a C string. Letters are folded one by one (`ß` stays `ß`), and
    /// differently composed accents stay different.
    #[must_use]
    pub fn id(text: &str) -> Self {
        let mut name = Self::default();
        let mut words = Words::new(&mut name);
        let mut rest = text;
        while !rest.is_empty() {
            let (run, behind) = rest.split_at(plain_run(rest));
            words.push_run(run);
            let mut chars = behind.chars();
            chars.next().into_iter().for_each(|c| words.push(c));
            rest = chars.as_str();
        }
        name
    }

    /// Whether nothing is left of a login or the name of a program, so that its
    /// [name](Self::id) is empty.
    #[must_use]
    pub fn is_empty_id(text: &str) -> bool {
        text.chars().all(is_blank)
    }

    /// Whether nothing is left of the name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The canonical text, in UTF-8.
    #[must_use]
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
        self.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
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
    pub(crate) fn new(name: &'a mut Name) -> Self {
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
        if is_blank(c) {
            self.space = !self.is_empty();
            return;
        }
        self.push_pending_space();
        mark.into_iter().for_each(|mark| self.name.push(mark));
        c.to_lowercase().for_each(|c| self.name.push(c));
    }

    /// Appends a [`plain_run`], folded, which is much faster than character by character.
    pub(crate) fn push_run(&mut self, run: &str) {
        if !run.is_empty() {
            self.push_pending_space();
            let start = self.name.len();
            self.name.extend(run.as_bytes());
            self.name.bytes[start..].make_ascii_lowercase();
        }
    }

    fn push_pending_space(&mut self) {
        if self.space {
            self.name.push(' ');
            self.space = false;
        }
    }

    /// Whether nothing but whitespace was appended yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.name.len() == self.start
    }
}

/// Whether a character counts as whitespace.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == '\0'
}

/// How many bytes at the start of a text are ASCII letters, digits, `-` and `.`: what stands for
/// itself in every part of every name.
pub(crate) fn plain_run(text: &str) -> usize {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    text.as_bytes()
        .iter()
        .take_while(|byte| plain(byte))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_and_whitespace_do_not_count() {
        let ada = Name::id("ada lovelace");
        for same in ["Ada Lovelace", "  ADA\t \r\nlovelace ", "ada lovelace\0\0"] {
            assert_eq!(Name::id(same), ada, "{same:?}");
        }
        for other in ["adalovelace", "ada", "ada.lovelace", "ada lovelacé"] {
            assert_ne!(Name::id(other), ada, "{other:?}");
        }
        assert_eq!(Name::id("ÉCOLE"), Name::id("école"));
    }

    #[test]
    fn nothing_but_whitespace_is_no_name() {
        for nothing in ["", " ", "\0", "\t\n "] {
            assert!(Name::id(nothing).is_empty(), "{nothing:?}");
            assert!(Name::is_empty_id(nothing), "{nothing:?}");
        }
    }

    proptest! {
        #[test]
        fn a_canonical_name_stays_as_it_is(text in ".*") {
            let name = Name::id(&text);
            prop_assert_eq!(Name::is_empty_id(&text), name.is_empty());
            prop_assert_eq!(Name::id(&name.to_string()), name);
        }
    }
}
