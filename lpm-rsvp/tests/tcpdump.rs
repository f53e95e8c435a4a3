//! Against a second independent reader, for what tshark does not show: `tcpdump -v` on the
//! framing of every object, on break bits and parameters of IntServ data, on message
//! identifiers, and on the digests of signed messages; of captures, of built messages and of
//! signed ones. Says so and compares nothing where tcpdump is not installed.

mod common;

use std::path::Path;
use std::process::Command;

use lpm_rsvp::build::{Ack, Srefresh, Targets};
use lpm_rsvp::intserv::ServiceBlocks;
use lpm_rsvp::{
    FlowSpec, Message, MessageId, MessageIdAck, MessageIdList, ObjectIndex, RawObject, class,
};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

/// What is said about a message or an object in it: what it is, and what it holds.
struct Part<Content> {
    head: String,
    content: Content,
}

/// What `tcpdump -v` says about each message of a capture: the message, then its objects. `None`
/// without tcpdump.
fn tcpdump(capture: &Path, secret: &str) -> Option<Vec<Vec<Part<Vec<String>>>>> {
    let mut command = Command::new("tcpdump");
    command
        .args(["-n", "-v", "-M", secret, "-r"])
        .arg(capture)
        .arg("ip proto 46");
    let Ok(output) = command.output() else {
        eprintln!("not compared: tcpdump is not installed");
        return None;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut messages: Vec<Vec<Part<Vec<String>>>> = Vec::new();
    for line in text.lines() {
        if !line.starts_with(char::is_whitespace) {
            messages.push(Vec::new());
        }
        let (Some(parts), line) = (messages.last_mut(), line.trim()) else {
            continue;
        };
        if let Some(head) = head(line) {
            let content = Vec::new();
            parts.push(Part { head, content });
        } else if let (Some(part), Some(fact)) = (parts.last_mut(), fact(line)) {
            part.content.push(fact);
        }
    }
    Some(messages)
}

/// What comes behind a mark in a line.
fn after<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(mark)?;
    rest.split([',', ' ', ']', ')']).next()
}

/// The number in the last brackets before a mark.
fn number<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    let (before, _) = line.split_once(mark)?;
    before.rsplit_once('(').map(|(_, number)| number)
}

/// The message or object that a line of tcpdump begins.
fn head(line: &str) -> Option<String> {
    let length = after(line, "length: ");
    if line.starts_with("RSVPv1 ") {
        let (message_type, length) = (number(line, "), Flags")?, length?);
        let (ttl, checksum) = (after(line, "ttl: ")?, after(line, "checksum: ")?);
        return Some(format!(
            "message {message_type}, {length} bytes, {ttl}, {checksum}"
        ));
    }
    if line.contains(" Object (") {
        let (class, c_type) = (number(line, ") Flags: [")?, number(line, "), length")?);
        return Some(format!("object {class}/{c_type}, {} bytes", length?));
    }
    None
}

/// What else a line of tcpdump says.
fn fact(line: &str) -> Option<String> {
    let after = |mark| after(line, mark);
    if line.contains("[|rsvp]") {
        return Some("cut off".to_owned());
    }
    if line.starts_with("Service Type: ") {
        let broken = !line.contains("break bit not set");
        let (service, length) = (number(line, "), break bit")?, after("Service length: ")?);
        return Some(format!(
            "service {service}, broken {broken}, {length} bytes"
        ));
    }
    if line.starts_with("Parameter ID: ") {
        let (parameter, length) = (number(line, "), length")?, after("length: ")?);
        return Some(format!(
            "parameter {parameter}, {length} bytes, {}",
            after("Flags: [")?
        ));
    }
    if line.starts_with("Flags [0x") && line.contains("epoch: ") {
        return Some(format!(
            "epoch {}, {}",
            after("epoch: ")?,
            after("Flags [")?
        ));
    }
    if line.starts_with("Message-ID ") {
        return Some(format!("message id {}", after("Message-ID ")?));
    }
    if line.starts_with("Key-ID ") {
        return Some(format!(
            "key {}, {}",
            after("Key-ID ")?,
            after("Sequence ")?
        ));
    }
    (cfg!(feature = "integrity") && line.starts_with("MD5-sum ")).then(|| {
        let valid = line.ends_with("(valid)");
        format!("digest valid {valid}")
    })
}

