//! Filters in tables that a model of the kernel's classifier has, and what becomes of packets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use lpm_rsvp::{FilterSpec, Session};
use proptest::prelude::*;

use super::*;

/// What is in a place of a bucket.
enum Entry {
    Class(u16, Vec<TcU32Key>),
    Table(u16, Byte),
}

/// The kernel's rules (net/sched/cls_u32.c).
#[derive(Default)]
struct Model {
    tables: BTreeSet<u16>,
    roots: BTreeMap<u8, (u16, Byte)>,
    entries: BTreeMap<u32, Entry>,
    /// After how many more changes it refuses one.
    refuses_in: Option<u32>,
}

impl Model {
    fn change(&mut self) -> io::Result<()> {
        if let Some(left) = self.refuses_in.take() {
            self.refuses_in = left.checked_sub(1);
            if left == 0 {
                return Err(io::ErrorKind::OutOfMemory.into());
            }
        }
        Ok(())
    }

    fn put(&mut self, place: u32, entry: Entry) -> io::Result<()> {
        self.change()?;
        assert!(place & 0xfff > 0 && self.tables.contains(&table_of(place)));
        let old = self.entries.insert(place, entry);
        assert!(old.is_none(), "{place:x} is taken");
        Ok(())
    }

    /// The class that a packet of a version gets, how many filters it was compared with, and
    /// through how many tables it went at once.
    fn classify(&self, version: Version, packet: &[u8]) -> (Option<u16>, usize, usize) {
        let (table, by) = self.roots[&(version as u8)];
        let (mut compared, mut deepest) = (0, 0);
        let bucket = byte(packet, by).unwrap();
        let class = self.go((table, bucket), packet, 1, &mut compared, &mut deepest);
        (class.ok().flatten(), compared, deepest)
    }

    /// An error where the packet is too short for what would be looked at.
    fn go(
        &self,
        (table, bucket): (u16, u8),
        packet: &[u8],
        depth: usize,
        compared: &mut usize,
        deepest: &mut usize,
    ) -> Result<Option<u16>, ()> {
        *deepest = depth.max(*deepest);
        let place = Place { table, bucket };
        for (_, entry) in self.entries.range(place.number(0)..=place.number(0xfff)) {
            match entry {
                Entry::Class(minor, keys) => {
                    *compared += 1;
                    let mut is_it = true;
                    for key in keys {
                        is_it &= word(packet, key.off).ok_or(())? & key.mask == key.val;
                        if !is_it {
                            break;
                        }
                    }
                    if is_it {
                        return Ok(Some(*minor));
                    }
                }
                Entry::Table(table, by) => {
                    let bucket = byte(packet, *by).ok_or(())?;
                    let found = self.go((*table, bucket), packet, depth + 1, compared, deepest)?;
                    if found.is_some() {
                        return Ok(found);
                    }
                }
            }
        }
        Ok(None)
    }
}

impl Classifier for Model {
    fn add_table(&mut self, _: Version, table: u16) -> io::Result<()> {
        self.change()?;
        assert!((1..0x800).contains(&table) && self.tables.insert(table));
        Ok(())
    }

    fn lead_on(
        &mut self,
        version: Version,
        place: Option<u32>,
        table: u16,
        by: Byte,
    ) -> io::Result<()> {
        assert!(self.tables.contains(&table));
        match place {
            Some(place) => self.put(place, Entry::Table(table, by)),
            None => {
                self.roots.insert(version as u8, (table, by));
                Ok(())
            }
        }
    }

    fn add_filter(
        &mut self,
        _: Version,
        place: u32,
        minor: u16,
        keys: Vec<TcU32Key>,
    ) -> io::Result<()> {
        self.put(place, Entry::Class(minor, keys))
    }

    fn remove(&mut self, _: Version, place: u32) -> io::Result<()> {
        assert!(self.entries.remove(&place).is_some(), "{place:x} is empty");
        Ok(())
    }
}

fn table_of(place: u32) -> u16 {
    u16::try_from(place >> 20).unwrap()
}

fn word(packet: &[u8], offset: i32) -> Option<u32> {
    let at = usize::try_from(offset).unwrap();
    let bytes = packet.get(at..at + 4)?;
    Some(u32::from_be_bytes(bytes.try_into().unwrap()))
}

