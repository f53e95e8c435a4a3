//! Distinguished names: the text forms of RFC 1779 (which RFC 3182 names), RFC 2253 and RFC 4514.
//!
//! Two DNs are equal when they are the same after this normalisation:
//!
//! - attribute types: case does not count; `OID.2.5.4.3` and `2.5.4.3` are `CN`, likewise for the
//!   other types that RFC 4514 section 3 names;
//! - values: folded like an ID ([`Name::id`]), whether written plainly, `"quoted"`, with `\,` or
//!   with `\2C`; a value in hexadecimal (`#04024869`) is compared as it stands;
//! - whitespace, line breaks too, around `=`, `+` and the separators does not count; `;` separates
//!   like `,` (RFC 1779);
//! - the parts of a multi-valued RDN (`CN=Ada+UID=42`) have no order. RDNs have.
//!
//! The canonical text is itself a DN, in which `, ; + " \` and a leading `#` of a value are
//! escaped: no value can be mistaken for structure.

use crate::name::{Name, Words, plain_run};

impl Name {
    /// The canonical form of a distinguished name. The DN of the root is empty.
    ///
    /// # Errors
    /// The text is no DN; the error says where it stops being one.
    pub fn dn(text: &str) -> Result<Self, DnError> {
        plain_dn(text.as_bytes()).map_or_else(|| Self::any_dn(text), Ok)
    }

    fn any_dn(text: &str) -> Result<Self, DnError> {
        let mut reader = Reader { text, position: 0 };
        let mut name = Self::default();
        reader.skip_whitespace();
        if reader.peek().is_none() {
            return Ok(name);
        }
        loop {
            relative_name(&mut reader, &mut name)?;
            match reader.next() {
                None => return Ok(name),
                Some(_separator) => name.push(','),
            }
        }
    }

    /// Of a canonical DN: itself, then without its last RDN, then without its last two, and so on
    /// down to the first RDN.
    pub fn leading_rdns(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = Some(self.as_bytes());
        std::iter::from_fn(move || {
            let dn = rest?;
            let separator = (0..dn.len()).rev().find(|&at| is_separator(dn, at));
            rest = separator.map(|at| &dn[..at]);
            Some(dn)
        })
    }
}

/// Why a text is no distinguished name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a distinguished name: after {position} bytes, {problem}")]
#[non_exhaustive]
pub struct DnError {
    /// What is wrong there.
    pub problem: DnProblem,
    /// How many bytes come before the fault.
    pub position: usize,
}

/// What can be wrong with a distinguished name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DnProblem {
    /// A separator or the end where an attribute type and `=` were expected.
    #[error("expected an attribute type and '=', such as \"CN=\"")]
    NoAttributeType,
    /// A character that no attribute type has.
    #[error("an attribute type has letters, digits, '.' and '-'; found {0:?}")]
    BadAttributeType(char),
    /// A `\` that is not followed by a special character or by two hexadecimal digits.
    #[error("'\\' must be followed by a special character or two hexadecimal digits")]
    BadEscape,
    /// Bytes given as `\xx` that are no UTF-8.
    #[error("the bytes written in hexadecimal are not UTF-8")]
    NotUtf8,
    /// A `"` without a second one, or in the middle of a value.
    #[error("unbalanced or misplaced '\"'")]
    BadQuote,
    /// A `#` value that is not pairs of hexadecimal digits.
    #[error("'#' must be followed by pairs of hexadecimal digits")]
    BadHexString,
}