/// The same, as the views have it. No content: it cannot be read.
fn parts(message: &Message<'_>, secret: &str) -> Vec<Part<Option<Vec<String>>>> {
    let header = message.header();
    let head = format!(
        "message {}, {} bytes, {}, {:#06x}",
        header.message_type.number(),
        header.length,
        header.send_ttl,
        header.checksum
    );
    let mut parts = vec![Part {
        head,
        content: Some(Vec::new()),
    }];
    parts.extend(message.objects().map(|object| Part {
        head: format!(
            "object {}/{}, {} bytes",
            object.class,
            object.c_type,
            object.body.len() + 4
        ),
        content: content(message, object, secret),
    }));
    parts
}

fn content(message: &Message<'_>, object: RawObject<'_>, secret: &str) -> Option<Vec<String>> {
    match object.class {
        class::FLOWSPEC => services(object.read::<FlowSpec<'_>>().unwrap().blocks()),
        class::ADSPEC => services(message.adspec().unwrap().blocks()),
        class::SENDER_TSPEC => {
            let flow_spec = RawObject {
                class: class::FLOWSPEC,
                ..object
            };
            services(flow_spec.read::<FlowSpec<'_>>().unwrap().blocks())
        }
        class::MESSAGE_ID_ACK => {
            let MessageId {
                flags,
                epoch,
                identifier,
            } = object.read::<MessageIdAck>().unwrap().message;
            Some(vec![
                format!("epoch {epoch}, {flags:#04x}"),
                format!("message id {identifier:#010x}"),
            ])
        }
        class::MESSAGE_ID_LIST => {
            let list = object.read::<MessageIdList<'_>>().unwrap();
            let mut facts = vec![format!("epoch {}, 0x00", list.epoch())];
            let ids = list.entries().map(|entry| entry.identifier);
            facts.extend(ids.map(|id| format!("message id {id:#010x}")));
            Some(facts)
        }
        class::INTEGRITY => {
            let integrity = message.integrity().unwrap();
            let (key, sequence) = (integrity.key_id, integrity.sequence);
            let mut facts = vec![format!("key {key:#014x}, {sequence:#018x}")];
            facts.extend(digest(message, key, secret));
            Some(facts)
        }
        _ => Some(Vec::new()),
    }
}

/// Whether the digest is that of HMAC-MD5, the one that tcpdump knows, with this secret.
#[cfg(feature = "integrity")]
fn digest(message: &Message<'_>, key: u64, secret: &str) -> Option<String> {
    use lpm_rsvp::integrity::{Algorithm, Key, verify};
    let key = Key::new(key, Algorithm::HmacMd5, secret).unwrap();
    let valid = verify(message, &key).is_ok();
    Some(format!("digest valid {valid}"))
}

#[cfg(not(feature = "integrity"))]
fn digest(_: &Message<'_>, _: u64, _: &str) -> Option<String> {
    None
}

fn services(blocks: ServiceBlocks<'_>) -> Option<Vec<String>> {
    let mut facts = Vec::new();
    for block in blocks {
        let block = block.ok()?;
        let parameters: Vec<_> = block.parameters().collect::<Result<_, _>>().ok()?;
        let length: usize = parameters.iter().map(|p| p.value.len() + 4).sum();
        let (number, broken) = (block.number, block.break_bit);
        facts.push(format!("service {number}, broken {broken}, {length} bytes"));
        for parameter in parameters {
            let flags = if parameter.invalid { "0x80" } else { "0x00" };
            let (number, length) = (parameter.number, parameter.value.len());
            facts.push(format!("parameter {number}, {length} bytes, {flags}"));
        }
    }
    Some(facts)
}

/// How much was compared.
struct Compared {
    facts: usize,
    /// Objects with content that cannot be read here: of these the frame was compared.
    frames_only: usize,
}

/// Compares all messages; `None` without tcpdump.
fn compare(name: &str, messages: &[Vec<u8>], secret: &str) -> Option<Compared> {
    let file = format!("lpm-rsvp-{name}-{}.pcap", std::process::id());
    let path = std::env::temp_dir().join(file);
    std::fs::write(&path, common::pcap(messages)).unwrap();
    let theirs = tcpdump(&path, secret);
    std::fs::remove_file(&path).unwrap();
    let theirs = theirs?;
    assert_eq!(messages.len(), theirs.len(), "{name}: messages");
    let mut compared = Compared {
        facts: 0,
        frames_only: 0,
    };
    for (bytes, theirs) in messages.iter().zip(theirs) {
        let mut index = ObjectIndex::new();
        let message = Message::parse(bytes, &mut index).unwrap();
        let ours = parts(&message, secret);
        assert_eq!(ours.len(), theirs.len(), "{name}: {}", message.tree());
        for (ours, theirs) in ours.iter().zip(theirs) {
            assert_eq!(ours.head, theirs.head, "{name}: {}", message.tree());
            compared.facts += 1;
            match &ours.content {
                Some(content) => {
                    assert_eq!(*content, theirs.content, "{name}: {}", message.tree());
                    compared.facts += content.len();
                }
                None => compared.frames_only += 1,
            }
        }
    }
    let Compared { facts, frames_only } = compared;
    println!("{name}: {facts} facts compared, 0 differ; {frames_only} objects by frame only");
    Some(compared)
}

/// Captured messages, with each secret that some of them are signed with.
#[test]
fn captures() {
    const SECRETS: [&str; 3] = ["11223344", "password12345", "JtR_kicks_ass"];
    let mut facts = 0;
    for name in common::WELL_FORMED {
        let Some(mut messages) = common::messages(name) else {
            continue;
        };
        let captured = messages.len();
        messages.retain(|bytes| Message::parse(bytes, &mut ObjectIndex::new()).is_ok());
        println!("{name}: {} of {captured} messages parse", messages.len());
        let compared = SECRETS.map(|secret| {
            let name = format!("{}-{secret}", name.replace('/', "-"));
            compare(&name, &messages, secret)
        });
        let [Some(compared), ..] = compared else {
            return;
        };
        // With another secret no more than the verdicts on digests are other facts.
        facts += compared.facts;
    }
    println!("captures: {facts} facts compared with each of three secrets, 0 differ");
    assert!(facts > 40, "the repository alone has more");
}

/// Messages of all seven types, IPv4, IPv6 and IPsec.
fn built() -> Vec<Vec<u8>> {
    let mut runner = TestRunner::deterministic();
    let message = |_| {
        common::strategy::message()
            .new_tree(&mut runner)
            .unwrap()
            .current()
    };
    (0..300).map(message).collect()
}

#[test]
fn built_messages() {
    if let Some(compared) = compare("built", &built(), "") {
        assert!(compared.facts > 3_000, "{}", compared.facts);
        assert_eq!(compared.frames_only, 0);
    }
}

#[test]
fn refresh_reduction() {
    let ack = |identifier| {
        let message = MessageId {
            flags: 0,
            epoch: 0x00ab_cdef,
            identifier,
        };
        let negative = identifier > 5;
        MessageIdAck { negative, message }
    };
    let messages = [
        Ack::new(ack(1)).acknowledge(ack(9)).build().unwrap(),
        Srefresh::new(7, Targets::List(vec![1, u32::MAX]))
            .build()
            .unwrap(),
    ];
    if let Some(compared) = compare("refresh", &messages, "") {
        assert_eq!(compared.facts, 12);
    }
}

/// What is signed here verifies there.
#[cfg(feature = "integrity")]
#[test]
fn signed_messages() {
    use lpm_rsvp::integrity::{Algorithm, Key, sign};
    let key = Key::new(0x0102_0304_0506, Algorithm::HmacMd5, "JtR_kicks_ass").unwrap();
    let messages: Vec<_> = built()
        .iter()
        .zip(1_u64..)
        .map(|(message, sequence)| sign(message, &key, sequence << 32).unwrap())
        .collect();
    compare("signed", &messages, "JtR_kicks_ass");
}
