//! Link layers, tunnels and containers: the same message is found in each of them, and what cannot
//! be looked into is counted and named.

mod support;

use std::io::{Cursor, Write};

use etherparse::EtherType;
use lpm_pcm::capture::{Capture, CaptureErrorKind, CaptureItem, CapturedMessage, Contents};

use support::{
    Pcap, PcapNg, RSVP, UDP, ethernet, ipv4, ipv4_fragment, ipv6, ipv6_fragment, ipv6_options, udp,
    vlan,
};

const PAYLOAD: &[u8] = b"\x10\x01\x00\x00\x40\x00\x00\x10an object";

const ETHERNET: u16 = 1;
const RAW: u16 = 101;

/// What is in a file without faults.
fn read(file: Vec<u8>) -> (Vec<CapturedMessage>, Contents) {
    let mut capture = Capture::from_reader("test", Cursor::new(file)).unwrap();
    let mut messages = Vec::new();
    for item in capture.by_ref() {
        match item.unwrap() {
            CaptureItem::Message(message) => messages.push(message),
            other => panic!("{other:?}"),
        }
    }
    let contents = capture.contents();
    (messages, contents)
}

/// The message in the one frame of a capture.
#[track_caller]
fn found(link: u16, frame: &[u8]) -> CapturedMessage {
    let (messages, contents) = read(Pcap::new(link).file(&[frame]));
    assert_eq!(messages.len(), 1, "link type {link}: {contents:?}");
    assert_eq!(messages[0].bytes, PAYLOAD, "link type {link}");
    assert_eq!(messages[0].missing, 0);
    messages.into_iter().next().unwrap()
}

/// What the frame of a capture holds that is not looked into.
#[track_caller]
fn unread(link: u16, frame: &[u8]) -> String {
    let (messages, contents) = read(Pcap::new(link).file(&[frame]));
    assert_eq!(messages, []);
    assert_eq!(contents.packets, 1);
    let [(what, 1)] = &contents.unread[..] else {
        panic!("{contents:?}")
    };
    what.clone()
}

fn rsvp() -> Vec<u8> {
    ipv4(RSVP, PAYLOAD)
}

fn ether(number: u16, payload: &[u8]) -> Vec<u8> {
    ethernet(EtherType(number), payload)
}

fn behind(header: &[u8], payload: &[u8]) -> Vec<u8> {
    [header, payload].concat()
}

fn length(payload: &[u8]) -> [u8; 2] {
    u16::try_from(payload.len()).unwrap().to_be_bytes()
}

/// An 802.3 frame: its length, and padding behind it.
fn ieee_802_3(llc: &[u8]) -> Vec<u8> {
    let mut frame = vec![2; 12];
    frame.extend(length(llc));
    frame.extend(llc);
    frame.extend([0; 9]);
    frame
}

const SNAP_IP: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];