/// The canonical form of a DN as nearly all are: short, with letters, digits, spaces, `-` and `.`
/// in its values, and nothing but letters, digits and `-` in its types. `None` for any other.
///
/// Reads byte by byte, which takes a fraction of the time.
fn plain_dn(text: &[u8]) -> Option<Name> {
    let mut written = [0; Name::INLINE];
    // It is never longer than what it is made of.
    let canonical = written.get_mut(..text.len())?;
    let (mut at, mut length) = (0, 0);
    loop {
        while text.get(at) == Some(&b' ') {
            at += 1;
        }
        let letters = push_folded(&text[at..], &mut canonical[length..], &FOLDED_IN_TYPES);
        if letters == 0 || text[at].is_ascii_digit() || text.get(at + letters) != Some(&b'=') {
            return None;
        }
        (at, length) = (at + letters + 1, length + letters + 1);
        canonical[length - 1] = b'=';
        let (mut is_empty, mut space) = (true, false);
        loop {
            match text.get(at) {
                Some(b' ') => {
                    space = !is_empty;
                    at += 1;
                }
                Some(b',' | b';') => {
                    canonical[length] = b',';
                    (at, length) = (at + 1, length + 1);
                    break;
                }
                Some(_) => {
                    if space {
                        canonical[length] = b' ';
                        length += 1;
                    }
                    let pushed = push_folded(&text[at..], &mut canonical[length..], &FOLDED);
                    if pushed == 0 {
                        return None;
                    }
                    (at, length) = (at + pushed, length + pushed);
                    (is_empty, space) = (false, false);
                }
                None => return Some(Name::from_canonical(&canonical[..length])),
            }
        }
    }
}

/// Writes what is `folded` at the start of a text; returns how many bytes that are.
fn push_folded(text: &[u8], to: &mut [u8], folded: &[u8; 256]) -> usize {
    let mut length = 0;
    for (byte, place) in text.iter().zip(to) {
        let folded = folded[usize::from(*byte)];
        if folded == 0 {
            break;
        }
        *place = folded;
        length += 1;
    }
    length
}

/// What stands for itself in a value, in lower case: ASCII letters, digits, `-` and `.`; 0 for all
/// else.
const FOLDED: [u8; 256] = {
    let mut folded = [0; 256];
    let mut byte: u8 = 0;
    while byte < 128 {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.' {
            folded[byte as usize] = byte.to_ascii_lowercase();
        }
        byte += 1;
    }
    folded
};

/// The same in an attribute type, where `.` is that of an OID.
const FOLDED_IN_TYPES: [u8; 256] = {
    let mut folded = FOLDED;
    folded[b'.' as usize] = 0;
    folded
};

/// The text of a DN, and how many bytes of it were read.
struct Reader<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.position..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek();
        self.position += next.map_or(0, char::len_utf8);
        next
    }

    fn next_run(&mut self) -> &'a str {
        let run = &self.rest()[..plain_run(self.rest())];
        self.position += run.len();
        run
    }

    fn next_if(&mut self, wanted: impl FnOnce(char) -> bool) -> Option<char> {
        let next = self.peek().filter(|&c| wanted(c))?;
        self.position += next.len_utf8();
        Some(next)
    }

    fn skip_whitespace(&mut self) {
        while self.next_if(|c| c.is_whitespace() || c == '\0').is_some() {}
    }

    fn at_end_of_value(&self) -> bool {
        matches!(self.peek(), None | Some(',' | ';' | '+'))
    }

    fn fail<T>(&self, problem: DnProblem) -> Result<T, DnError> {
        Err(DnError {
            problem,
            position: self.position,
        })
    }
}

/// One RDN, up to its separator or the end.
fn relative_name(reader: &mut Reader<'_>, name: &mut Name) -> Result<(), DnError> {
    let start = name.len();
    attribute(reader, name)?;
    if reader.peek() != Some('+') {
        return Ok(());
    }

    let mut parts = vec![name.as_bytes()[start..].to_vec()];
    while reader.next_if(|c| c == '+').is_some() {
        name.truncate(start);
        attribute(reader, name)?;
        parts.push(name.as_bytes()[start..].to_vec());
    }
    parts.sort_unstable();
    name.truncate(start);
    name.extend(&parts.join(&b'+'));
    Ok(())
}

