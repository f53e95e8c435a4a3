//! The filters that the kernel has for many flows, as it tells them.

use std::collections::{BTreeMap, HashMap};

use crate::many::{Flow, route, set_up};
use crate::net::{Net, SENDER, can_make_networks};
use crate::support::eventually;

const COUNT: u16 = 400;
const ENFORCED: &str =
    "[run]\nenforce = true\n[interface.'10.77.2.254']\nbandwidth = '100 Gbit/s'\n";

/// What is in a bucket, in the order of the kernel: a filter or a link.
#[derive(Default)]
struct Entry {
    /// Value, mask, and where.
    keys: Vec<(u32, u32, usize)>,
    class: Option<String>,
    /// A table, and the byte by which packets go on to its buckets.
    link: Option<(u32, u32, usize)>,
}

/// Tables of filters by bucket: what `tc filter show` prints.
struct Tables(HashMap<(u32, u32), BTreeMap<u32, Entry>>);

fn hex(text: &str) -> u32 {
    match text {
        "" => 0,
        text => u32::from_str_radix(text, 16).unwrap(),
    }
}

impl Tables {
    fn read(text: &str) -> Self {
        let mut tables = Self(HashMap::new());
        let mut last = None;
        for line in text.lines().filter(|line| !line.contains("divisor")) {
            let words: Vec<_> = line.split_whitespace().collect();
            let behind = |word: &str| {
                let at = words.iter().position(|other| *other == word)?;
                words.get(at + 1).copied()
            };
            if let Some(handle) = behind("fh") {
                let number: Vec<_> = handle.split(':').map(hex).collect();
                last = Some(((number[0], number[1]), number[2]));
                let entry = Entry {
                    class: behind("*flowid")
                        .or_else(|| behind("flowid"))
                        .map(str::to_owned),
                    link: behind("link").map(|table| (hex(table.trim_end_matches(':')), 0, 0)),
                    ..Entry::default()
                };
                let bucket = tables.0.entry((number[0], number[1])).or_default();
                bucket.insert(number[2], entry);
                continue;
            }
            let Some((place, number)) = last else {
                continue;
            };
            let entry = tables.0.get_mut(&place).unwrap().get_mut(&number).unwrap();
            let at = |word| behind(word).unwrap().parse().unwrap();
            if let Some((value, mask)) = behind("match").and_then(|key| key.split_once('/')) {
                entry.keys.push((hex(value), hex(mask), at("at")));
            } else if let (Some(mask), Some(link)) = (behind("mask"), &mut entry.link) {
                (link.1, link.2) = (hex(mask), at("at"));
            }
        }
        tables
    }

    /// The class of a packet, after so many filters that it was compared with.
    fn classify(&self, place: (u32, u32), packet: &[u8], compared: &mut usize) -> Option<&str> {
        let word = |at: usize| u32::from_be_bytes(packet[at..at + 4].try_into().unwrap());
        for entry in self.0.get(&place).into_iter().flat_map(BTreeMap::values) {
            *compared += usize::from(entry.class.is_some());
            let mut keys = entry.keys.iter();
            if !keys.all(|(value, mask, at)| word(*at) & mask == *value) {
                continue;
            }
            let found = match (&entry.class, entry.link) {
                (Some(class), _) => Some(&class[..]),
                (None, Some((table, mask, at))) => {
                    let bucket = (word(at) & mask) >> mask.trailing_zeros();
                    self.classify((table, bucket), packet, compared)
                }
                _ => None,
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }
}

fn packet(flow: Flow) -> Vec<u8> {
    let mut packet = vec![0; 64];
    (packet[0], packet[9]) = (0x45, 17);
    packet[12..16].copy_from_slice(&SENDER.octets());
    packet[16..20].copy_from_slice(&flow.destination().octets());
    packet[20..22].copy_from_slice(&4000_u16.to_be_bytes());
    packet[22..24].copy_from_slice(&flow.port().to_be_bytes());
    packet
}

#[test]
fn a_packet_is_compared_with_few_of_many_filters() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    route(&net);
    let pcm = net.pcm(ENFORCED);
    set_up(COUNT, &net.sender(), &net.receiver());
    let filters = net.on_router("tc filter show dev r1 parent 5043:");
    let tables = Tables::read(&filters);
    let mut classes = BTreeMap::new();
    let mut sum = 0;
    for flow in Flow::first(COUNT) {
        let mut compared = 0;
        let class = tables.classify((0x800, 0), &packet(flow), &mut compared);
        let class = class.expect("its packets are led to a class");
        assert!(
            classes.insert(class.to_owned(), compared).is_none(),
            "a class of its own"
        );
        assert!(compared <= 4, "{compared} for {class}");
        sum += compared;
    }
    println!("{sum} comparisons for {COUNT} packets");
    assert!(sum <= 3 * usize::from(COUNT), "{sum}");
    // A stranger's is led nowhere.
    let mut stranger = packet(Flow::first(1).next().unwrap());
    stranger[23] ^= 1;
    assert_eq!(tables.classify((0x800, 0), &stranger, &mut sum), None);
    // What is torn down has no filter any more.
    net.on_router("ip link set r0 down");
    eventually("all filters are gone", || {
        let filters = net.on_router("tc filter show dev r1 parent 5043:");
        (!filters.contains("flowid")).then_some(())
    });
    assert_eq!(pcm.stop("TERM"), Some(143));
}