#[test]
fn link_types() {
    let v4 = rsvp();
    let v6 = ipv6(RSVP, PAYLOAD);
    let llc = behind(&SNAP_IP, &v4);
    let data_frame = |control: [u8; 2], more: &[u8]| [&control[..], &[0; 22], more, &llc].concat();
    let radiotap = |present: u32, fields: &[u8], frame: &[u8]| {
        let length = u16::try_from(8 + fields.len()).unwrap().to_le_bytes();
        [&[0, 0][..], &length, &present.to_le_bytes(), fields, frame].concat()
    };
    let wifi = data_frame([0x08, 0x01], &[]);
    // Two bytes of QoS, and two of padding before LLC.
    let padded = data_frame([0x88, 0x01], &[0, 0, 0, 0]);
    let avs = [&[0x80, 0x21, 0x10, 1, 0, 0, 0, 64][..], &[0; 56], &wifi].concat();
    for (link, frame) in [
        (9, behind(&[0xff, 3, 0, 0x21], &v4)),
        (9, behind(&[0x21], &v4)),
        (9, behind(&[0, 0x57], &v6)),
        (50, behind(&[0xff, 3, 0, 0x21], &v4)),
        (50, behind(&[0x0f, 0, 8, 0], &v4)),
        (
            51,
            [
                &[0x11, 0, 0, 1][..],
                &length(&behind(&[0, 0x21], &v4)),
                &[0, 0x21],
                &v4,
            ]
            .concat(),
        ),
        (100, llc.clone()),
        (100, v4.clone()),
        (105, wifi.clone()),
        (105, data_frame([0x88, 0x01], &[0, 0])),
        (105, data_frame([0x08, 0x03], &[0; 6])),
        (105, data_frame([0x88, 0x81], &[0; 6])),
        (107, behind(&[0x18, 0x41, 3, 0xcc], &v4)),
        (107, behind(&[0x18, 0x40, 0x00, 0x41, 3, 0x8e], &v6)),
        (107, behind(&[0x18, 0x41, 3, 0, 0x80, 0, 0, 0, 8, 0], &v4)),
        (107, behind(&[0x18, 0x41, 8, 0], &v4)),
        (109, behind(&[2, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1], &v4)),
        (
            117,
            behind(&[[61, 2][..].into(), vec![0; 62]].concat(), &v4),
        ),
        (119, behind(&[0; 144], &wifi)),
        (119, avs.clone()),
        (163, avs),
        (127, radiotap(0, &[], &wifi)),
        (127, radiotap(0x2, &[0], &wifi)),
        // A time stamp, and flags that say that the header is padded.
        (127, radiotap(0x3, &[0, 0, 0, 0, 0, 0, 0, 0, 0x20], &padded)),
        (127, radiotap(0x8000_0002, &[0, 0, 0, 0, 0x20], &padded)),
        (166, behind(&[0, 0xff, 3, 0, 0x21], &v4)),
        (192, [&[0, 0, 8, 0, 105, 0, 0, 0][..], &wifi].concat()),
        (204, behind(&[0, 0, 0x21], &v4)),
        (205, behind(&[0, 0x0f, 0, 8, 0], &v4)),
        (206, behind(&[0, 0x18, 0x41, 3, 0xcc], &v4)),
        (
            113,
            behind(
                &[0, 0, 3, 35, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4],
                &radiotap(0, &[], &wifi),
            ),
        ),
    ] {
        found(link, &frame);
    }
}

#[test]
fn what_the_capturing_node_sent_is_marked() {
    let v4 = rsvp();
    let sll = |direction| {
        behind(
            &[0, direction, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0, 8, 0],
            &v4,
        )
    };
    let sll2 = |direction| {
        behind(
            &[
                8, 0, 0, 0, 0, 0, 0, 9, 0, 1, direction, 6, 2, 2, 2, 2, 2, 2, 0, 0,
            ],
            &v4,
        )
    };
    let nflog = |hook, big_endian: bool| {
        let field = |kind: u16, value: &[u8]| {
            let [a, b] = u16::try_from(4 + value.len()).unwrap().to_be_bytes();
            let [c, d] = kind.to_be_bytes();
            let header = if big_endian {
                [a, b, c, d]
            } else {
                [b, a, d, c]
            };
            let mut field = behind(&header, value);
            field.resize(field.len().next_multiple_of(4), 0);
            field
        };
        [
            &[2, 0, 0, 0][..],
            &field(1, &[8, 0, hook, 0]),
            &field(10, b"prefix\0"),
            &field(4, &[0, 0, 0, 7]),
            &field(9, &v4),
        ]
        .concat()
    };
    for direction in 0..5 {
        assert_eq!(found(113, &sll(direction)).outgoing, direction == 4);
        assert_eq!(found(276, &sll2(direction)).outgoing, direction == 4);
        for big_endian in [false, true] {
            let message = found(239, &nflog(direction, big_endian));
            assert_eq!(message.outgoing, direction >= 3);
            assert_eq!(message.interface, 7);
        }
    }
    for (link, header) in [
        (204, &[0, 0x21][..]),
        (205, &[0x0f, 0, 8, 0]),
        (206, &[0x18, 0x41, 3, 0xcc]),
    ] {
        for direction in [0, 1] {
            let frame = [&[direction][..], header, &v4].concat();
            assert_eq!(found(link, &frame).outgoing, direction == 1, "{link}");
        }
    }
    for (flags, outgoing) in [
        (0, false),
        (1, false),
        (2, true),
        (0x10 | 2, true),
        (3, false),
    ] {
        for big_endian in [false, true] {
            let word = |value: u32| {
                if big_endian {
                    value.to_be_bytes()
                } else {
                    value.to_le_bytes()
                }
            };
            let half = |value: u16| {
                if big_endian {
                    value.to_be_bytes()
                } else {
                    value.to_le_bytes()
                }
            };
            let captured = u32::try_from(v4.len()).unwrap();
            let mut options = vec![0; v4.len().next_multiple_of(4) - v4.len()];
            options.extend([half(1), half(3)].concat());
            options.extend(b"why\0");
            options.extend([half(2), half(4)].concat());
            options.extend(word(flags));
            options.extend([0; 4]);
            let enhanced = [word(0), word(0), word(0), word(captured), word(captured)].concat();
            let obsolete = [
                &[half(0), half(0)].concat()[..],
                &word(0),
                &word(0),
                &word(captured),
                &word(captured),
            ]
            .concat();
            for (kind, header) in [(6, enhanced), (2, obsolete)] {
                let mut ng = PcapNg::new(big_endian);
                ng.interface(RAW, &[]);
                ng.block(kind, &[&header[..], &v4, &options].concat());
                let (messages, _) = read(ng.file);
                assert_eq!(
                    messages[0].outgoing, outgoing,
                    "block {kind}, flags {flags}"
                );
                assert_eq!(messages[0].bytes, PAYLOAD);
            }
        }
    }
}