/// One `type=value`, up to the `+` or separator behind it, or the end.
fn attribute(reader: &mut Reader<'_>, name: &mut Name) -> Result<(), DnError> {
    attribute_type(reader, name)?;
    name.push('=');
    reader.skip_whitespace();
    match reader.peek() {
        Some('"') => quoted_value(reader, name)?,
        Some('#') => hexadecimal_value(reader, name)?,
        _ => plain_value(reader, name)?,
    }
    Ok(())
}

fn attribute_type(reader: &mut Reader<'_>, name: &mut Name) -> Result<(), DnError> {
    let start = name.len();
    let mut words = Words::new(name);
    loop {
        words.push_run(reader.next_run());
        match reader.peek() {
            // RFC 1779 lets a type have spaces inside.
            Some(c) if c.is_whitespace() => {
                reader.next();
                words.push(c);
            }
            Some('=') if !words.is_empty() => break,
            None | Some('=' | ',' | ';' | '+') => return reader.fail(DnProblem::NoAttributeType),
            Some(other) => return reader.fail(DnProblem::BadAttributeType(other)),
        }
    }
    reader.next();

    let written = &name.as_bytes()[start..];
    let oid = match written.strip_prefix(b"oid.") {
        Some(oid) if oid.first().is_some_and(u8::is_ascii_digit) => oid,
        _ => written,
    };
    if let Some(&(_, short)) = SHORT_TYPES.iter().find(|(long, _)| long.as_bytes() == oid) {
        name.truncate(start);
        name.extend(short.as_bytes());
    } else if oid.len() < written.len() {
        let oid = oid.to_vec();
        name.truncate(start);
        name.extend(&oid);
    }
    Ok(())
}

/// The attribute types of the table in RFC 4514 section 3.
const SHORT_TYPES: [(&str, &str); 9] = [
    ("2.5.4.3", "cn"),
    ("2.5.4.7", "l"),
    ("2.5.4.8", "st"),
    ("2.5.4.10", "o"),
    ("2.5.4.11", "ou"),
    ("2.5.4.6", "c"),
    ("2.5.4.9", "street"),
    ("0.9.2342.19200300.100.1.25", "dc"),
    ("0.9.2342.19200300.100.1.1", "uid"),
];

fn plain_value(reader: &mut Reader<'_>, name: &mut Name) -> Result<(), DnError> {
    let mut words = Words::new(name);
    loop {
        words.push_run(reader.next_run());
        if reader.at_end_of_value() {
            return Ok(());
        }
        match reader.next() {
            Some('\\') => escaped(reader, &mut words)?,
            Some('"') => return reader.fail(DnProblem::BadQuote),
            other => other
                .into_iter()
                .for_each(|c| push_literally(&mut words, c)),
        }
    }
}

fn quoted_value(reader: &mut Reader<'_>, name: &mut Name) -> Result<(), DnError> {
    reader.next();
    let mut words = Words::new(name);
    loop {
        words.push_run(reader.next_run());
        match reader.next() {
            Some('"') => break,
            Some('\\') => escaped(reader, &mut words)?,
            Some(c) => push_literally(&mut words, c),
            None => return reader.fail(DnProblem::BadQuote),
        }
    }
    reader.skip_whitespace();
    if reader.at_end_of_value() {
        Ok(())
    } else {
        reader.fail(DnProblem::BadQuote)
    }
}

fn hexadecimal_value(reader: &mut Reader<'_>, name: &mut Name) -> Result<(), DnError> {
    reader.next();
    name.push('#');
    let start = name.len();
    while let Some(digit) = reader.next_if(|c| c.is_ascii_hexdigit()) {
        name.push(digit.to_ascii_lowercase());
    }
    let digits = name.len() - start;
    reader.skip_whitespace();
    if digits > 0 && digits % 2 == 0 && reader.at_end_of_value() {
        Ok(())
    } else {
        reader.fail(DnProblem::BadHexString)
    }
}

