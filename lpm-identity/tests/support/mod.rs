//! RSVP messages for the tests and the bench, byte by byte: the tests say what is on the wire
//! without asking the code that reads it.

#![allow(dead_code, unreachable_pub, missing_docs)]

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime};

use lpm_api::{Decision, Interface};
use lpm_identity::consider::{Facts, Verdict};

/// On no subnet, in 1970, without INTEGRITY.
pub fn anywhere() -> Facts {
    Facts {
        interface: Interface {
            index: 1,
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        },
        received: SystemTime::UNIX_EPOCH,
        integrity_verified: false,
    }
}

/// Numbers of RFC 2205 appendix A.
const SESSION: u8 = 1;
const HOP: u8 = 3;
const TIME_VALUES: u8 = 5;
const STYLE: u8 = 8;
const FLOWSPEC: u8 = 9;
const FILTER_SPEC: u8 = 10;
const SENDER_TEMPLATE: u8 = 11;
const SENDER_TSPEC: u8 = 12;
const POLICY_DATA: u8 = 14;

pub const PATH: u8 = 1;
pub const RESV: u8 = 2;
pub const PATH_ERR: u8 = 3;
pub const PATH_TEAR: u8 = 5;
pub const RESV_TEAR: u8 = 6;

pub const WF: u8 = 0x11;
pub const FF: u8 = 0x0a;
pub const SE: u8 = 0x12;

/// The decision, where there is no directory to ask.
pub fn decided_at_once(verdict: Verdict) -> Decision {
    match verdict {
        Verdict::Decided(decision) => decision,
        Verdict::Later(question) => panic!("nobody to ask: {question:?}"),
    }
}

/// On the interface with this address, so many seconds into 1970.
pub fn on(address: &str, seconds: u64) -> Facts {
    let mut facts = anywhere();
    facts.interface.address = address.parse().expect("an address");
    facts.received += Duration::from_secs(seconds);
    facts
}

/// A Path of `sender` (the last byte of its address, and its port) to session `10.0.0.session`.
pub fn path(session: u8, sender: u8, rate: f32, policy: &[Vec<u8>]) -> Vec<u8> {
    path_with_peak(session, sender, rate, f32::INFINITY, policy)
}

pub fn path_with_peak(
    session: u8,
    sender: u8,
    rate: f32,
    peak: f32,
    policy: &[Vec<u8>],
) -> Vec<u8> {
    let mut objects = head(session, 1);
    objects.extend(object(TIME_VALUES, 1, &30_000_u32.to_be_bytes()));
    objects.extend(policy.concat());
    objects.extend(object(SENDER_TEMPLATE, 1, &filter(sender)));
    objects.extend(object(
        SENDER_TSPEC,
        2,
        &int_serv(1, &token_bucket(rate, peak)),
    ));
    message(PATH, &objects)
}

pub fn path_tear(session: u8, sender: u8) -> Vec<u8> {
    let mut objects = head(session, 1);
    objects.extend(object(SENDER_TEMPLATE, 1, &filter(sender)));
    message(PATH_TEAR, &objects)
}

/// A Resv of next hop `10.2.0.hop`; each flow is a FLOWSPEC object and the senders behind it.
pub fn resv(
    session: u8,
    hop: u8,
    style: u8,
    flows: &[(Vec<u8>, &[u8])],
    policy: &[Vec<u8>],
) -> Vec<u8> {
    let mut objects = head(session, hop);
    objects.extend(object(TIME_VALUES, 1, &30_000_u32.to_be_bytes()));
    objects.extend(policy.concat());
    objects.extend(flow_list(style, flows));
    message(RESV, &objects)
}

pub fn resv_tear(session: u8, hop: u8, style: u8, flows: &[(Vec<u8>, &[u8])]) -> Vec<u8> {
    let mut objects = head(session, hop);
    objects.extend(flow_list(style, flows));
    message(RESV_TEAR, &objects)
}

pub fn path_err(session: u8, sender: u8) -> Vec<u8> {
    let mut objects = head(session, 1);
    objects.truncate(12);
    objects.extend(object(6, 1, &[10, 1, 0, 1, 0, 2, 0, 50]));
    objects.extend(object(SENDER_TEMPLATE, 1, &filter(sender)));
    objects.extend(object(
        SENDER_TSPEC,
        2,
        &int_serv(1, &token_bucket(1.0, f32::INFINITY)),
    ));
    message(PATH_ERR, &objects)
}

/// A FLOWSPEC for controlled load (RFC 2211).
pub fn controlled_load(rate: f32) -> Vec<u8> {
    object(
        FLOWSPEC,
        2,
        &int_serv(5, &token_bucket(rate, f32::INFINITY)),
    )
}

/// A FLOWSPEC for guaranteed service (RFC 2212): token rate r, reserved rate R.
pub fn guaranteed(rate: f32, reserved: f32) -> Vec<u8> {
    let mut parameters = token_bucket(rate, f32::INFINITY);
    parameters.extend([130, 0, 0, 2]);
    parameters.extend(reserved.to_be_bytes());
    parameters.extend(0_u32.to_be_bytes());
    object(FLOWSPEC, 2, &int_serv(2, &parameters))
}

