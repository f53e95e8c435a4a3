//! INTEGRITY with its handshake.

use std::time::Duration;

use lpm_rsvp::integrity::{Algorithm, Key, challenge, respond, sign, verify, verify_response};
use lpm_rsvp::{Message, MessageType, ObjectIndex};

use crate::net::{self, Came, End, Net, V4, can_make_networks, tspec};

const USUAL: Duration = Duration::from_secs(30);
const KEYS: &str = "[[keys]]\nfile = 'r.key'\nalgorithm = 'hmac-sha256'\nid = 5\nrequired = true\n\
                    handshake = true\n";

fn key(secret: &str) -> Key {
    let key = Key::new(5, Algorithm::HmacSha256, secret).unwrap();
    key.answering_challenges()
}

/// A Path of Bob's with this rate and this sequence number.
fn signed(key: &Key, bits: f32, sequence: u64) -> Vec<u8> {
    sign(&V4.path("CN=Bob", USUAL, bits), key, sequence).unwrap()
}

fn send(sender: &End, path: &[u8]) {
    sender.send(V4.sender, V4.receiver, path.to_vec());
}

fn answer(challenge: &Came, key: &Key, sequence: u64) -> Vec<u8> {
    challenge.read(|message| respond(message, key, sequence).unwrap())
}

#[test]
fn a_neighbour_proves_that_it_is_there_before_it_is_believed() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    let (sender, receiver) = (net.sender(), net.receiver());
    let (right, wrong) = (key(net::SECRET), key("guessed"));
    let rate = |came: &Came| came.read(|message| message.sender_tspec().unwrap());

    let pcm = net.pcm(KEYS);
    let first = signed(&right, 1e6, 1_000);
    // Whoever does not know the key is not asked.
    send(&sender, &signed(&wrong, 9e6, 999));
    send(&sender, &first);
    let asked = sender.next(MessageType::IntegrityChallenge);
    assert_eq!(asked.source, V4.router[0]);
    let to_router = |bytes: Vec<u8>| sender.send(V4.sender, V4.router[0], bytes);
    // An answer that is not signed with the key, or that was given to another question, is none.
    to_router(answer(&asked, &wrong, 1_001));
    let other = challenge(5, 77);
    let mut index = ObjectIndex::new();
    let other = Message::parse(&other, &mut index).unwrap();
    to_router(respond(&other, &right, 1_001).unwrap());
    send(&sender, &signed(&right, 2e6, 1_002));
    to_router(answer(&asked, &right, 1_003));
    // What was sent before the answer is old by now.
    send(&sender, &first);
    let good = signed(&right, 3e6, 1_004);
    send(&sender, &good);
    assert_eq!(rate(&receiver.next(MessageType::Path)), tspec(3e6));
    assert_eq!(pcm.stop("TERM"), Some(143));
    receiver.next(MessageType::PathTear);

    // After a restart what was recorded is not believed, and the neighbour goes on where it is.
    let pcm = net.pcm(KEYS);
    send(&sender, &good);
    let asked_again = sender.next(MessageType::IntegrityChallenge);
    to_router(answer(&asked, &right, 1_005));
    send(&sender, &signed(&right, 4e6, 1_006));
    to_router(answer(&asked_again, &right, 1_007));
    send(&sender, &good);
    send(&sender, &signed(&right, 5e6, 1_008));
    assert_eq!(rate(&receiver.next(MessageType::Path)), tspec(5e6));
    assert_eq!(pcm.stop("TERM"), Some(143));
}

#[test]
fn challenges_are_answered_and_who_answers_none_is_believed() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    let pcm = net.pcm(KEYS);
    let (sender, receiver) = (net.sender(), net.receiver());
    let plain = Key::new(5, Algorithm::HmacSha256, net::SECRET).unwrap();
    send(&sender, &signed(&plain, 1e6, 7));
    receiver.next(MessageType::Path).read(|message| {
        let integrity = verify(message, &plain).expect("signed by the router");
        assert!(integrity.handshake());
    });
    let cookie = 0x0123_4567_89ab_cdef;
    sender.send(V4.sender, V4.router[0], challenge(6, cookie));
    sender.send(V4.sender, V4.router[0], challenge(5, cookie));
    sender.next(MessageType::IntegrityResponse).read(|message| {
        verify_response(message, &plain, cookie).expect("the answer");
    });
    assert_eq!(pcm.stop("TERM"), Some(143));
}