/// What follows a backslash: a special character, or bytes of UTF-8 in hexadecimal (`\C3\A9`).
fn escaped(reader: &mut Reader<'_>, words: &mut Words<'_>) -> Result<(), DnError> {
    if let Some(special) = reader.next_if(|c| r##",;+"\<>=# "##.contains(c)) {
        push_literally(words, special);
        return Ok(());
    }

    let first = hexadecimal_byte(reader)?;
    let length = match first {
        0x00..=0x7f => 1,
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => return reader.fail(DnProblem::NotUtf8),
    };
    let mut bytes = [first, 0, 0, 0];
    for byte in &mut bytes[1..length] {
        if reader.next_if(|c| c == '\\').is_none() {
            return reader.fail(DnProblem::NotUtf8);
        }
        *byte = hexadecimal_byte(reader)?;
    }
    match std::str::from_utf8(&bytes[..length]) {
        Ok(text) => text.chars().for_each(|c| push_literally(words, c)),
        Err(_) => return reader.fail(DnProblem::NotUtf8),
    }
    Ok(())
}

fn hexadecimal_byte(reader: &mut Reader<'_>) -> Result<u8, DnError> {
    let mut byte = 0;
    for _ in 0..2 {
        let Some(digit) = reader
            .next_if(|c| c.is_ascii_hexdigit())
            .and_then(|c| c.to_digit(16))
        else {
            return reader.fail(DnProblem::BadEscape);
        };
        byte = byte * 16 + digit;
    }
    u8::try_from(byte).or_else(|_| reader.fail(DnProblem::BadEscape))
}

/// Appends a character of a value, escaped where the canonical text needs it.
fn push_literally(words: &mut Words<'_>, c: char) {
    let structural = matches!(c, ',' | ';' | '+' | '"' | '\\') || (c == '#' && words.is_empty());
    words.push_marked(c, structural.then_some('\\'));
}