/// A FLOWSPEC for the null service (RFC 2997).
pub fn null_service() -> Vec<u8> {
    object(FLOWSPEC, 2, &int_serv(6, &[128, 0, 0, 1, 0, 0, 5, 220]))
}

/// A POLICY_DATA object about all flows.
pub fn policy_data(elements: &[Vec<u8>]) -> Vec<u8> {
    policy_data_for(&[], elements)
}

/// A POLICY_DATA object about these senders (RFC 2750 section 3.2).
pub fn policy_data_for(senders: &[u8], elements: &[Vec<u8>]) -> Vec<u8> {
    let options: Vec<u8> = senders
        .iter()
        .flat_map(|sender| object(FILTER_SPEC, 1, &filter(*sender)))
        .collect();
    let mut body = length(8 + options.len()).to_vec();
    body.extend([0, 0]);
    body.extend(options);
    body.extend(elements.concat());
    object(POLICY_DATA, 1, &body)
}

/// An AUTH_USER element with a DN and an ID in ASCII; an empty one is left out.
pub fn auth_user(dn: &str, id: &str) -> Vec<u8> {
    element(2, &simple(dn, id))
}

/// An AUTH_APP element with a DN and an ID in ASCII; an empty one is left out.
pub fn auth_app(dn: &str, id: &str) -> Vec<u8> {
    element(3, &simple(dn, id))
}

/// A PREEMPTION_PRI element (RFC 3181) with the highest defending priority.
pub fn preemption(priority: u16) -> Vec<u8> {
    let mut body = vec![0, 1, 0, 0];
    body.extend(priority.to_be_bytes());
    body.extend([0xff, 0xff]);
    element(1, &[body])
}

/// A policy element from its P-Type and attributes.
pub fn element(p_type: u8, attributes: &[Vec<u8>]) -> Vec<u8> {
    let body = attributes.concat();
    let mut element = length(4 + body.len()).to_vec();
    element.extend([0, p_type]);
    element.extend(body);
    element
}

/// An attribute (RFC 3182 section 3.3), padded.
pub fn attribute(a_type: u8, sub_type: u8, value: &[u8]) -> Vec<u8> {
    let mut attribute = length(4 + value.len()).to_vec();
    attribute.extend([a_type, sub_type]);
    attribute.extend(value);
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    attribute
}

fn simple(dn: &str, id: &str) -> Vec<Vec<u8>> {
    let mut attributes = Vec::new();
    if !dn.is_empty() {
        attributes.push(attribute(1, 1, dn.as_bytes()));
    }
    if !id.is_empty() {
        attributes.push(attribute(2, 1, id.as_bytes()));
    }
    attributes
}

/// SESSION and RSVP_HOP.
fn head(session: u8, hop: u8) -> Vec<u8> {
    let mut objects = object(SESSION, 1, &[10, 0, 0, session, 17, 0, 0x13, 0x8c]);
    objects.extend(object(HOP, 1, &[10, 2, 0, hop, 0, 0, 0, 0]));
    objects
}

fn flow_list(style: u8, flows: &[(Vec<u8>, &[u8])]) -> Vec<u8> {
    let mut list = object(STYLE, 1, &[0, 0, 0, style]);
    for (flow_spec, senders) in flows {
        list.extend(flow_spec);
        for sender in *senders {
            list.extend(object(FILTER_SPEC, 1, &filter(*sender)));
        }
    }
    list
}

fn filter(sender: u8) -> [u8; 8] {
    [10, 1, 0, sender, 0, 0, 0x0f, sender]
}

fn token_bucket(rate: f32, peak: f32) -> Vec<u8> {
    let mut parameter = vec![127, 0, 0, 5];
    for number in [rate, 1500.0, peak] {
        parameter.extend(number.to_be_bytes());
    }
    parameter.extend(64_u32.to_be_bytes());
    parameter.extend(1500_u32.to_be_bytes());
    parameter
}

fn int_serv(service: u8, parameters: &[u8]) -> Vec<u8> {
    let words = parameters.len() / 4;
    let mut body = vec![0, 0];
    body.extend(length(words + 1));
    body.extend([service, 0]);
    body.extend(length(words));
    body.extend(parameters);
    body
}

fn object(class: u8, c_type: u8, body: &[u8]) -> Vec<u8> {
    let mut object = length(4 + body.len()).to_vec();
    object.extend([class, c_type]);
    object.extend(body);
    object.resize(object.len().next_multiple_of(4), 0);
    let padded = length(object.len());
    object[..2].copy_from_slice(&padded);
    object
}

/// A message without a checksum, which RFC 2205 section 3.1.1 allows.
fn message(kind: u8, objects: &[u8]) -> Vec<u8> {
    let mut message = vec![0x10, kind, 0, 0, 64, 0];
    message.extend(length(8 + objects.len()));
    message.extend(objects);
    message
}

fn length(length: usize) -> [u8; 2] {
    u16::try_from(length)
        .expect("a message of at most 64 KiB")
        .to_be_bytes()
}
