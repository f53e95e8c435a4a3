//! What a directory server sends, looked at before the LDAP crate reads it.
//!
//! That crate reads BER by recursion, as deep as the server likes, and takes for granted that a
//! message has the parts that RFC 4511 gives it. So each message is taken apart here first: how
//! long it is, how deep, and whether it is what it says.

use std::collections::HashMap;

/// How long a message may be, in bytes.
const LONGEST: usize = 1 << 20;

/// How much the entries of one search may be together, in bytes.
const LARGEST_ANSWER: usize = 16 << 20;

/// Tags (X.690 section 8.1.2; the operations are RFC 4511 section 4).
mod tag {
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const INTEGER: u8 = 0x02;
    pub(super) const OCTET_STRING: u8 = 0x04;
    pub(super) const ENUMERATED: u8 = 0x0a;
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const SET: u8 = 0x31;
    pub(super) const BIND_RESPONSE: u8 = 0x61;
    pub(super) const SEARCH_ENTRY: u8 = 0x64;
    pub(super) const SEARCH_DONE: u8 = 0x65;
    pub(super) const SEARCH_REFERENCE: u8 = 0x73;
    pub(super) const EXTENDED_RESPONSE: u8 = 0x78;
    pub(super) const INTERMEDIATE: u8 = 0x79;
    pub(super) const CONTROLS: u8 = 0xa0;
    pub(super) const REFERRAL: u8 = 0xa3;
    pub(super) const SASL: u8 = 0x87;
    pub(super) const EXTENDED_NAME: u8 = 0x8a;
    pub(super) const EXTENDED_VALUE: u8 = 0x8b;
    pub(super) const INTERMEDIATE_NAME: u8 = 0x80;
    pub(super) const INTERMEDIATE_VALUE: u8 = 0x81;
}

/// Why a server is not listened to any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadFrame {
    #[error("the server sends a message of more than {LONGEST} bytes")]
    TooLong,
    #[error("the server sends more than {LARGEST_ANSWER} bytes for one search")]
    TooMuch,
    #[error("the server sends a message that is not LDAP: {0}")]
    Malformed(&'static str),
}

/// The messages in what a server sends.
#[derive(Debug, Default)]
pub(super) struct Frames {
    received: Vec<u8>,
    /// What each search that is under way has got, by the id of its request.
    answers: HashMap<i32, usize>,
}

impl Frames {
    /// More has come.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
    }

    /// Whether everything that came was taken.
    pub(super) fn is_empty(&self) -> bool {
        self.received.is_empty()
    }

    /// The next message, once it is there as a whole.
    ///
    /// # Errors
    /// It is none that a server may send. Nothing after it can be read.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, BadFrame> {
        let Some(length) = length_of_message(&self.received)? else {
            return Ok(None);
        };
        if self.received.len() < length {
            return Ok(None);
        }
        let rest = self.received.split_off(length);
        let message = std::mem::replace(&mut self.received, rest);
        self.count(&message)?;
        Ok(Some(message))
    }

    fn count(&mut self, message: &[u8]) -> Result<(), BadFrame> {
        match checked(message)? {
            (id, tag::SEARCH_ENTRY | tag::SEARCH_REFERENCE | tag::INTERMEDIATE) => {
                let received = self.answers.entry(id).or_default();
                *received += message.len();
                if *received > LARGEST_ANSWER {
                    return Err(BadFrame::TooMuch);
                }
            }
            (id, _) => {
                self.answers.remove(&id);
            }
        }
        Ok(())
    }
}

/// How long the message is that begins here, its header included; `None` where that is not there
/// yet.
fn length_of_message(bytes: &[u8]) -> Result<Option<usize>, BadFrame> {
    if bytes.first().is_some_and(|tag| *tag != tag::SEQUENCE) {
        return Err(BadFrame::Malformed("it is no sequence"));
    }
    let Some((length, header)) = length(bytes)? else {
        return Ok(None);
    };
    match length.checked_add(header) {
        Some(length) if length <= LONGEST => Ok(Some(length)),
        _ => Err(BadFrame::TooLong),
    }
}

/// The length of an element, and that of its header; `None` where the header is not there yet.
fn length(bytes: &[u8]) -> Result<Option<(usize, usize)>, BadFrame> {
    let (Some(tag), Some(first)) = (bytes.first(), bytes.get(1)) else {
        return Ok(None);
    };
    if tag & 0x1f == 0x1f {
        return Err(BadFrame::Malformed("a tag of more than one byte"));
    }
    if *first < 0x80 {
        return Ok(Some((usize::from(*first), 2)));
    }
    let count = usize::from(first & 0x7f);
    // Indefinite lengths are not allowed (RFC 4511 section 5.1), longer ones not needed.
    if !(1..=4).contains(&count) {
        return Err(BadFrame::Malformed("a length of another form"));
    }
    let Some(digits) = bytes.get(2..2 + count) else {
        return Ok(None);
    };
    let length = digits
        .iter()
        .fold(0, |length, digit| length << 8 | usize::from(*digit));
    Ok(Some((length, 2 + count)))
}

