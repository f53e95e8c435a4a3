//! Messages that are well-formed as RSVP, and odd in what they carry.
//!
//! A PCM hands on only what it could parse, so these are messages that can reach an LPM: malformed
//! policy elements, unusual addresses and styles, as many flows and as much policy data as fit, and
//! what a few changed bytes make of a message.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use lpm_host::lpm_rsvp::ResvStyle;
use lpm_host::lpm_rsvp::build::{Identity, PolicyData};
use lpm_host::testing::messages::MessageBuilder;
use lpm_host::testing::{TestMessage, messages};

use super::checked::{CheckEnded, CheckedLpm};

/// How many messages with changed bytes are tried.
const MUTATED: usize = 3_000;
/// How much time is between them: they came in over some days, since an LPM may decide by the hour.
const BETWEEN: Duration = Duration::from_secs(3 * 60);
/// How many bytes of a message a finding shows.
const SHOWN: usize = 256;

pub(super) fn run(checked: &CheckedLpm) -> Result<(), CheckEnded> {
    let pcm = checked.pcm()?;
    checked.start(&pcm)?;
    let odd = odd();
    let mutated = Mutated::of(&odd);
    let count = u32::try_from(odd.len() + MUTATED).unwrap_or_default();
    let mut time = SystemTime::now() - BETWEEN * count;
    for message in odd.iter().cloned().chain(mutated.take(MUTATED)) {
        checked.recorder.asks_about(Some(hexadecimal(&message)));
        checked.admit_at(&pcm, &message, time)?;
        time += BETWEEN;
    }
    for message in &odd {
        checked.recorder.asks_about(Some(hexadecimal(message)));
        checked.rsvp_objects(&pcm, message)?;
    }
    checked.recorder.asks_about(None);
    checked.demote(&pcm)
}

fn odd() -> Vec<TestMessage> {
    let legal = legal();
    let legal = legal.iter().filter_map(|message| message.try_build().ok());
    let carries = |element: &(u16, &[u8])| carrying(element.0, element.1);
    legal.chain(ELEMENTS.iter().filter_map(carries)).collect()
}

/// Policy elements by P-Type, each with data that it should not have: none, too little, attributes
/// that do not fit.
const ELEMENTS: [(u16, &[u8]); 14] = [
    (0, &[0; 8]),
    (1, &[]),
    (1, &[0, 1]),
    (1, &[255; 12]),
    (2, &[]),
    (2, &[0]),
    (2, &[0, 0, 1, 1]),
    (2, &[0, 8, 1, 1]),
    (2, &[0, 8, 1, 2, 0xD8, 0, 0, 0x41]),
    (2, &[0, 8, 1, 1, b'=', b',', 0x1b, 0]),
    (2, &[255, 255, 1, 1, b'C', b'N']),
    (3, &[0, 3, 2, 1]),
    (3, &[0, 4, 4, 0, 0, 4, 4, 0]),
    (0xFFFF, &[0xA5; 64]),
];

/// A Path with a policy element as it is, whatever that is; behind the others objects, where the
/// order does not matter.
fn carrying(p_type: u16, data: &[u8]) -> Option<TestMessage> {
    let path = messages::path().build();
    let mut bytes = path.view().bytes().to_vec();
    let element = 4 + data.len();
    let object = (8 + element).next_multiple_of(4);
    let end = bytes.len() + object;
    bytes.extend(u16::try_from(object).ok()?.to_be_bytes());
    bytes.extend([14, 1]); // POLICY_DATA
    bytes.extend([0, 8, 0, 0]); // no options
    bytes.extend(u16::try_from(element).ok()?.to_be_bytes());
    bytes.extend(p_type.to_be_bytes());
    bytes.extend(data);
    bytes.resize(end, 0);
    bytes[2..4].fill(0); // no checksum
    bytes[6..8].copy_from_slice(&u16::try_from(end).ok()?.to_be_bytes());
    TestMessage::parse(bytes).ok()
}

