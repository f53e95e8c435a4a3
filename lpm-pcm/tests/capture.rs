//! From capture files to RSVP messages: formats, link layers, fragments, and every kind of damage.

mod support;

use std::io::{self, Cursor, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use etherparse::EtherType;
use lpm_pcm::capture::{
    Capture, CaptureErrorKind, CaptureItem, CapturedMessage, Contents, Incomplete, MAX_BLOCK,
};
use proptest::prelude::*;

use support::{
    DESTINATION, DESTINATION6, Pcap, PcapNg, RSVP, SOURCE, SOURCE6, START, UDP, ethernet, ipv4,
    ipv4_fragment, ipv6, ipv6_fragment, ipv6_options, udp, vlan,
};

/// Stands for an RSVP message: what is inside is not looked at here.
const PAYLOAD: &[u8] = b"\x10\x01\x00\x00\x40\x00\x00\x10an object";

/// The like, of any length.
fn rsvp(length: u16) -> Vec<u8> {
    let [high, low] = length.to_be_bytes();
    let mut bytes = vec![0x10, 1, 0, 0, 64, 0, high, low];
    bytes.resize(length.into(), 7);
    bytes
}

const ETHERNET: u16 = 1;
const RAW: u16 = 101;

/// All that a capture yields.
#[derive(Default)]
struct Yield {
    messages: Vec<CapturedMessage>,
    notices: Vec<String>,
    incomplete: Vec<Incomplete>,
    contents: Contents,
    error: Option<CaptureErrorKind>,
}

fn read(file: Vec<u8>) -> Yield {
    read_from(Cursor::new(file))
}

fn read_from(reader: impl Read + Send + 'static) -> Yield {
    let mut all = Yield::default();
    let mut capture = match Capture::from_reader("test", reader) {
        Ok(capture) => capture,
        Err(error) => {
            all.error = Some(error.kind);
            return all;
        }
    };
    for item in capture.by_ref() {
        assert!(all.error.is_none(), "an error is the last item");
        match item {
            Ok(CaptureItem::Message(message)) => all.messages.push(message),
            Ok(CaptureItem::Incomplete(incomplete)) => all.incomplete.push(incomplete),
            Ok(CaptureItem::Notice(notice)) => all.notices.push(notice),
            Ok(other) => panic!("{other:?}"),
            Err(error) => all.error = Some(error.kind),
        }
    }
    all.contents = capture.contents();
    all
}

/// The messages of a capture in which nothing is wrong.
fn messages(file: Vec<u8>) -> Vec<CapturedMessage> {
    let all = read(file);
    assert!(all.error.is_none(), "{:?}", all.error);
    assert_eq!(all.notices, [""; 0]);
    assert_eq!(all.incomplete, []);
    all.messages
}

/// The one message of a capture in which nothing is wrong.
fn message(file: Vec<u8>) -> CapturedMessage {
    let [message] = <[_; 1]>::try_from(messages(file)).unwrap();
    message
}

/// A block that says of itself that it is too short to say so.
#[test]
fn blocks_that_are_too_short_are_damage() {
    for big_endian in [true, false] {
        let word = |number: u32| match big_endian {
            true => number.to_be_bytes(),
            false => number.to_le_bytes(),
        };
        let section = [0x0a0d_0d0a, 28, 0x1a2b_3c4d, 1, !0, !0, 28];
        let section: Vec<u8> = section.into_iter().flat_map(word).collect();
        for block_type in [0x8000_0001, 1, 2, 6] {
            for length in 0..12 {
                let block = [block_type, length, 0, 0, 0, length];
                let file = [section.clone(), block.into_iter().flat_map(word).collect()].concat();
                let error = read(file).error;
                assert!(
                    matches!(error, Some(CaptureErrorKind::Damaged { start: 28, .. })),
                    "{big_endian} {block_type:#x} {length}: {error:?}"
                );
            }
        }
    }
}

#[test]
fn link_layers() {
    let v4 = ipv4(RSVP, PAYLOAD);
    let v6 = ipv6(RSVP, PAYLOAD);
    let cooked = |header: &[u8], packet: &[u8]| [header, packet].concat();
    let sll4 = [0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0, 8, 0];
    let sll6 = [0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0, 0x86, 0xdd];
    let frames = [
        (ETHERNET, ethernet(EtherType::IPV4, &v4)),
        (ETHERNET, ethernet(EtherType::IPV6, &v6)),
        (
            ETHERNET,
            ethernet(EtherType::VLAN_TAGGED_FRAME, &vlan(5, EtherType::IPV4, &v4)),
        ),
        (
            ETHERNET,
            ethernet(
                EtherType::PROVIDER_BRIDGING,
                &vlan(
                    7,
                    EtherType::VLAN_TAGGED_FRAME,
                    &vlan(5, EtherType::IPV6, &v6),
                ),
            ),
        ),
        (113, cooked(&sll4, &v4)),
        (113, cooked(&sll6, &v6)),
        (
            276,
            cooked(
                &[8, 0, 0, 0, 0, 0, 0, 9, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0],
                &v4,
            ),
        ),
        (12, v4.clone()),
        (14, v6.clone()),
        (RAW, v4.clone()),
        (RAW, v6.clone()),
        (228, v4.clone()),
        (229, v6.clone()),
        (0, cooked(&[2, 0, 0, 0], &v4)),
        (0, cooked(&[0, 0, 0, 2], &v4)),
        (0, cooked(&[30, 0, 0, 0], &v6)),
        (108, cooked(&[0, 0, 0, 24], &v6)),
        (104, cooked(&[0x0f, 0, 8, 0], &v4)),
    ];
    for (link, frame) in frames {
        let message = message(Pcap::new(link).file(&[frame]));
        assert_eq!(message.bytes, PAYLOAD, "link type {link}");
        assert_eq!(message.missing, 0);
        let (source, destination): (IpAddr, IpAddr) = match message.source {
            IpAddr::V4(_) => (SOURCE.into(), DESTINATION.into()),
            IpAddr::V6(_) => (SOURCE6.into(), DESTINATION6.into()),
        };
        assert_eq!((message.source, message.destination), (source, destination));
        assert_eq!(message.interface, if link == 276 { 9 } else { 1 });
    }
}

#[test]
fn a_payload_longer_than_any_message_is_not_kept_whole() {
    // A length of 0, as where the network card cuts datagrams: as long as the frame.
    let mut packet = ipv4(RSVP, &[]);
    packet[2..4].fill(0);
    packet.resize(1 << 20, 1);
    assert_eq!(message(Pcap::new(RAW).file(&[packet])).bytes.len(), 65536);
}

#[test]
fn ethernet_padding_is_no_part_of_the_message() {
    let mut frame = ethernet(EtherType::IPV4, &ipv4(RSVP, PAYLOAD));
    frame.extend([0; 20]);
    assert_eq!(message(Pcap::new(ETHERNET).file(&[frame])).bytes, PAYLOAD);
}

#[test]
fn udp_encapsulation_is_found_by_its_destination_port() {
    for port in [1698, 1699] {
        let packet = ipv4(UDP, &udp(port, PAYLOAD));
        assert_eq!(message(Pcap::new(RAW).file(&[packet])).bytes, PAYLOAD);
    }
    let other = ipv6(UDP, &udp(3455, PAYLOAD));
    assert_eq!(messages(Pcap::new(RAW).file(&[other])), []);
}

#[test]
fn icmp_errors_that_quote_a_message_do_not_count() {
    let quoted = [&[3, 2, 0, 0, 0, 0, 0, 0], &ipv4(RSVP, PAYLOAD)[..]].concat();
    assert_eq!(messages(Pcap::new(RAW).file(&[ipv4(1, &quoted)])), []);
    let quoted = [&[1, 0, 0, 0, 0, 0, 0, 0], &ipv6(RSVP, PAYLOAD)[..]].concat();
    assert_eq!(messages(Pcap::new(RAW).file(&[ipv6(58, &quoted)])), []);
}

#[test]
fn ipv6_extension_headers_are_skipped() {
    let hop_by_hop = ipv6(0, &ipv6_options(60, &ipv6_options(RSVP, PAYLOAD)));
    assert_eq!(message(Pcap::new(RAW).file(&[hop_by_hop])).bytes, PAYLOAD);
    let atomic_fragment = ipv6_fragment(1, RSVP, 0, false, PAYLOAD);
    assert_eq!(
        message(Pcap::new(RAW).file(&[atomic_fragment])).bytes,
        PAYLOAD
    );
}

#[test]
fn fragments_are_put_together_in_any_order() {
    let long: Vec<u8> = (0..=255).cycle().take(3000).collect();
    let v4 = |offset: usize, end: usize| {
        ipv4_fragment(7, RSVP, offset, end < long.len(), &long[offset..end])
    };
    let v6 = |offset: usize, end: usize| {
        ipv6_fragment(7, RSVP, offset, end < long.len(), &long[offset..end])
    };
    let in_order = [v4(0, 1480), v4(1480, 2960), v4(2960, 3000)];
    let backwards = [v6(2960, 3000), v6(1480, 2960), v6(0, 1480)];
    let interleaved = [v4(0, 1480), v6(0, 1480), v6(1480, 3000), v4(1480, 3000)];
    let in_order = message(Pcap::new(RAW).file(&in_order));
    assert_eq!(in_order.bytes, long);
    assert_eq!(in_order.packet, 3);
    assert_eq!(message(Pcap::new(RAW).file(&backwards)).bytes, long);
    let both = messages(Pcap::new(RAW).file(&interleaved));
    assert!(both.iter().all(|message| message.bytes == long));
    assert_eq!(both.len(), 2);
}

#[test]
fn destination_options_may_be_in_the_fragmented_part() {
    let whole = ipv6_options(RSVP, &[1; 64]);
    let fragments = [
        ipv6_fragment(3, 60, 0, true, &whole[..40]),
        ipv6_fragment(3, 60, 40, false, &whole[40..]),
    ];
    assert_eq!(message(Pcap::new(RAW).file(&fragments)).bytes, [1; 64]);
}

#[test]
fn a_udp_encapsulated_message_may_be_fragmented() {
    let datagram = udp(1698, &rsvp(100));
    let fragments = [
        ipv4_fragment(9, UDP, 48, false, &datagram[48..]),
        ipv4_fragment(9, UDP, 0, true, &datagram[..48]),
    ];
    assert_eq!(message(Pcap::new(RAW).file(&fragments)).bytes, rsvp(100));
}

#[test]
fn missing_fragments_are_told_of_once() {
    let lonely: Vec<_> = (0..1000)
        .map(|id| ipv4_fragment(id, RSVP, 0, true, &[0; 800]))
        .collect();
    let all = read(Pcap::new(RAW).file(&lonely));
    assert_eq!(all.messages, []);
    let packets: Vec<_> = all
        .incomplete
        .iter()
        .map(|message| message.packet)
        .collect();
    assert_eq!(packets, (1..=1000).collect::<Vec<_>>());
    let Incomplete {
        source,
        destination,
        fragments,
        bytes,
        ..
    } = all.incomplete[0];
    let addresses: (IpAddr, IpAddr) = (SOURCE.into(), DESTINATION.into());
    assert_eq!((source, destination), addresses);
    assert_eq!((fragments, bytes), (1, 800));
}

#[test]
fn fragments_are_waited_for_one_minute() {
    let fragments = [
        ipv4_fragment(1, RSVP, 0, true, &[1; 16]),
        ipv4_fragment(1, RSVP, 16, false, &[2; 16]),
    ];
    let after = |interval| {
        read(
            Pcap {
                interval,
                ..Pcap::new(RAW)
            }
            .file(&fragments),
        )
    };
    assert_eq!(after(60).messages.len(), 1);
    let late = after(61);
    assert_eq!(late.messages, []);
    assert_eq!(late.incomplete.len(), 2);
}

#[test]
fn fragments_that_contradict_each_other_make_no_message() {
    let fragments = [
        ipv4_fragment(1, RSVP, 16, false, &[1; 16]),
        ipv4_fragment(1, RSVP, 24, false, &[2; 16]),
    ];
    let all = read(Pcap::new(RAW).file(&fragments));
    assert_eq!(all.messages, []);
    assert_eq!(all.incomplete.len(), 1);
}

#[test]
fn a_message_that_the_capture_cut_short_says_how_much_is_missing() {
    let packet = ipv4(RSVP, &[7; 100]);
    let frame = ethernet(EtherType::IPV4, &packet[..60]);
    let cut = message(Pcap::new(ETHERNET).snapped(&[(&frame, 60)]));
    assert_eq!((cut.bytes.len(), cut.missing), (40, 60));

    let packet = ipv6(UDP, &udp(1698, &rsvp(100)));
    let cut = message(Pcap::new(RAW).snapped(&[(&packet[..100], 48)]));
    assert_eq!((cut.bytes.len(), cut.missing), (52, 48));

    // Of a fragmented message, the first fragment counts.
    let fragment = ipv4_fragment(1, RSVP, 0, true, &[7; 80]);
    let rest = ipv4_fragment(1, RSVP, 80, false, &[7; 80]);
    let cut = message(Pcap::new(RAW).snapped(&[(&fragment[..50], 50), (&rest[..50], 50)]));
    assert_eq!((cut.bytes.len(), cut.missing), (30, 50));
}

#[test]
fn times_have_the_resolution_of_the_file() {
    let packets = [ipv4(RSVP, PAYLOAD), ipv4(RSVP, PAYLOAD)];
    for big_endian in [false, true] {
        for nanoseconds in [false, true] {
            let messages = messages(
                Pcap {
                    big_endian,
                    nanoseconds,
                    ..Pcap::new(RAW)
                }
                .file(&packets),
            );
            let nanos = if nanoseconds {
                123_456_789
            } else {
                123_456_000
            };
            let start = Duration::new(START.into(), nanos);
            assert_eq!(messages[0].time, SystemTime::UNIX_EPOCH + start);
            assert_eq!(messages[1].time, messages[0].time + Duration::from_secs(1));
            assert_eq!((messages[0].packet, messages[1].packet), (1, 2));
        }
    }
}

#[test]
fn pcapng_interfaces_have_clocks_and_addresses_of_their_own() {
    for big_endian in [false, true] {
        let hour = if big_endian {
            3600_i64.to_be_bytes()
        } else {
            3600_i64.to_le_bytes()
        };
        let mut capture = PcapNg::new(big_endian);
        capture.interface(RAW, &[]);
        capture.interface(ETHERNET, &[(9, &[9]), (4, &[10, 0, 0, 1, 255, 0, 0, 0])]);
        // 2 to the power of 10 ticks a second, one hour ahead.
        let mut address = DESTINATION6.to_vec();
        address.push(64);
        capture.interface(RAW, &[(9, &[0x8a]), (14, &hour), (5, &address)]);
        let packet = ipv4(RSVP, PAYLOAD);
        capture.packet(2, 1536, &packet);
        capture.packet(1, 1_500_000_000, &ethernet(EtherType::IPV4, &packet));
        capture.packet(0, 1_500_000, &packet);
        capture.simple_packet(&packet);
        // A new section forgets the interfaces.
        capture.section();
        capture.interface(ETHERNET, &[]);
        capture.packet(0, 2_000_000, &ethernet(EtherType::IPV4, &packet));
        let found: Vec<_> = messages(capture.file)
            .into_iter()
            .map(|message| {
                assert_eq!(message.bytes, PAYLOAD);
                let since_epoch = message.time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
                (
                    message.interface,
                    since_epoch.as_millis(),
                    message.interface_address,
                )
            })
            .collect();
        let v4 = Some(Ipv4Addr::new(10, 0, 0, 1).into());
        let v6 = Some(Ipv6Addr::from(DESTINATION6).into());
        assert_eq!(
            found,
            [
                (3, 3_601_500, v6),
                (2, 1500, v4),
                (1, 1500, None),
                (1, 0, None),
                (1, 2000, None)
            ]
        );
    }
}

#[test]
fn an_interface_of_an_unknown_link_layer_is_told_of_once() {
    let mut capture = PcapNg::new(false);
    capture.interface(147, &[]);
    capture.interface(RAW, &[]);
    let packet = ipv4(RSVP, PAYLOAD);
    for interface in [0, 1, 0, 1] {
        capture.packet(interface, 0, &packet);
    }
    let all = read(capture.file);
    assert_eq!(all.messages.len(), 2);
    assert_eq!(all.messages[1].packet, 4);
    let [notice] = &all.notices[..] else {
        panic!("{:?}", all.notices)
    };
    assert!(
        notice.contains("interface 1") && notice.contains("link type 147"),
        "{notice}"
    );
}

#[test]
fn a_pcap_of_an_unknown_link_layer_is_an_error() {
    let all = read(Pcap::new(147).file(&[PAYLOAD]));
    assert!(
        matches!(all.error, Some(CaptureErrorKind::LinkType(_))),
        "{:?}",
        all.error
    );
}

#[test]
fn what_is_whole_of_a_capture_that_is_cut_off_is_read() {
    let packet = ipv4(RSVP, PAYLOAD);
    let packets = [&packet; 3];
    let pcap = Pcap::new(RAW).file(&packets);
    let mut ng = PcapNg::new(true);
    ng.interface(RAW, &[]);
    for packet in packets {
        ng.packet(0, 0, packet);
    }
    let pcap_record = 16 + packet.len();
    let ng_record = 32 + packet.len().next_multiple_of(4);
    for (file, header, record) in [(pcap, 24, pcap_record), (ng.file, 28 + 20, ng_record)] {
        assert_eq!(file.len(), header + 3 * record);
        for length in 0..file.len() {
            let all = read(file[..length].to_vec());
            let whole = length.saturating_sub(header) / record;
            assert_eq!(all.messages.len(), whole, "{length} bytes");
            match all.error {
                None => assert!(
                    length == header + whole * record || length == 28,
                    "{length} bytes"
                ),
                Some(CaptureErrorKind::Empty) => assert_eq!(length, 0),
                Some(CaptureErrorKind::NotACapture { .. }) => assert!((1..4).contains(&length)),
                Some(CaptureErrorKind::Truncated {
                    start,
                    end,
                    packets,
                    ..
                }) => {
                    assert_eq!((end, packets), (length as u64, whole as u64));
                    assert!(start < end);
                    if length > header {
                        assert_eq!(start, (header + whole * record) as u64);
                    }
                }
                Some(other) => panic!("{length} bytes: {other}"),
            }
        }
    }
}

#[test]
fn lengths_beyond_reason_are_damage() {
    let mut pcap = Pcap::new(RAW).file(&[ipv4(RSVP, PAYLOAD)]);
    pcap.extend([0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0]);
    let all = read(pcap);
    assert_eq!(all.messages.len(), 1);
    let Some(CaptureErrorKind::TooLarge {
        length, packets: 1, ..
    }) = all.error
    else {
        panic!("{:?}", all.error)
    };
    assert!(length > MAX_BLOCK);

    let mut ng = PcapNg::new(false);
    ng.file.extend([6, 0, 0, 0, 0xf0, 0xff, 0xff, 0xff]);
    assert!(matches!(
        read(ng.file).error,
        Some(CaptureErrorKind::TooLarge { start: 28, .. })
    ));

    let section = [
        0x0a, 0x0d, 0x0d, 0x0a, 0, 0, 0, 0xff, 0x4d, 0x3c, 0x2b, 0x1a,
    ];
    let all = read(section.to_vec());
    assert!(matches!(
        all.error,
        Some(CaptureErrorKind::TooLarge { start: 0, .. })
    ));
}

#[test]
fn a_block_that_contradicts_itself_is_damage() {
    // A packet longer than the block that holds it, followed by enough bytes.
    let mut ng = PcapNg::new(false);
    ng.interface(RAW, &[]);
    let body = [0_u32, 0, 0, 4000, 4000].map(u32::to_le_bytes).concat();
    ng.block(6, &body);
    ng.block(6, &[0; 8000]);
    let all = read(ng.file);
    assert!(
        matches!(all.error, Some(CaptureErrorKind::Damaged { start: 48, .. })),
        "{:?}",
        all.error
    );

    // A packet of an interface that nobody described.
    let mut ng = PcapNg::new(false);
    ng.packet(3, 0, PAYLOAD);
    assert!(matches!(
        read(ng.file).error,
        Some(CaptureErrorKind::Damaged { start: 28, .. })
    ));
}

#[test]
fn large_packets_grow_the_buffer() {
    let fill = vec![0; 300 << 10];
    let packets = [
        fill.as_slice(),
        &ipv4(RSVP, PAYLOAD),
        &fill,
        &ipv4(RSVP, PAYLOAD),
    ];
    assert_eq!(messages(Pcap::new(RAW).file(&packets)).len(), 2);
}

#[test]
fn what_is_no_capture_is_told_by_its_first_bytes() {
    let hint = |file: &[u8]| read(file.to_vec()).error.unwrap().to_string();
    assert_eq!(hint(b""), "is empty, not a capture file");
    assert!(hint(b"hello, world").contains("starts with 68 65 6c 6c"));
    assert!(hint(b"BZh91AY").contains("bzcat FILE | pcm replay -"));
    assert!(hint(b"\x0a\x0d\x0d\x0a____????").contains("not a capture file"));
}

/// Gives one byte at a time, as a slow pipe may.
struct Slow(Cursor<Vec<u8>>);

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let one = buffer.len().min(1);
        self.0.read(&mut buffer[..one])
    }
}