fn byte(packet: &[u8], by: Byte) -> Option<u8> {
    Some((word(packet, by.offset)? >> by.shift).to_le_bytes()[0])
}

/// The start of a packet of a flow, with all that its filter wants; from anybody, where it may be.
fn packet(flow: Flow) -> Vec<u8> {
    let mut packet = vec![0; 60];
    packet[0] = 0x45;
    for key in flow.keys().unwrap() {
        let at = usize::try_from(key.off).unwrap();
        let old = word(&packet, key.off).unwrap();
        let new = old & !key.mask | key.val;
        packet[at..at + 4].copy_from_slice(&new.to_be_bytes());
    }
    packet
}

fn flow(to: [u8; 4], port: u16, sender: Option<([u8; 4], u16)>) -> Flow {
    Flow {
        session: Session::new(Ipv4Addr::from(to), 17, port).unwrap(),
        sender: sender.map(|(from, port)| FilterSpec::new(Ipv4Addr::from(from), port)),
    }
}

/// Filters of flows, each with a class of its own number.
fn all(flows: &[Flow]) -> (Model, Filters) {
    let mut model = Model::default();
    let mut filters = Filters::set_up(&mut model).unwrap();
    for (minor, flow) in (0..).zip(flows) {
        filters.add(&mut model, *flow, minor).unwrap();
    }
    (model, filters)
}

#[test]
fn a_packet_is_compared_with_few_of_ten_thousand_filters() {
    let from = Some(([10, 1, 1, 1], 4000));
    let [one, other]: [fn(u16) -> [u8; 2]; 2] =
        [u16::to_be_bytes, |it| it.swap_bytes().to_be_bytes()];
    let shapes: [(&str, &dyn Fn(u16) -> Flow); 6] = [
        ("destinations of one network", &|it| {
            let [high, low] = one(it);
            flow([10, 78, high, low], 5004, from)
        }),
        ("networks with one host each", &|it| {
            let [high, low] = other(it);
            flow([10, high, low, 1], 5004, None)
        }),
        ("ports of one host", &|it| {
            flow([10, 78, 0, 1], 1_024 + it, from)
        }),
        ("destinations and ports that go together", &|it| {
            let [high, low] = one(it);
            flow([10, 78, high, low], 1_024 + it, from)
        }),
        ("senders of one session", &|it| {
            let [high, low] = one(it);
            flow([10, 78, 0, 1], 5004, Some(([10, high, 7, low], 4000)))
        }),
        ("source ports of one host", &|it| {
            flow([10, 78, 0, 1], 5004, Some(([10, 1, 1, 1], 1 + it)))
        }),
    ];
    for (name, shape) in shapes {
        let flows: Vec<_> = (0..10_000).map(shape).collect();
        let (mut model, mut filters) = all(&flows);
        let mut sum = 0;
        for (minor, flow) in (0..).zip(&flows) {
            let (class, compared, deep) = model.classify(Version::V4, &packet(*flow));
            assert_eq!(class, Some(minor), "{name}");
            assert!(
                compared <= CROWDED && deep <= 4,
                "{name}: {compared}, {deep}"
            );
            sum += compared;
        }
        println!("{name}: {} tables, {sum} comparisons", model.tables.len());
        // One or two are usual.
        assert!(sum <= 20_000, "{name}: {sum}");
        assert!(model.tables.len() <= 600, "{name}: {}", model.tables.len());
        for flow in flows {
            filters.remove(&mut model, flow);
        }
        assert!(model.entries.is_empty(), "{name}");
        assert!(filters.buckets.is_empty() && filters.used.is_empty());
        // Tables that are there are used again.
        let tables = model.tables.len();
        let flows: Vec<_> = (0..10_000).map(shape).collect();
        for flow in flows {
            filters.add(&mut model, flow, 1).unwrap();
        }
        assert_eq!(model.tables.len(), tables, "{name}");
    }
}

#[test]
fn few_flows_need_no_tables_of_their_own() {
    let flows: Vec<_> = (0..4)
        .map(|port| flow([10, 0, 0, 1], 5_000 + port, None))
        .collect();
    assert_eq!(all(&flows).0.tables.len(), 2);
}