#[test]
fn between_ethernet_and_ip() {
    let v4 = rsvp();
    let tags = |count: u16, inner: &[u8]| {
        (1..count).fold(vlan(1, EtherType::IPV4, inner), |packet, id| {
            vlan(id, EtherType::VLAN_TAGGED_FRAME, &packet)
        })
    };
    let inner = ether(0x0800, &v4);
    let pppoe = [
        &[0x11, 0, 0, 1][..],
        &length(&behind(&[0, 0x21], &v4)),
        &[0, 0x21],
        &v4,
    ]
    .concat();
    let label = |bottom: u8| [0, 1, bottom, 64];
    for frame in [
        ether(0x8100, &tags(1, &v4)),
        ether(0x88a8, &tags(2, &v4)),
        ether(0x9100, &tags(40, &v4)),
        ieee_802_3(&behind(&SNAP_IP, &v4)),
        ieee_802_3(&behind(&[6, 6, 3], &v4)),
        ieee_802_3(&behind(&[0xaa, 0xaa, 3, 0, 0, 0xf8, 8, 0], &v4)),
        ieee_802_3(&[&[0xaa, 0xaa, 3, 0, 0x80, 0xc2, 0, 7][..], &inner].concat()),
        ether(
            0x8100,
            &vlan(
                4,
                EtherType(u16::from_be_bytes(length(&behind(&SNAP_IP, &v4)))),
                &behind(&SNAP_IP, &v4),
            ),
        ),
        ether(0x8870, &behind(&SNAP_IP, &v4)),
        ether(0x8847, &behind(&label(1), &v4)),
        ether(
            0x8848,
            &[&label(0)[..], &label(0), &label(0), &label(1), &v4].concat(),
        ),
        // A pseudowire with a control word, and without.
        ether(0x8847, &[&label(1)[..], &[0; 4], &inner].concat()),
        ether(0x8847, &behind(&label(1), &inner)),
        ether(0x8864, &pppoe),
        ether(0x8100, &vlan(7, EtherType(0x8864), &pppoe)),
        ether(0x88e7, &behind(&[0; 4], &inner)),
        ether(0x8926, &behind(&[0, 0, 0, 1, 8, 0], &v4)),
        ether(0x893f, &behind(&[0, 0, 0, 0, 0, 1, 8, 0], &v4)),
        ether(0x8909, &behind(&[1, 1, 0, 1, 0, 5, 8, 0], &v4)),
        ether(
            0x88e5,
            &behind(&[0x20, 0, 0, 0, 0, 1, 2, 2, 2, 2, 2, 2, 0, 1, 8, 0], &v4),
        ),
        ether(0x894f, &behind(&[0, 2, 1, 1, 0, 0, 1, 255], &v4)),
        ether(0x880b, &behind(&[0, 0x21], &v4)),
    ] {
        found(ETHERNET, &frame);
    }
}