/// Whether the byte at `at` of a canonical DN separates two RDNs.
fn is_separator(dn: &[u8], at: usize) -> bool {
    dn[at] == b',' && dn[..at].iter().rev().take_while(|&&b| b == b'\\').count() % 2 == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn canonical(dn: &str) -> String {
        Name::dn(dn).unwrap().to_string()
    }

    #[track_caller]
    fn problem(dn: &str) -> (DnProblem, usize) {
        let error = Name::dn(dn).unwrap_err();
        (error.problem, error.position)
    }

    #[test]
    fn case_and_whitespace_do_not_count() {
        let ada = "cn=ada lovelace,ou=engineering,o=small office,c=ch";
        for same in [
            "CN=Ada Lovelace,OU=Engineering,O=Small Office,C=CH",
            "cn = Ada  Lovelace , ou=ENGINEERING ; O= small office;C=ch",
            "  CN=\"Ada Lovelace\",\r\n OU=Engineering,\r\n O=Small\tOffice,\r\n C=CH  ",
            "OID.2.5.4.3=Ada Lovelace,2.5.4.11=Engineering,oid.2.5.4.10=Small Office,2.5.4.6=CH",
            "CN=\\41da\\20Lovelace,OU=Engineering,O=Small Office,C=CH\0",
        ] {
            assert_eq!(canonical(same), ada, "{same:?}");
        }
    }

    #[test]
    fn an_escaped_separator_is_part_of_the_value() {
        for same in [
            r"CN=Boole\, George,O=Office",
            r#"CN="Boole, George",O=Office"#,
            r"CN=Boole\2c George,O=Office",
        ] {
            assert_eq!(canonical(same), r"cn=boole\, george,o=office");
        }
        assert_ne!(canonical(r"CN=A\,O=B"), canonical("CN=A,O=B"));
        assert_ne!(canonical(r"CN=A\+O=B"), canonical("CN=A+O=B"));
        assert_eq!(
            canonical(r#"CN="say \"hi\"; \\ + #""#),
            r#"cn=say \"hi\"\; \\ \+ #"#
        );
    }

    #[test]
    fn a_multi_valued_rdn_has_no_order_and_is_no_two_rdns() {
        let ada = canonical("CN=Ada + UID=42, O=Office");
        assert_eq!(ada, "cn=ada+uid=42,o=office");
        assert_eq!(canonical("uid=42+cn=ADA,o=office"), ada);
        assert_ne!(canonical("CN=Ada, UID=42, O=Office"), ada);
        assert_eq!(canonical("B=2+A=1+C=3"), "a=1+b=2+c=3");
    }

    #[test]
    fn the_usual_dn_is_plain() {
        let usual = "CN=Ada Lovelace, OU=Engineering,O=Small  Office , C=CH";
        assert!(plain_dn(usual.as_bytes()).is_some());
    }

    #[test]
    fn only_a_number_makes_an_oid() {
        assert_eq!(canonical("OID.1.2.3=x"), "1.2.3=x");
        assert_eq!(canonical("oid.=x"), "oid.=x");
        assert_eq!(canonical("oid.oid.1=x"), "oid.oid.1=x");
    }

    #[test]
    fn the_order_of_rdns_counts() {
        assert_ne!(canonical("CN=Ada,O=Office"), canonical("O=Office,CN=Ada"));
    }

    #[test]
    fn values_in_hexadecimal_are_no_text() {
        assert_eq!(
            canonical("1.3.6.1.4.1.1466.0=#04024869"),
            "1.3.6.1.4.1.1466.0=#04024869"
        );
        assert_eq!(canonical("CN=#0AFF , O=x"), "cn=#0aff,o=x");
        assert_eq!(canonical(r"CN=\#0AFF"), r"cn=\#0aff");
        assert_eq!(canonical("CN=C#"), "cn=c#");
    }

    #[test]
    fn utf8_may_be_written_in_hexadecimal() {
        assert_eq!(canonical(r"SN=Lu\C4\8Di\C4\87"), canonical("SN=LUČIĆ"));
    }

    #[test]
    fn application_locators_are_dns() {
        // The examples of RFC 2872 section 2.
        assert_eq!(
            canonical("APP=SAP, VER=1.1, SAPP=Print"),
            "app=sap,ver=1.1,sapp=print"
        );
        assert_eq!(
            canonical("GUID=http://www.microsoft.com/apps, APP=MyApplication, VER=1.2.3"),
            "guid=http://www.microsoft.com/apps,app=myapplication,ver=1.2.3"
        );
    }

    #[test]
    fn nothing_is_the_root() {
        assert_eq!(canonical(""), "");
        assert_eq!(canonical(" \0"), "");
        assert_eq!(canonical("CN="), "cn=");
    }

    #[test]
    fn faults_are_located() {
        assert_eq!(problem("ada"), (DnProblem::NoAttributeType, 3));
        assert_eq!(problem("CN=Ada,"), (DnProblem::NoAttributeType, 7));
        assert_eq!(problem("CN=Ada,,O=x"), (DnProblem::NoAttributeType, 7));
        assert_eq!(problem("=Ada"), (DnProblem::NoAttributeType, 0));
        assert_eq!(problem("CN=Ada+"), (DnProblem::NoAttributeType, 7));
        assert_eq!(problem("C_N=Ada"), (DnProblem::BadAttributeType('_'), 1));
        assert_eq!(problem("CÑ=Ada"), (DnProblem::BadAttributeType('Ñ'), 1));
        assert_eq!(problem(r"CN=Ada\"), (DnProblem::BadEscape, 7));
        assert_eq!(problem(r"CN=\zz"), (DnProblem::BadEscape, 4));
        assert_eq!(problem(r"CN=\4"), (DnProblem::BadEscape, 5));
        assert_eq!(problem(r"CN=\ff"), (DnProblem::NotUtf8, 6));
        assert_eq!(problem(r"CN=\C4x"), (DnProblem::NotUtf8, 6));
        assert_eq!(problem(r#"CN="Ada"#), (DnProblem::BadQuote, 7));
        assert_eq!(problem(r#"CN="Ada" L"#), (DnProblem::BadQuote, 9));
        assert_eq!(problem(r#"CN=A"da"#), (DnProblem::BadQuote, 5));
        assert_eq!(problem("CN=#123"), (DnProblem::BadHexString, 7));
        assert_eq!(problem("CN=#"), (DnProblem::BadHexString, 4));
        assert_eq!(problem("CN=#12xy"), (DnProblem::BadHexString, 6));
    }

    #[test]
    fn leading_rdns_end_with_the_first() {
        let name = Name::dn(r"APP=A\, B\\,VER=1,SAPP=x").unwrap();
        let leading: Vec<&[u8]> = name.leading_rdns().collect();
        let expected = [
            r"app=a\, b\\,ver=1,sapp=x",
            r"app=a\, b\\,ver=1",
            r"app=a\, b\\",
        ];
        assert_eq!(leading, expected.map(str::as_bytes));
    }

    /// A DN as RFC 4514 writes one: types, and values in which anything may be escaped.
    fn rdns() -> impl Strategy<Value = Vec<(String, String)>> {
        prop::collection::vec(("[a-zA-Z][a-zA-Z0-9-]{0,5}", "[^\\s\0]{0,8}"), 1..5)
    }

    fn write(rdns: &[(String, String)], separator: &str, space: &str, quote: bool) -> String {
        let rdns = rdns.iter().map(|(kind, value)| {
            let special = if quote { r#""\"# } else { r##",;+"\<>=#"## };
            let mut text = String::new();
            for c in value.chars() {
                if special.contains(c) {
                    text.push('\\');
                }
                text.push(c);
            }
            let quote = if quote { "\"" } else { "" };
            format!("{space}{kind}{space}={space}{quote}{text}{quote}{space}")
        });
        rdns.collect::<Vec<_>>().join(separator)
    }

    proptest! {
        #[test]
        fn the_short_way_leads_to_the_same(text in "[A-Ca-c0-2.=,; +-]{0,24}") {
            if let Some(name) = plain_dn(text.as_bytes()) {
                prop_assert_eq!(Name::any_dn(&text), Ok(name));
            }
        }

        #[test]
        fn the_short_way_leads_to_the_same_where_there_are_types(
            text in "( ?(CN|o|dc-x) ?= ?[A-C 0-2.-]{0,9} ?[,;]?){0,6}"
        ) {
            if let Some(name) = plain_dn(text.as_bytes()) {
                prop_assert_eq!(Name::any_dn(&text), Ok(name));
            }
        }

        #[test]
        fn any_text_gives_a_stable_name_or_an_error(text in ".*") {
            if let Ok(name) = Name::dn(&text) {
                prop_assert_eq!(Name::dn(&name.to_string()), Ok(name));
            }
        }

        #[test]
        fn dense_syntax_gives_a_stable_name_or_an_error(text in r#"[a-c2 =+,;\\"\#é]{0,24}"#) {
            if let Ok(name) = Name::dn(&text) {
                prop_assert_eq!(name.leading_rdns().count(), 1 + name.as_bytes().iter().enumerate()
                    .filter(|&(at, _)| is_separator(name.as_bytes(), at)).count());
                prop_assert_eq!(Name::dn(&name.to_string()), Ok(name));
            }
        }

        #[test]
        fn every_way_to_write_a_dn_is_the_same_name(rdns in rdns()) {
            let plain = Name::dn(&write(&rdns, ",", "", false)).unwrap();
            prop_assert_eq!(&Name::dn(&write(&rdns, ";", " \n ", false)).unwrap(), &plain);
            prop_assert_eq!(&Name::dn(&write(&rdns, ", ", "", true)).unwrap(), &plain);
            prop_assert_eq!(plain.leading_rdns().count(), rdns.len());
        }

        #[test]
        fn different_values_are_different_names(a in "[^\\s\0]{1,6}", b in "[^\\s\0]{1,6}") {
            let name = |v: &String| Name::dn(&write(&[("cn".into(), v.clone())], ",", "", false)).unwrap();
            let id = |v: &String| Name::id(v);
            prop_assert_eq!(name(&a) == name(&b), id(&a) == id(&b));
        }
    }
}
