//! The cost of parsing and walking grows no faster than the message, for hostile ones too.
//! Measured in instructions, by running this program under `valgrind --tool=callgrind`; says so
//! and measures nothing where valgrind is not installed.

mod common;

use common::instructions;
use common::walk::walk;
use lpm_rsvp::{Message, ObjectIndex, Strictness, class};

/// Set in the runs that are measured: which message, of how many bytes.
const RUN: &str = "LPM_RSVP_COST_OF";

/// Makes a message of about so many bytes.
type Make = fn(usize) -> Vec<u8>;

/// Messages of any length, each repeating what might cost most.
const HOSTILE: [(&str, Make); 11] = [
    ("NULL objects", |size| {
        message(20, &object(class::NULL, 1, &[]).repeat(size / 4))
    }),
    ("FF filters with one FLOWSPEC", |size| {
        resv(0x0a, &usual_flow_spec(), size)
    }),
    ("SE filters", |size| resv(0x12, &usual_flow_spec(), size)),
    (
        "FF filters with a FLOWSPEC of nothing but parameters",
        |size| {
            let parameters = [200, 0, 0, 0].repeat(size / 8);
            resv(
                0x0a,
                &object(class::FLOWSPEC, 2, &intserv(5, &parameters)),
                size / 2,
            )
        },
    ),
    (
        "FF filters with a FLOWSPEC of nothing but services",
        |size| {
            let services = [77, 0, 0, 0].repeat(size / 8);
            resv(
                0x0a,
                &object(class::FLOWSPEC, 2, &intserv(77, &services)),
                size / 2,
            )
        },
    ),
    ("POLICY_DATA objects", |size| {
        let data = object(class::POLICY_DATA, 1, &[0, 8, 0, 0, 0, 4, 0, 9]);
        message(20, &data.repeat(size / 12))
    }),
    ("policy elements", |size| {
        policy(8, &[0, 4, 0, 9].repeat(size / 4))
    }),
    ("policy options", |size| {
        let options = object(class::NULL, 1, &[]).repeat(size / 4);
        policy(u16::try_from(options.len() + 8).unwrap(), &options)
    }),
    ("attributes", |size| {
        let attributes = [0, 4, 1, 1].repeat(size / 4);
        let length = u16::try_from(attributes.len() + 4).unwrap().to_be_bytes();
        policy(8, &[&length[..], &[0, 2], &attributes].concat())
    }),
    ("ADSPEC services", |size| {
        let services = [77, 0, 0, 0].repeat(size / 4);
        message(20, &object(class::ADSPEC, 2, &intserv(1, &services)))
    }),
    ("SCOPE addresses", |size| {
        message(
            20,
            &object(class::SCOPE, 1, &[10, 0, 0, 1].repeat(size / 4)),
        )
    }),
];

#[test]
fn cost_is_linear() {
    if let Ok(run) = std::env::var(RUN) {
        return measured(&run);
    }
    if !instructions::can_be_counted() {
        return;
    }
    std::thread::scope(|scope| {
        for (kind, (name, _)) in HOSTILE.iter().enumerate() {
            scope.spawn(move || {
                let [small, middle, large] = [1, 2, 4].map(|size| {
                    let run = format!("{kind},{}", size * 15_000);
                    instructions::count("cost_is_linear", RUN, &run)
                });
                let (half, whole) = (middle - small, large - middle);
                println!("{name}: {half} instructions for 15 000 bytes, {whole} for 30 000 more");
                // Twice the bytes, twice the cost; a square would be four times.
                assert!(whole < half * 5 / 2, "{name}: {small}, {middle}, {large}");
            });
        }
    });
}

/// What the measured process does.
fn measured(run: &str) {
    let (kind, size) = run.split_once(',').unwrap();
    let (_, make) = HOSTILE[kind.parse::<usize>().unwrap()];
    let bytes = make(size.parse().unwrap());
    for strictness in [Strictness::Lenient, Strictness::Strict] {
        let mut index = ObjectIndex::new();
        if let Ok(message) = Message::parse_with(&bytes, &mut index, strictness) {
            assert!(walk(&message) > 0);
        } else {
            assert_eq!(strictness, Strictness::Strict, "not walked");
        }
    }
}

fn message(message_type: u8, objects: &[u8]) -> Vec<u8> {
    let length = u16::try_from(objects.len() + 8).unwrap().to_be_bytes();
    [&[0x10, message_type, 0, 0, 64, 0], &length[..], objects].concat()
}

fn object(class: u8, c_type: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&length[..], &[class, c_type], body].concat()
}

/// IntServ content: one service with these parameters.
fn intserv(service: u8, parameters: &[u8]) -> Vec<u8> {
    let [words, all] = [0, 1].map(|more| u16::try_from(parameters.len() / 4 + more).unwrap());
    let header = [
        &[0, 0][..],
        &all.to_be_bytes(),
        &[service, 0],
        &words.to_be_bytes(),
    ]
    .concat();
    [&header[..], parameters].concat()
}

fn usual_flow_spec() -> Vec<u8> {
    let bucket = [&[127, 0, 0, 5][..], &[0; 20]].concat();
    object(class::FLOWSPEC, 2, &intserv(5, &bucket))
}

/// A Resv with `size` bytes of filters behind this FLOWSPEC.
fn resv(style: u8, flow_spec: &[u8], size: usize) -> Vec<u8> {
    let objects = [
        object(class::SESSION, 1, &[10, 0, 0, 1, 17, 0, 0, 1]),
        object(class::RSVP_HOP, 1, &[10, 0, 0, 2, 0, 0, 0, 0]),
        object(class::TIME_VALUES, 1, &[0, 0, 0, 1]),
        object(class::STYLE, 1, &[0, 0, 0, style]),
        flow_spec.to_vec(),
        object(class::FILTER_SPEC, 1, &[10, 0, 0, 3, 0, 0, 0, 1]).repeat(size / 12),
    ];
    message(2, &objects.concat())
}

/// One POLICY_DATA with this content behind its Data Offset.
fn policy(data_offset: u16, content: &[u8]) -> Vec<u8> {
    let body = [&data_offset.to_be_bytes()[..], &[0, 0], content].concat();
    message(20, &object(class::POLICY_DATA, 1, &body))
}
