//! Against a second independent reader, for what tshark does not show: `tcpdump -v` on the
//! framing of every object, on break bits and parameters of IntServ data, on message
//! identifiers, and on the digests of signed messages. Says so and compares nothing where
//! tcpdump is not installed.

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

/// What `tcpdump -v` says about each message of a capture: one list of facts a message. `None`
/// without tcpdump.
fn tcpdump(capture: &Path, secret: &str) -> Option<Vec<Vec<String>>> {
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
    let mut messages: Vec<Vec<String>> = Vec::new();
    for line in text.lines() {
        if !line.starts_with(char::is_whitespace) {
            messages.push(Vec::new());
        }
        assert!(!line.contains("[|rsvp]"), "cut off: {line}");
        if let (Some(facts), Some(fact)) = (messages.last_mut(), fact(line.trim())) {
            facts.push(fact);
        }
    }
    Some(messages)
}

/// The fact in a line of tcpdump.
fn fact(line: &str) -> Option<String> {
    let after = |mark: &str| {
        let (_, rest) = line.split_once(mark)?;
        rest.split([',', ' ', ']', ')']).next()
    };
    // The number in the last brackets before a mark.
    let number = |mark: &str| {
        let (before, _) = line.split_once(mark)?;
        before.rsplit_once('(').map(|(_, number)| number)
    };
    if line.starts_with("RSVPv1 ") {
        let (message_type, length) = (number("), Flags")?, after(", length: ")?);
        let (ttl, checksum) = (after("ttl: ")?, after("checksum: ")?);
        return Some(format!(
            "message {message_type}, {length} bytes, {ttl}, {checksum}"
        ));
    }
    if line.contains(" Object (") {
        let (class, c_type) = (number(") Flags: [")?, number("), length")?);
        return Some(format!(
            "object {class}/{c_type}, {} bytes",
            after("length: ")?
        ));
    }
    if line.starts_with("Service Type: ") {
        let broken = !line.contains("break bit not set");
        let (service, length) = (number("), break bit")?, after("Service length: ")?);
        return Some(format!(
            "service {service}, broken {broken}, {length} bytes"
        ));
    }
    if line.starts_with("Parameter ID: ") {
        let (parameter, length) = (number("), length")?, after("length: ")?);
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
    line.starts_with("MD5-sum ").then(|| {
        let valid = line.ends_with("(valid)");
        format!("digest valid {valid}")
    })
}

/// The same facts, as the views have them.
fn facts(message: &Message<'_>) -> Vec<String> {
    let header = message.header();
    let mut facts = vec![format!(
        "message {}, {} bytes, {}, {:#06x}",
        header.message_type.number(),
        header.length,
        header.send_ttl,
        header.checksum
    )];
    for object in message.objects() {
        let length = object.body.len() + 4;
        facts.push(format!(
            "object {}/{}, {length} bytes",
            object.class, object.c_type
        ));
        match object.class {
            class::FLOWSPEC => blocks(object.read::<FlowSpec<'_>>().unwrap().blocks(), &mut facts),
            class::ADSPEC => blocks(message.adspec().unwrap().blocks(), &mut facts),
            class::SENDER_TSPEC => {
                let flow_spec = RawObject {
                    class: class::FLOWSPEC,
                    ..object
                };
                blocks(
                    flow_spec.read::<FlowSpec<'_>>().unwrap().blocks(),
                    &mut facts,
                );
            }
            class::MESSAGE_ID_ACK => {
                let MessageId {
                    flags,
                    epoch,
                    identifier,
                } = object.read::<MessageIdAck>().unwrap().message;
                facts.push(format!("epoch {epoch}, {flags:#04x}"));
                facts.push(format!("message id {identifier:#010x}"));
            }
            class::MESSAGE_ID_LIST => {
                let list = object.read::<MessageIdList<'_>>().unwrap();
                facts.push(format!("epoch {}, 0x00", list.epoch()));
                let ids = list.entries().map(|entry| entry.identifier);
                facts.extend(ids.map(|id| format!("message id {id:#010x}")));
            }
            class::INTEGRITY => {
                let integrity = message.integrity().unwrap();
                let (key, sequence) = (integrity.key_id, integrity.sequence);
                facts.push(format!("key {key:#014x}, {sequence:#018x}"));
                facts.push("digest valid true".to_owned());
            }
            _ => {}
        }
    }
    facts
}

fn blocks(blocks: ServiceBlocks<'_>, facts: &mut Vec<String>) {
    for block in blocks.map(Result::unwrap) {
        let parameters: Vec<_> = block.parameters().map(Result::unwrap).collect();
        let length: usize = parameters.iter().map(|p| p.value.len() + 4).sum();
        let (number, broken) = (block.number, block.break_bit);
        facts.push(format!("service {number}, broken {broken}, {length} bytes"));
        for parameter in parameters {
            let flags = if parameter.invalid { "0x80" } else { "0x00" };
            let (number, length) = (parameter.number, parameter.value.len());
            facts.push(format!("parameter {number}, {length} bytes, {flags}"));
        }
    }
}

/// Compares all messages and returns how many facts that were; `None` without tcpdump.
fn compare(name: &str, messages: &[Vec<u8>], secret: &str) -> Option<usize> {
    let file = format!("lpm-rsvp-{name}-{}.pcap", std::process::id());
    let path = std::env::temp_dir().join(file);
    std::fs::write(&path, common::pcap(messages)).unwrap();
    let theirs = tcpdump(&path, secret);
    std::fs::remove_file(&path).unwrap();
    let theirs = theirs?;
    assert_eq!(messages.len(), theirs.len(), "{name}: messages");
    let mut compared = 0;
    for (bytes, theirs) in messages.iter().zip(theirs) {
        let mut index = ObjectIndex::new();
        let message = Message::parse(bytes, &mut index).unwrap();
        let ours = facts(&message);
        assert_eq!(ours, theirs, "{name}: {}", message.tree());
        compared += ours.len();
    }
    println!("{name}: {compared} facts compared, 0 differ");
    Some(compared)
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
        assert!(compared > 3_000, "{compared}");
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
        assert_eq!(compared, 12);
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
