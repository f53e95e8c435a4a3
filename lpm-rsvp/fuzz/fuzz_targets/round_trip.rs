//! What can be read into a builder builds a legal message, and building that again changes
//! nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lpm_rsvp::build::{
    Ack, AdSpecNode, BuildError, DsbmWilling, GuaranteedTerms, IAmDsbm, Overrides, Path, PathErr,
    PathTear, Resv, ResvConf, ResvErr, ResvTear, Srefresh,
};
use lpm_rsvp::intserv::HopParameters;
use lpm_rsvp::{Message, MessageType, ObjectIndex, ParseError, Strictness};
use lpm_rsvp_fuzz::repair_header;

/// Reads a message into its builder and builds it.
fn rebuild(message: &Message<'_>) -> Option<Result<Vec<u8>, BuildError>> {
    fn built<T>(
        builder: Result<T, ParseError>,
        build: impl Fn(&T) -> Result<Vec<u8>, BuildError>,
    ) -> Option<Result<Vec<u8>, BuildError>> {
        builder.ok().map(|builder| build(&builder))
    }
    match message.message_type() {
        MessageType::Path => built(Path::from_message(message), Path::build),
        MessageType::Resv => built(Resv::from_message(message), Resv::build),
        MessageType::PathErr => built(PathErr::from_message(message), PathErr::build),
        MessageType::ResvErr => built(ResvErr::from_message(message), ResvErr::build),
        MessageType::PathTear => built(PathTear::from_message(message), PathTear::build),
        MessageType::ResvTear => built(ResvTear::from_message(message), ResvTear::build),
        MessageType::ResvConf => built(ResvConf::from_message(message), ResvConf::build),
        MessageType::Ack => built(Ack::from_message(message), Ack::build),
        MessageType::Srefresh => built(Srefresh::from_message(message), Srefresh::build),
        MessageType::DsbmWilling => built(DsbmWilling::from_message(message), DsbmWilling::build),
        MessageType::IAmDsbm => built(IAmDsbm::from_message(message), IAmDsbm::build),
        _ => None,
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    repair_header(&mut bytes);
    let mut index = ObjectIndex::new();
    let Ok(message) = Message::parse(&bytes, &mut index) else { return };
    update_adspec(&message);
    let Some(Ok(built)) = rebuild(&message) else { return };
    let mut index = ObjectIndex::new();
    let message = Message::parse_with(&built, &mut index, Strictness::Strict).expect("legal");
    assert_eq!(rebuild(&message).expect("readable").expect("legal"), built);
});

/// What a node passes on can be passed on by the next.
fn update_adspec(message: &Message<'_>) {
    let hop = HopParameters { bandwidth: 1e6, latency: 10, mtu: 1400 };
    let own = Overrides { bandwidth: Some(5e5), latency: None, mtu: Some(1000) };
    let terms = GuaranteedTerms { c: 1, d: 2, reshapes: false };
    let node = AdSpecNode::new(hop).controlled_load(own).guaranteed(terms, own);
    let Ok(passed) = node.update(message) else { return };
    let mut index = ObjectIndex::new();
    let passed = Message::parse(&passed, &mut index).expect("what was accepted before");
    let again = node.update(&passed);
    assert!(again.is_ok() || passed.bytes().len() > 60_000, "{again:?}");
}
