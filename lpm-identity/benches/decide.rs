//! What a decision costs with 10 000 users in 1 000 groups: `cargo bench -p lpm-identity`.
//!
//! The allocations of each decision are shown too; a known flow of somebody who is listed takes
//! none.

#[path = "../tests/support/mod.rs"]
mod support;

use std::fmt::Write as _;

use divan::{AllocProfiler, Bencher, black_box};
use lpm_api::lpm_rsvp::{Message, ObjectIndex};
use lpm_api::{Decision, DeleteReason};
use lpm_identity::IdentityLpm;
use lpm_identity::policy::Policy;
use support::{anywhere, auth_app, auth_user, decided_at_once, path, path_tear, policy_data};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const USERS: usize = 10_000;
const GROUPS: usize = 1_000;

fn main() {
    divan::main();
}

/// Who sends the Path: the AUTH element of one sender.
#[derive(Clone, Copy, Debug)]
enum Who {
    UserByDn,
    UserById,
    Application,
    Unlisted,
    Nobody,
}

const EVERYBODY: [Who; 5] = [
    Who::UserByDn,
    Who::UserById,
    Who::Application,
    Who::Unlisted,
    Who::Nobody,
];

/// A refresh of a flow that is counted already, every time of another one.
#[divan::bench(args = EVERYBODY, sample_size = 100)]
fn refresh(bencher: Bencher<'_, '_>, who: Who) {
    let lpm = lpm();
    let messages = messages(who);
    let mut parsed = indexes(&messages);
    let parsed: Vec<_> = parsed
        .iter_mut()
        .map(|(bytes, index)| parse(bytes, index))
        .collect();
    parsed.iter().for_each(|message| decide(&lpm, message));
    let mut turn = parsed.iter().cycle();
    bencher
        .with_inputs(|| turn.next().expect("an endless iterator"))
        .bench_local_values(|message| decide(black_box(&lpm), black_box(message)));
}

/// A new flow and its end, among those that are counted.
#[divan::bench(args = EVERYBODY, sample_size = 100)]
fn come_and_go(bencher: Bencher<'_, '_>, who: Who) {
    let lpm = lpm();
    let others = messages(who);
    let mut parsed = indexes(&others);
    parsed
        .iter_mut()
        .map(|(bytes, index)| parse(bytes, index))
        .for_each(|m| decide(&lpm, &m));
    let (path, tear) = (
        path(255, 255, 1000.0, &[identity(who, 7)]),
        path_tear(255, 255),
    );
    let (mut index, mut tear_index) = (ObjectIndex::new(), ObjectIndex::new());
    let (path, tear) = (parse(&path, &mut index), parse(&tear, &mut tear_index));
    bencher.bench_local(|| {
        decide(black_box(&lpm), black_box(&path));
        for flow in tear.flow_descriptors() {
            lpm.release(DeleteReason::ReceivedPathTear, &tear, &flow);
        }
    });
}

/// Reading the policy file.
#[divan::bench]
fn read_policy(bencher: Bencher<'_, '_>) {
    let text = policy();
    bencher.bench_local(|| Policy::parse("bench", black_box(&text)).expect("a legal policy"));
}

/// What the policy and the accounts of all users take: the bytes that are given back, for 10 000 of
/// them. All were seen, nobody has a flow.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn forget_everybody(bencher: Bencher<'_, '_>) {
    bencher
        .with_inputs(|| {
            let lpm = lpm();
            for message in messages(Who::UserByDn) {
                let mut index = ObjectIndex::new();
                let message = parse(&message, &mut index);
                decide(&lpm, &message);
                for flow in message.flow_descriptors() {
                    lpm.release(DeleteReason::StateTimeout, &message, &flow);
                }
            }
            lpm
        })
        .bench_local_values(drop);
}

fn decide(lpm: &IdentityLpm, message: &Message<'_>) {
    let consideration = lpm.consider(*message, anywhere());
    for flow in message.flow_descriptors() {
        let decision = decided_at_once(consideration.decide(&flow));
        assert!(matches!(decision, Decision::Accept(_)), "{decision:?}");
    }
}

/// Paths of many sessions and senders, a flow each.
fn messages(who: Who) -> Vec<Vec<u8>> {
    (0..USERS)
        .map(|user| {
            let (session, sender) = (byte(user / 250), byte(user % 250));
            path(1 + session, 1 + sender, 1000.0, &[identity(who, user)])
        })
        .collect()
}

fn identity(who: Who, user: usize) -> Vec<u8> {
    let element = match who {
        Who::UserByDn => auth_user(&dn(user), ""),
        Who::UserById => auth_user("", &format!("user{user}")),
        Who::Application => auth_app("APP=Office Phone, VER=2.1, SAPP=Call", "phone.exe"),
        Who::Unlisted => auth_user(&format!("CN=Guest {user}, O=Elsewhere, C=CH"), ""),
        Who::Nobody => return policy_data(&[]),
    };
    policy_data(&[element])
}

fn dn(user: usize) -> String {
    let group = user % GROUPS;
    format!("CN=Firstname Lastname {user}, OU=Department {group}, O=Large Office, C=CH")
}

fn lpm() -> IdentityLpm {
    IdentityLpm::new(Policy::parse("bench", &policy()).expect("a legal policy"))
}

fn policy() -> String {
    let mut text = String::from("[default]\npriority = 1\nmax_flow_rate = '2 Mbit/s'\n");
    text.push_str("[unauthenticated]\npriority = 1\n");
    text.push_str("[[application]]\ndn = 'APP=Office Phone'\npriority = 9\n");
    for group in 0..GROUPS {
        write!(
            text,
            "[[group]]\nname = 'g{group}'\npriority = 2\nmax_flows = 100\n"
        )
        .expect("a String takes everything");
    }
    for user in 0..USERS {
        let (dn, group) = (dn(user), user % GROUPS);
        write!(
            text,
            "[[user]]\ndn = '{dn}'\nid = 'user{user}'\ngroup = 'g{group}'\n"
        )
        .expect("a String takes everything");
    }
    text
}

fn indexes(messages: &[Vec<u8>]) -> Vec<(&[u8], ObjectIndex)> {
    messages
        .iter()
        .map(|bytes| (bytes.as_slice(), ObjectIndex::new()))
        .collect()
}

fn parse<'a>(bytes: &'a [u8], index: &'a mut ObjectIndex) -> Message<'a> {
    Message::parse(bytes, index).expect("a legal message")
}

fn byte(number: usize) -> u8 {
    u8::try_from(number).expect("a byte")
}