/// A GRE header with these flags and their fields.
fn gre(flags: u16, protocol: u16, payload: &[u8]) -> Vec<u8> {
    let fields = (flags & 0xb080).count_ones() as usize;
    let mut header = [flags.to_be_bytes(), protocol.to_be_bytes()].concat();
    header.resize(4 + 4 * fields, 0xa5);
    behind(&header, payload)
}

#[test]
fn tunnels() {
    let v4 = rsvp();
    let v6 = ipv6(RSVP, PAYLOAD);
    let inner = ether(0x0800, &v4);
    let vxlan =
        |header: [u8; 8], port, payload: &[u8]| ipv4(UDP, &udp(port, &behind(&header, payload)));
    for packet in [
        ipv4(4, &v4),
        ipv4(41, &v6),
        ipv6(4, &v4),
        ipv6(41, &v6),
        ipv4(94, &v4),
        ipv4(4, &ipv4(4, &ipv4(41, &v6))),
        ipv4(47, &gre(0, 0x0800, &v4)),
        ipv4(47, &gre(0, 0x86dd, &v6)),
        ipv4(47, &gre(0xb000, 0x0800, &v4)),
        ipv4(47, &gre(0x2000, 0x6558, &inner)),
        ipv4(47, &gre(0x8000, 0x8847, &behind(&[0, 1, 1, 64], &v4))),
        ipv4(
            47,
            &gre(0x3081, 0x880b, &behind(&[0xff, 3, 0, 0x21], &v4)[2..]),
        ),
        ipv4(4, &ipv4(47, &gre(0, 0x0800, &v4))),
        ipv6(47, &gre(0, 0x0800, &ipv4(4, &v4))),
        // ERSPAN I, II, III, and III with its subheader.
        ipv4(47, &gre(0, 0x88be, &inner)),
        ipv4(
            47,
            &gre(
                0x1000,
                0x88be,
                &behind(&[0x10, 0, 0, 0, 0, 0, 0, 0], &inner),
            ),
        ),
        ipv4(
            47,
            &gre(
                0x1000,
                0x22eb,
                &behind(&[0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &inner),
            ),
        ),
        ipv4(
            47,
            &gre(
                0x1000,
                0x22eb,
                &[
                    &[0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1][..],
                    &[0; 8],
                    &inner,
                ]
                .concat(),
            ),
        ),
        ipv4(97, &behind(&[0x30, 0], &inner)),
        ipv4(137, &behind(&[0, 1, 1, 64], &v4)),
        ipv6(143, &inner),
        vxlan([8, 0, 0, 0, 0, 0, 1, 0], 4789, &inner),
        vxlan(
            [8, 0, 0, 0, 0, 0, 1, 0],
            8472,
            &ether(0x8100, &vlan(3, EtherType::IPV4, &v4)),
        ),
        vxlan([0x8c, 7, 7, 7, 0, 0, 1, 0x64], 4789, &inner),
        vxlan([0x0c, 0, 0, 1, 0, 0, 1, 0], 4790, &v4),
        vxlan([0, 0, 0x65, 0x58, 0, 0, 1, 0], 6081, &inner),
        vxlan([1, 0, 8, 0, 0, 0, 1, 0], 6081, &behind(&[0, 0, 0, 0], &v4)),
        ipv4(UDP, &udp(6635, &behind(&[0, 1, 1, 64], &v4))),
        ipv4(UDP, &udp(4754, &gre(0, 0x0800, &v4))),
        ipv4(
            UDP,
            &udp(2152, &behind(&[0x30, 0xff, 0, 0, 0, 0, 0, 1], &v4)),
        ),
        ipv4(
            UDP,
            &udp(
                2152,
                &behind(
                    &[0x34, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0, 0, 0],
                    &v4,
                ),
            ),
        ),
        ipv4(
            UDP,
            &udp(1701, &behind(&[0, 2, 0, 1, 0, 1, 0xff, 3, 0, 0x21], &v4)),
        ),
        ipv4(
            UDP,
            &udp(
                1701,
                &behind(&[0x4a, 2, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x21], &v4),
            ),
        ),
    ] {
        found(RAW, &packet);
    }
}

#[test]
fn a_tunnel_in_fragments_is_put_together() {
    let outer = gre(0, 0x0800, &rsvp());
    let fragments = [
        ipv4_fragment(3, 47, 16, false, &outer[16..]),
        ipv4_fragment(3, 47, 0, true, &outer[..16]),
    ];
    let (messages, _) = read(Pcap::new(RAW).file(&fragments));
    assert_eq!(messages[0].bytes, PAYLOAD);
    // And a message in fragments within a tunnel.
    let fragments = [
        ipv4(4, &ipv6_fragment(3, RSVP, 0, true, &PAYLOAD[..8])),
        ipv4(4, &ipv6_fragment(3, RSVP, 8, false, &PAYLOAD[8..])),
    ];
    let (messages, _) = read(Pcap::new(RAW).file(&fragments));
    assert_eq!((&messages[0].bytes[..], messages[0].packet), (PAYLOAD, 2));
}

#[test]
fn ipv6_extension_headers() {
    let mobility = behind(&[RSVP, 0, 0, 0, 0, 0, 0, 0], PAYLOAD);
    let authentication = behind(&[&[RSVP, 4][..], &[0; 22]].concat(), PAYLOAD);
    for packet in [
        ipv6(
            0,
            &ipv6_options(43, &ipv6_options(60, &ipv6_options(RSVP, PAYLOAD))),
        ),
        ipv6(135, &mobility),
        ipv6(139, &mobility),
        ipv6(140, &mobility),
        ipv6(51, &authentication),
        ipv4(51, &authentication),
        ipv6_fragment(9, 60, 0, false, &ipv6_options(RSVP, PAYLOAD)),
    ] {
        found(RAW, &packet);
    }
    // A chain without end.
    let chain = (0..500).fold(PAYLOAD.to_vec(), |packet, _| ipv6_options(60, &packet));
    assert_eq!(
        unread(RAW, &ipv6(60, &chain)),
        "packets with too many headers"
    );
}

#[test]
fn tunnels_in_tunnels_end() {
    let deep = (0..200).fold(rsvp(), |packet, _| ipv4(4, &packet));
    assert_eq!(unread(RAW, &deep), "packets with too many headers");
}

#[test]
fn what_is_not_looked_into_is_named() {
    let v4 = rsvp();
    let wifi = [&[0x08, 0x41][..], &[0; 30]].concat();
    let mut short = v4.clone();
    short[2..4].copy_from_slice(&[0, 19]);
    let mut jumbo = ipv6(RSVP, PAYLOAD);
    jumbo[4..6].fill(0);
    let mut long_udp = udp(1698, PAYLOAD);
    long_udp[4..6].copy_from_slice(&[0, 200]);
    for (link, frame, what) in [
        (RAW, ipv4(50, &[7; 40]), "IPsec ESP (encrypted)"),
        (
            RAW,
            ipv4(UDP, &udp(4500, &[7; 40])),
            "IPsec ESP (encrypted)",
        ),
        (
            RAW,
            ipv4(UDP, &udp(51820, &[4, 0, 0, 0, 1])),
            "WireGuard (encrypted)",
        ),
        (RAW, ipv4(115, &[7; 40]), "L2TP version 3"),
        (
            RAW,
            ipv4(47, &gre(0x4000, 0x0800, &v4)),
            "GRE with source routes",
        ),
        (
            RAW,
            ipv4(47, &gre(0, 0x0123, &v4)),
            "GRE with protocol type 0x0123",
        ),
        (RAW, ipv4(47, &gre(0, 0x8999, &v4)), "EtherType 0x8999"),
        (RAW, short, "IP packets with a wrong length"),
        (RAW, jumbo, "IP packets with a wrong length"),
        (
            RAW,
            ipv4(UDP, &long_udp),
            "UDP datagrams with a wrong length",
        ),
        (
            RAW,
            vec![0x45, 0, 0, 20],
            "packets that are cut off before RSVP begins",
        ),
        (ETHERNET, ether(0x88e5, &[0x0c; 40]), "MACsec (encrypted)"),
        (ETHERNET, ether(0x4242, &v4), "EtherType 0x4242"),
        (105, wifi, "802.11 (encrypted)"),
        (9, behind(&[0, 0xfd], &v4), "PPP (compressed)"),
    ] {
        assert_eq!(unread(link, &frame), what);
    }
}

#[test]
fn frames_of_an_unknown_link_layer_are_counted() {
    let mut ng = PcapNg::new(false);
    ng.interface(147, &[]);
    ng.interface(RAW, &[]);
    for interface in [0, 1, 0] {
        ng.packet(interface, 0, &rsvp());
    }
    let mut capture = Capture::from_reader("test", Cursor::new(ng.file)).unwrap();
    assert_eq!(
        capture
            .by_ref()
            .filter(|item| matches!(item, Ok(CaptureItem::Message(_))))
            .count(),
        1
    );
    assert_eq!(capture.contents().unread, [("link type 147".to_owned(), 2)]);
}

#[test]
fn what_else_there_is_is_counted_and_named() {
    let packets = [
        ether(0x0806, &[0; 28]),
        ether(0x0800, &ipv4(6, &[0; 20])),
        ether(0x0800, &ipv4(6, &[0; 20])),
        ether(0x0800, &ipv4(UDP, &udp(53, b"?"))),
        ether(0x86dd, &ipv6(58, &[0; 8])),
        ether(0x0800, &ipv4(99, &[0; 8])),
    ];
    let (messages, contents) = read(Pcap::new(ETHERNET).file(&packets));
    assert_eq!(messages, []);
    assert_eq!(contents.unread, []);
    let mut other: Vec<_> = contents
        .other
        .iter()
        .map(|(what, count)| format!("{what} {count}"))
        .collect();
    assert_eq!(other[0], "TCP 2", "the most first");
    other.sort();
    assert_eq!(
        other,
        [
            "ICMPv6 1",
            "IP protocol 99 1",
            "TCP 2",
            "UDP 1",
            "link-layer protocols other than IP 1"
        ]
    );
}

#[test]
fn other_traffic_to_the_ports_of_rsvp_is_no_rsvp() {
    let dns = [0x10, 0x01, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, 7, b'e'];
    let (messages, contents) = read(Pcap::new(RAW).file(&[ipv4(UDP, &udp(1698, &dns))]));
    assert_eq!(messages, []);
    assert_eq!(contents.other, [("UDP".to_owned(), 1)]);
    // One that is RSVP but for its length is malformed RSVP.
    let mut wrong = PAYLOAD.to_vec();
    wrong[7] = 99;
    let (messages, _) = read(Pcap::new(RAW).file(&[ipv4(UDP, &udp(1699, &wrong))]));
    assert_eq!(messages.len(), 1);
}

/// A snoop file (RFC 1761).
fn snoop(datalink: u32, packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = b"snoop\0\0\0\0\0\0\x02".to_vec();
    file.extend(datalink.to_be_bytes());
    for packet in packets {
        let captured = u32::try_from(packet.len()).unwrap();
        let padded = captured.next_multiple_of(4);
        for field in [captured, captured, 24 + padded, 0, 1_000_000_000, 123_456] {
            file.extend(field.to_be_bytes());
        }
        file.extend(packet);
        file.resize(file.len() + (padded - captured) as usize, 0);
    }
    file
}

#[test]
fn snoop_files() {
    let packets = vec![ether(0x0800, &rsvp()); 2];
    let file = snoop(4, &packets);
    let (messages, contents) = read(file.clone());
    assert_eq!((messages.len(), contents.packets), (2, 2));
    assert_eq!(messages[1].bytes, PAYLOAD);
    let since = messages[1]
        .time
        .duration_since(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    assert_eq!(
        (since.as_secs(), since.subsec_micros()),
        (1_000_000_000, 123_456)
    );
    let error = |file: Vec<u8>| {
        let mut capture = match Capture::from_reader("test", Cursor::new(file)) {
            Ok(capture) => capture,
            Err(error) => return error.kind,
        };
        capture.find_map(Result::err).unwrap().kind
    };
    assert!(matches!(
        error(snoop(8, &packets)),
        CaptureErrorKind::LinkType(_)
    ));
    assert!(matches!(
        error(b"snoop\0\0\0\0\0\0\x03\0\0\0\x04".to_vec()),
        CaptureErrorKind::Damaged { .. }
    ));
    let mut short = file.clone();
    short[16 + 11] = 3;
    assert!(matches!(
        error(short),
        CaptureErrorKind::Damaged { start: 16, .. }
    ));
    assert!(matches!(
        error(file[..file.len() - 1].to_vec()),
        CaptureErrorKind::Truncated { packets: 1, .. }
    ));
}

#[test]
fn kuznetzovs_pcap_in_either_byte_order() {
    for big_endian in [false, true] {
        let word = |value: u32| {
            if big_endian {
                value.to_be_bytes()
            } else {
                value.to_le_bytes()
            }
        };
        let mut file = word(0xa1b2_cd34).to_vec();
        let versions = if big_endian {
            [0, 2, 0, 4]
        } else {
            [2, 0, 4, 0]
        };
        file.extend(versions);
        file.extend([word(0), word(0), word(65535), word(1)].concat());
        for direction in [0, 4] {
            let frame = ether(0x0800, &rsvp());
            let captured = u32::try_from(frame.len()).unwrap();
            file.extend([word(1), word(2), word(captured), word(captured), word(3)].concat());
            file.extend([8, 0, direction, 0]);
            file.extend(frame);
        }
        let (messages, _) = read(file);
        let outgoing: Vec<_> = messages.iter().map(|message| message.outgoing).collect();
        assert_eq!(outgoing, [false, true]);
    }
}

#[test]
fn sections_of_both_byte_orders_and_simple_packets() {
    let mut ng = PcapNg::new(false);
    ng.interface(RAW, &[]);
    ng.simple_packet(&rsvp());
    ng.block(0x0000_0bad, b"a custom block, of no interest");
    let mut other = PcapNg::new(true);
    other.interface(ETHERNET, &[(9, &[9])]);
    other.packet(0, 1_000_000_000, &ether(0x0800, &rsvp()));
    other.block(5, &[0; 12]);
    let file = [ng.file.clone(), other.file, ng.file].concat();
    let (messages, contents) = read(file);
    assert_eq!((messages.len(), contents.packets), (3, 3));
    assert!(messages.iter().all(|message| message.bytes == PAYLOAD));
}

#[test]
fn compressed_files_are_read_as_they_are() {
    let plain = Pcap::new(RAW).file(&vec![rsvp(); 100]);
    let (expected, _) = read(plain.clone());
    let gzip = |part: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(part).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = |part: &[u8]| {
        ruzstd::encoding::compress_to_vec(part, ruzstd::encoding::CompressionLevel::Fastest)
    };
    let lz4 = |part: &[u8]| {
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        encoder.write_all(part).unwrap();
        encoder.finish().unwrap()
    };
    let (first, second) = plain.split_at(777);
    let skippable = [0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
    for (name, file) in [
        ("gzip", gzip(&plain)),
        ("two gzip members", [gzip(first), gzip(second)].concat()),
        ("zstd", zstd(&plain)),
        (
            "zstd frames",
            [&skippable[..], &zstd(first), &skippable, &zstd(second)].concat(),
        ),
        ("lz4", lz4(&plain)),
        ("lz4 frames", [lz4(first), lz4(second)].concat()),
    ] {
        let (messages, _) = read(file.clone());
        assert_eq!(messages, expected, "{name}");
        // What is cut off or damaged is an error, and what is whole before it was read.
        let cut = file[..file.len() / 2].to_vec();
        let mut items = 0;
        let error = match Capture::from_reader("test", Cursor::new(cut)) {
            Ok(capture) => capture.inspect(|_| items += 1).find_map(Result::err),
            Err(error) => Some(error),
        };
        assert!(error.is_some(), "{name}");
        assert!(items <= 100, "{name}");
    }
}

#[test]
fn a_file_that_unpacks_without_end_is_refused() {
    // 16 bytes a packet, all of them zero: each of them empty.
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder
        .write_all(&Pcap::new(RAW).file::<&[u8]>(&[]))
        .unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..100 {
        encoder.write_all(&zeros).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    let mut capture = Capture::from_reader("test", Cursor::new(bomb)).unwrap();
    let error = capture.find_map(Result::err).unwrap();
    assert!(
        error.to_string().contains("which no capture does"),
        "{error}"
    );
    assert!(capture.position() < 80 << 20);
}