/// Elements that stand one behind the other.
struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    /// The next element, if any is left: its tag and its contents.
    fn next(&mut self) -> Result<Option<(u8, &'a [u8])>, BadFrame> {
        let Some(tag) = self.0.first() else {
            return Ok(None);
        };
        let cut = BadFrame::Malformed("an element is longer than what it is in");
        let (length, header) = length(self.0)?.ok_or(cut)?;
        let end = header.checked_add(length).ok_or(cut)?;
        let contents = self.0.get(header..end).ok_or(cut)?;
        self.0 = &self.0[end..];
        Ok(Some((*tag, contents)))
    }

    /// The contents of the next element, which has this tag.
    fn expect(&mut self, tag: u8, what: &'static str) -> Result<&'a [u8], BadFrame> {
        match self.next()? {
            Some((found, contents)) if found == tag => Ok(contents),
            _ => Err(BadFrame::Malformed(what)),
        }
    }

    /// The contents of the next element if it has this tag.
    fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, BadFrame> {
        match self.0.first() {
            Some(found) if *found == tag => Ok(self.next()?.map(|(_, contents)| contents)),
            _ => Ok(None),
        }
    }

    fn text(&mut self, what: &'static str) -> Result<(), BadFrame> {
        is_text(self.expect(tag::OCTET_STRING, what)?, what)
    }

    fn end(&self, what: &'static str) -> Result<(), BadFrame> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(BadFrame::Malformed(what))
        }
    }
}

/// The id and the operation of a message that has all parts it must have.
fn checked(message: &[u8]) -> Result<(i32, u8), BadFrame> {
    let mut message = Elements(Elements(message).expect(tag::SEQUENCE, "it is no sequence")?);
    let id = message.expect(tag::INTEGER, "it has no id")?;
    if !(1..=4).contains(&id.len()) || id[0] > 0x7f {
        return Err(BadFrame::Malformed("its id is no number of a message"));
    }
    let id = id.iter().fold(0, |id, digit| id << 8 | i32::from(*digit));
    let Some((operation, contents)) = message.next()? else {
        return Err(BadFrame::Malformed("it has no operation"));
    };
    let parts = Elements(contents);
    match operation {
        tag::BIND_RESPONSE | tag::SEARCH_DONE | tag::EXTENDED_RESPONSE => result(parts)?,
        tag::SEARCH_ENTRY => entry(parts)?,
        tag::SEARCH_REFERENCE => texts(parts)?,
        tag::INTERMEDIATE => {
            let mut parts = parts;
            if let Some(name) = parts.optional(tag::INTERMEDIATE_NAME)? {
                is_text(name, "the name of an intermediate response")?;
            }
            parts.optional(tag::INTERMEDIATE_VALUE)?;
            parts.end("more than an intermediate response")?;
        }
        _ => return Err(BadFrame::Malformed("no server sends this operation")),
    }
    if let Some(controls) = message.optional(tag::CONTROLS)? {
        let mut controls = Elements(controls);
        while !controls.0.is_empty() {
            let mut control = Elements(controls.expect(tag::SEQUENCE, "a control")?);
            control.text("the type of a control")?;
            let critical = control.optional(tag::BOOLEAN)?;
            control.optional(tag::OCTET_STRING)?;
            if critical.is_some_and(|it| it.len() != 1) || !control.0.is_empty() {
                return Err(BadFrame::Malformed("a control"));
            }
        }
    }
    // The name of a notice of disconnection, which Active Directory puts in the wrong place.
    message.optional(tag::EXTENDED_NAME)?;
    message.end("something behind the operation")?;
    Ok((id, operation))
}

/// LDAPResult (section 4.1.9), and what responses have behind it.
fn result(mut parts: Elements<'_>) -> Result<(), BadFrame> {
    let code = parts.expect(tag::ENUMERATED, "a result without a code")?;
    if !(1..=4).contains(&code.len()) {
        return Err(BadFrame::Malformed("the code of a result"));
    }
    parts.text("the matched DN of a result")?;
    parts.text("the message of a result")?;
    if let Some(referral) = parts.optional(tag::REFERRAL)? {
        texts(Elements(referral))?;
    }
    parts.optional(tag::SASL)?;
    if let Some(name) = parts.optional(tag::EXTENDED_NAME)? {
        is_text(name, "the name of a response")?;
    }
    parts.optional(tag::EXTENDED_VALUE)?;
    parts.end("more than a result")
}