#[test]
fn what_the_kernel_has_no_tables_for_is_compared_one_by_one() {
    let flows: Vec<_> = (0..3_000_u16)
        .map(|it| {
            let [high, low] = it.to_be_bytes();
            flow([10, 78, high, low], 5004, None)
        })
        .collect();
    let mut model = Model::default();
    let mut filters = Filters::set_up(&mut model).unwrap();
    filters.tables = Numbers::new(3..=20);
    for (minor, flow) in (0..).zip(&flows) {
        filters.add(&mut model, *flow, minor).unwrap();
    }
    assert_eq!(model.tables.len(), 20);
    for (minor, flow) in (0..).zip(&flows) {
        let (class, compared, _) = model.classify(Version::V4, &packet(*flow));
        assert_eq!(class, Some(minor));
        assert!(compared <= 12, "{compared}");
    }
    // What is given up by some is there for others.
    for flow in &flows[..2_900] {
        filters.remove(&mut model, *flow);
    }
    assert!(filters.spare.len() == 18, "{:?}", filters.spare);
}

#[test]
fn a_bucket_that_is_full_says_so() {
    let taken = || FILTERS.take(3);
    assert_eq!(free(taken(), 1..=3), None);
    assert_eq!(free(taken(), 1..=4), Some(4));
    assert_eq!(free([1, 3].into_iter(), 1..=3), Some(2));
    assert_eq!(free([2, 3].into_iter(), 1..=3), Some(1));
    assert_eq!(free(std::iter::empty(), 1..=3), Some(1));
}

/// A flow of few destinations, ports and senders, some of which have none.
fn any_flow() -> impl Strategy<Value = Flow> {
    let sender = prop::option::of((0..3_u8, 0..40_u16));
    (any::<bool>(), 0..2_u8, 0..3_u8, 0..12_u16, sender).prop_map(
        |(is_v4, network, host, port, sender)| {
            let address = |network: u8, host: u8| -> std::net::IpAddr {
                match is_v4 {
                    true => Ipv4Addr::new(10, network, 0, host).into(),
                    false => {
                        Ipv6Addr::new(0xfd77, network.into(), 0, 0, 0, 0, 0, host.into()).into()
                    }
                }
            };
            // A protocol has ports, or it has none.
            let (protocol, port) = match port {
                0..=2 => (100 + u8::try_from(port).unwrap(), 0),
                port => (17, port * 256),
            };
            let sender = sender.map(|(host, source)| {
                FilterSpec::new(address(9, host), if port == 0 { 0 } else { 1 + source })
            });
            let session = Session::new(address(network, host), protocol, port).unwrap();
            Flow { session, sender }
        },
    )
}

proptest! {
    #[test]
    fn packets_go_where_a_list_of_filters_would_have_them_go(
        steps in prop::collection::vec((any_flow(), 0..4_u8, prop::option::of(0..12_u32)), 1..200)
    ) {
        let mut model = Model::default();
        let mut filters = Filters::set_up(&mut model).unwrap();
        let mut list: Vec<(Flow, u16)> = Vec::new();
        for (minor, (flow, kind, refuses_in)) in (2..).zip(&steps) {
            model.refuses_in = *refuses_in;
            match list.iter().position(|(other, _)| other == flow) {
                None => {
                    if filters.add(&mut model, *flow, minor).is_ok() {
                        list.push((*flow, minor));
                    }
                }
                Some(at) if *kind == 0 => {
                    filters.remove(&mut model, *flow);
                    list.swap_remove(at);
                }
                Some(_) => {}
            }
            model.refuses_in = None;
            prop_assert!(model.entries.len() >= list.len());
        }
        for (flow, _, _) in &steps {
            let bytes = packet(*flow);
            // A session either has any sender or some.
            let is_it = |other: &&(Flow, u16)| {
                other.0.version() == flow.version() && other.0.keys().unwrap().iter().all(|key| {
                    word(&bytes, key.off).unwrap() & key.mask == key.val
                })
            };
            let wanted: Vec<_> = list.iter().filter(is_it).map(|(_, minor)| *minor).collect();
            let (class, _, deep) = model.classify(flow.version(), &bytes);
            prop_assert!(class.map_or(wanted.is_empty(), |class| wanted.contains(&class)));
            prop_assert!(deep <= DEPTH);
        }
        for (flow, _) in list {
            filters.remove(&mut model, flow);
        }
        prop_assert!(model.entries.is_empty());
        prop_assert!(filters.buckets.is_empty() && filters.used.is_empty());
    }
}