#[test]
fn a_slow_pipe_gives_the_same() {
    let packets = [ipv4(RSVP, PAYLOAD), ipv4(RSVP, PAYLOAD)];
    let mut ng = PcapNg::new(false);
    ng.interface(RAW, &[]);
    ng.packet(0, 0, &packets[0]);
    for file in [Pcap::new(RAW).file(&packets), ng.file] {
        let all = read_from(Slow(Cursor::new(file.clone())));
        assert!(all.error.is_none(), "{:?}", all.error);
        assert_eq!(all.messages, messages(file));
    }
}

/// Fails after the bytes it has.
struct Failing(Cursor<Vec<u8>>);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::other("the disk is on fire")),
            read => Ok(read),
        }
    }
}

#[test]
fn a_read_error_is_passed_on() {
    let file = Pcap::new(RAW).file(&[ipv4(RSVP, PAYLOAD)]);
    let length = file.len() as u64;
    let all = read_from(Failing(Cursor::new(file)));
    assert_eq!(all.messages.len(), 1);
    match all.error {
        Some(CaptureErrorKind::Read { offset, source }) => {
            assert_eq!(offset, length);
            assert_eq!(source.to_string(), "the disk is on fire");
        }
        other => panic!("{other:?}"),
    }
}

proptest! {
    /// Whatever the message and however it is fragmented, it comes out as it went in.
    #[test]
    fn any_fragmentation_is_undone(
        message in prop::collection::vec(any::<u8>(), 1..4000),
        size in 1_usize..100,
        v6 in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let size = size * 8;
        let mut fragments: Vec<_> = (0..message.len())
            .step_by(size)
            .map(|offset| {
                let end = message.len().min(offset + size);
                let more = end < message.len();
                if v6 {
                    ipv6_fragment(5, RSVP, offset, more, &message[offset..end])
                } else {
                    ipv4_fragment(5, RSVP, offset, more, &message[offset..end])
                }
            })
            .collect();
        let count = fragments.len();
        let turn = usize::try_from(seed % count as u64).unwrap();
        fragments.rotate_left(turn);
        let all = read(Pcap { interval: 0, ..Pcap::new(RAW) }.file(&fragments));
        prop_assert!(all.error.is_none());
        prop_assert_eq!(all.messages.len(), 1);
        prop_assert_eq!(&all.messages[0].bytes, &message);
    }

    /// No bytes make the reader panic, loop, or yield more messages than packets fit in.
    #[test]
    fn damaged_captures_end(
        start in 0..3_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let packet = ethernet(EtherType::IPV4, &ipv4(RSVP, PAYLOAD));
        let fragment = ethernet(EtherType::IPV6, &ipv6_fragment(1, RSVP, 0, true, &[0; 64]));
        let mut ng = PcapNg::new(start == 1);
        ng.interface(ETHERNET, &[(9, &[6]), (2, b"eth0")]);
        ng.packet(0, 1, &packet);
        ng.packet(0, 2, &fragment);
        let mut file = match start {
            0 => Pcap::new(ETHERNET).file(&[&packet, &fragment]),
            _ => ng.file,
        };
        for (index, value) in changes {
            let length = file.len();
            file[index.index(length)] = value;
        }
        file.truncate(cut.index(file.len() + 1));
        let most = file.len() / 16;
        prop_assert!(read(file).messages.len() <= most);
    }

    #[test]
    fn random_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = read(bytes);
    }
}