/// SearchResultEntry (section 4.5.2).
fn entry(mut parts: Elements<'_>) -> Result<(), BadFrame> {
    parts.text("the DN of an entry")?;
    let mut attributes = Elements(parts.expect(tag::SEQUENCE, "the attributes of an entry")?);
    parts.end("more than an entry")?;
    while !attributes.0.is_empty() {
        let mut attribute = Elements(attributes.expect(tag::SEQUENCE, "an attribute")?);
        attribute.text("the type of an attribute")?;
        let mut values = Elements(attribute.expect(tag::SET, "the values of an attribute")?);
        attribute.end("more than an attribute")?;
        while !values.0.is_empty() {
            values.expect(tag::OCTET_STRING, "a value of an attribute")?;
        }
    }
    Ok(())
}

fn texts(mut parts: Elements<'_>) -> Result<(), BadFrame> {
    if parts.0.is_empty() {
        return Err(BadFrame::Malformed("a referral without a server"));
    }
    while !parts.0.is_empty() {
        parts.text("a referral")?;
    }
    Ok(())
}

fn is_text(bytes: &[u8], what: &'static str) -> Result<(), BadFrame> {
    match std::str::from_utf8(bytes) {
        Ok(_) => Ok(()),
        Err(_) => Err(BadFrame::Malformed(what)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
        let length = u32::try_from(contents.len()).unwrap().to_be_bytes();
        [&[tag, 0x84][..], &length, contents].concat()
    }

    fn message(operation: &[u8]) -> Vec<u8> {
        element(
            tag::SEQUENCE,
            &[&element(tag::INTEGER, &[7]), operation].concat(),
        )
    }

    fn all(bytes: &[u8]) -> Result<usize, BadFrame> {
        let mut frames = Frames::default();
        frames.push(bytes);
        let mut count = 0;
        while frames.next()?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    fn done(code: u8) -> Vec<u8> {
        let parts = [
            element(tag::ENUMERATED, &[code]),
            element(4, b""),
            element(4, b""),
        ];
        message(&element(tag::SEARCH_DONE, &parts.concat()))
    }

    fn found(dn: &[u8], value: &[u8]) -> Vec<u8> {
        let values = element(tag::SET, &element(4, value));
        let attribute = element(tag::SEQUENCE, &[element(4, b"cn"), values].concat());
        let parts = [element(4, dn), element(tag::SEQUENCE, &attribute)];
        message(&element(tag::SEARCH_ENTRY, &parts.concat()))
    }

    #[test]
    fn whole_messages_are_taken_however_they_come() {
        let bytes = [found(b"cn=ada", b"\xff"), done(0)].concat();
        assert_eq!(all(&bytes), Ok(2));
        let mut frames = Frames::default();
        let mut count = 0;
        for byte in &bytes {
            frames.push(&[*byte]);
            count += usize::from(frames.next().unwrap().is_some());
        }
        assert_eq!((count, frames.is_empty()), (2, true));
    }

    #[test]
    fn depth_is_looked_at_without_depth() {
        let mut nested = Vec::new();
        for _ in 0..7_000 {
            nested = element(tag::SEQUENCE, &nested);
        }
        assert!(matches!(all(&nested), Err(BadFrame::Malformed(_))));
    }

    #[test]
    fn lengths_are_bounded() {
        assert_eq!(
            all(&[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff]),
            Err(BadFrame::TooLong)
        );
        for bad in [
            &[0x30, 0x80, 0, 0][..],
            &[0x30, 0x85, 0, 0, 0, 0, 1, 0],
            &[0x3f, 0x81],
        ] {
            assert!(all(bad).is_err(), "{bad:?}");
        }
        let entry = found(b"cn=ada", &vec![b'x'; LONGEST - 200]);
        let many = LARGEST_ANSWER / entry.len();
        assert_eq!(all(&entry.repeat(many)), Ok(many));
        assert_eq!(all(&entry.repeat(many + 1)), Err(BadFrame::TooMuch));
        let twice = [entry.repeat(many), done(0), entry.repeat(many)].concat();
        assert_eq!(all(&twice), Ok(2 * many + 1), "each search by itself");
    }

    #[test]
    fn what_lacks_a_part_is_refused() {
        assert_eq!(all(&done(4)), Ok(1));
        for bad in [
            message(b""),
            message(&element(0x63, b"")),
            message(&element(tag::SEARCH_DONE, b"")),
            message(&element(tag::SEARCH_ENTRY, &element(4, b"cn=ada"))),
            message(&element(tag::SEARCH_REFERENCE, b"")),
            found(b"\xff", b""),
            [done(0), vec![0; 3]].concat(),
            element(tag::SEQUENCE, &element(tag::SEARCH_DONE, b"")),
        ] {
            assert!(all(&bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_much(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = all(&bytes);
            let mut in_a_message = vec![0x30, 0x82, 0x01, 0x90];
            in_a_message.extend(bytes);
            let _ = all(&in_a_message);
        }
    }
}