/// Messages that a sender may send, and seldom does.
fn legal() -> Vec<MessageBuilder> {
    let (path, resv) = (messages::path, messages::resv);
    vec![
        path().policy_data(PolicyData::new()),
        path().user("no distinguished name"),
        path().user("CN=\u{7f}\u{1b}[31m,OU=\\,="),
        path().user(&"CN=x,".repeat(2_000)),
        path().user("CN=Zoë Ångström,OU=営業"),
        path().element(Identity::user().credential("x").kerberos_ticket(&[0x30])),
        path().element(Identity::user().kerberos_ticket(&[0x30; 4_000])),
        path().application("APP=,VER=,,"),
        path().user("CN=a").user("CN=b").application("APP=c"),
        path().rate(0.0),
        path().rate(f32::MAX),
        path().flow("255.255.255.255", 0xFFFF),
        path()
            .session("2001:db8::1", 5004)
            .hop("fe80::1")
            .flow("2001:db8::2", 4000),
        resv().style(ResvStyle::WildcardFilter),
        many_flows(ResvStyle::FixedFilter, 800),
        many_flows(ResvStyle::SharedExplicit, 4_000),
        resv().user("CN=Alice").user("CN=Alice"),
        many_elements(500),
        messages::path_err().error(255, 0xFFFF),
        messages::resv_err().error(1, 2),
    ]
}

fn many_flows(style: ResvStyle, count: u16) -> MessageBuilder {
    let flows = 0..count;
    flows.fold(messages::resv().style(style), |resv, number| {
        resv.flow("198.51.100.7", number + 1)
    })
}

fn many_elements(count: usize) -> MessageBuilder {
    let elements = 0..count;
    let data = elements.fold(PolicyData::new(), |data, number| {
        data.element(Identity::user().locator(&format!("CN={number},O=Example")))
    });
    messages::resv().policy_data(data)
}

/// Messages of which some bytes were changed, as far as they can be parsed; always the same ones.
struct Mutated {
    seeds: Vec<Vec<u8>>,
    random: u64,
}

impl Mutated {
    fn of(messages: &[TestMessage]) -> Self {
        let bytes = messages.iter().map(|message| message.view().bytes());
        Self {
            // Of the huge ones most changes would hit the same kind of object.
            seeds: bytes
                .filter(|bytes| bytes.len() < 1_000)
                .map(<[u8]>::to_vec)
                .collect(),
            random: 0x9E37_79B9_7F4A_7C15,
        }
    }

    /// A number below the limit (xorshift).
    fn below(&mut self, limit: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random % limit as u64).unwrap_or_default()
    }
}

impl Iterator for Mutated {
    type Item = TestMessage;

    fn next(&mut self) -> Option<TestMessage> {
        const HEADER: usize = 8;
        loop {
            let seed = self.below(self.seeds.len());
            let mut bytes = self.seeds.get(seed)?.clone();
            for _ in 0..=self.below(4) {
                let place = HEADER + self.below(bytes.len() - HEADER);
                let byte = self.below(256);
                bytes[place] = u8::try_from(byte).unwrap_or_default();
            }
            // No checksum was sent.
            bytes[2..4].fill(0);
            if let Ok(message) = TestMessage::parse(bytes) {
                return Some(message);
            }
        }
    }
}

fn hexadecimal(message: &TestMessage) -> String {
    let bytes = message.view().bytes();
    let mut text = String::new();
    for byte in bytes.iter().take(SHOWN) {
        // Writing to a `String` does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    if bytes.len() > SHOWN {
        let _ = write!(text, "… ({} bytes)", bytes.len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_can_be_made() {
        for message in legal() {
            let made = message.try_build();
            assert!(made.is_ok(), "{:?}: {message:?}", made.err());
        }
        for (p_type, data) in ELEMENTS {
            assert!(carrying(p_type, data).is_some(), "{p_type} {data:?}");
        }
        let odd = odd();
        assert_eq!(odd.len(), legal().len() + ELEMENTS.len());
        assert!(
            Mutated::of(&odd)
                .take(100)
                .all(|message| message.view().bytes().len() < 1_000)
        );
    }
}
