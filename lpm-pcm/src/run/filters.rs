//! The filters of an interface, in hash tables so that a packet is compared with few of them.
//!
//! A table has 256 buckets, and a packet goes to the one that a byte of it says. The first table of
//! each version of IP is by the last byte of destinations. A bucket that gets crowded leads on to a
//! table of its own, by the byte that tells most of its filters apart; a filter that does not look
//! at that byte stays. So there are tables only where they are of use, and a packet is compared
//! with [`CROWDED`] filters at most in each bucket. Once the kernel has no more numbers for tables,
//! it is compared with more.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::ops::RangeInclusive;

use netlink_packet_route::tc::TcU32Key;

use super::classifier::{Byte, Classifier, Flow, Version};
use super::numbers::Numbers;

/// How many filters a bucket has before it leads on.
const CROWDED: usize = 4;
/// The numbers of tables, the first ones among them. The kernel itself gives out higher ones.
const TABLES: RangeInclusive<u16> = 1..=0x7ff;
/// The numbers in a bucket: of filters, and behind them of what leads on, since a packet that is
/// too short for a byte it would be led on by is compared with nothing more.
const FILTERS: RangeInclusive<u16> = 1..=0xfdf;
const ONWARD: RangeInclusive<u16> = 0xfe0..=0xfff;
/// How many tables a packet may go through (TC_U32_MAXDEPTH).
const DEPTH: usize = 8;

/// The filters that there are on an interface.
pub(super) struct Filters {
    /// Those with something in them.
    buckets: HashMap<Place, Bucket>,
    /// How many buckets of a table have something in them.
    used: HashMap<u16, usize>,
    tables: Numbers<u16>,
    /// Tables that nothing leads to any more. They are used again: the kernel holds on to a table
    /// for some time after what led to it is gone.
    spare: Vec<(Version, u16)>,
}

/// A bucket of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place {
    table: u16,
    bucket: u8,
}

#[derive(Default)]
struct Bucket {
    /// In ascending order of their numbers.
    filters: Vec<Filter>,
    /// A filter is behind the first of these whose byte it looks at.
    onward: Vec<Onward>,
}

struct Filter {
    number: u16,
    minor: u16,
    flow: Flow,
}

struct Onward {
    number: u16,
    by: Byte,
    table: u16,
}

impl Filters {
    /// Has the first tables on an interface, whose HTB is new.
    pub(super) fn set_up(kernel: &mut impl Classifier) -> io::Result<Self> {
        let mut tables = Numbers::new(TABLES);
        for version in [Version::V4, Version::V6] {
            tables.take();
            let table = first(version);
            kernel.add_table(version, table)?;
            kernel.lead_on(version, None, table, version.destination())?;
        }
        Ok(Self {
            buckets: HashMap::new(),
            used: HashMap::new(),
            tables,
            spare: Vec::new(),
        })
    }

    /// Leads the packets of a flow to a class.
    pub(super) fn add(
        &mut self,
        kernel: &mut impl Classifier,
        flow: Flow,
        minor: u16,
    ) -> io::Result<()> {
        let keys = flow.keys().ok_or_else(|| {
            let what = "the kernel cannot tell apart flows that differ only in their IPsec SPI";
            io::Error::new(io::ErrorKind::Unsupported, what)
        })?;
        let (version, way) = (flow.version(), self.way(flow.version(), &keys));
        let place = *way.last().ok_or(io::ErrorKind::InvalidInput)?;
        let number = self.buckets.get(&place).map_or_else(
            || Some(*FILTERS.start()),
            |bucket| free(bucket.filters.iter().map(|filter| filter.number), FILTERS),
        );
        let number = number.ok_or_else(|| {
            let what = "the kernel has no more room for filters of such flows on this interface";
            io::Error::new(io::ErrorKind::QuotaExceeded, what)
        })?;
        kernel.add_filter(version, place.number(number), minor, keys)?;
        let filter = Filter {
            number,
            minor,
            flow,
        };
        self.put(place, filter);
        self.spread(kernel, version, place, way.len());
        Ok(())
    }

    /// Takes the filter of a flow away.
    pub(super) fn remove(&mut self, kernel: &mut impl Classifier, flow: Flow) {
        let Some(keys) = flow.keys() else {
            return;
        };
        let (version, way) = (flow.version(), self.way(flow.version(), &keys));
        // What cannot be taken away was taken away by somebody else.
        if let Some(place) = way.last() {
            self.take(kernel, version, *place, |filter| filter.flow == flow);
        }
        // A table with nothing in it is no longer led to.
        let mut way = way.into_iter().rev().peekable();
        while let Some(place) = way.next().filter(|place| self.is_last(*place)) {
            let before = way.peek();
            if let Some((before, bucket)) =
                before.and_then(|it| Some((it, self.buckets.get_mut(it)?)))
            {
                let is_it = |onward: &Onward| onward.table == place.table;
                if let Some(at) = bucket.onward.iter().position(is_it) {
                    let onward = bucket.onward.remove(at);
                    let _ = kernel.remove(version, before.number(onward.number));
                    self.spare.push((version, place.table));
                }
            }
        }
    }

    /// The buckets that packets with these keys go through, up to the one where their filter is, or
    /// is to be.
    fn way(&self, version: Version, keys: &[TcU32Key]) -> Vec<Place> {
        let next = |(table, by): (u16, Byte)| {
            let bucket = by.of(keys)?;
            Some(Place { table, bucket })
        };
        let first = next((first(version), version.destination()));
        let way = std::iter::successors(first, |place| {
            let onward = &self.buckets.get(place)?.onward;
            onward
                .iter()
                .find_map(|onward| next((onward.table, onward.by)))
        });
        way.collect()
    }

    fn put(&mut self, place: Place, filter: Filter) {
        let bucket = match self.buckets.entry(place) {
            Entry::Occupied(bucket) => bucket.into_mut(),
            Entry::Vacant(place_for) => {
                *self.used.entry(place.table).or_default() += 1;
                place_for.insert(Bucket::default())
            }
        };
        let at = bucket
            .filters
            .partition_point(|other| other.number < filter.number);
        // Most have one, and a vector begins with room for four.
        if bucket.filters.is_empty() {
            bucket.filters.reserve_exact(1);
        }
        bucket.filters.insert(at, filter);
    }

    /// Takes filters out of a bucket.
    fn take(
        &mut self,
        kernel: &mut impl Classifier,
        version: Version,
        place: Place,
        is_taken: impl Fn(&Filter) -> bool,
    ) {
        if let Some(bucket) = self.buckets.get_mut(&place) {
            bucket.filters.retain(|filter| {
                let is_taken = is_taken(filter);
                if is_taken {
                    let _ = kernel.remove(version, place.number(filter.number));
                }
                !is_taken
            });
        }
    }

    /// Forgets a bucket if there is nothing in it. Whether it was the last one of its table.
    fn is_last(&mut self, place: Place) -> bool {
        let bucket = self.buckets.get(&place);
        if !bucket.is_some_and(|it| it.filters.is_empty() && it.onward.is_empty()) {
            return false;
        }
        self.buckets.remove(&place);
        let used = self.used.entry(place.table).or_default();
        *used -= 1;
        let is_last = *used == 0;
        if is_last {
            self.used.remove(&place.table);
        }
        is_last
    }

    /// Has a crowded bucket lead on to a table of its own. Where that cannot be it stays as it is,
    /// and packets are compared with more.
    fn spread(
        &mut self,
        kernel: &mut impl Classifier,
        version: Version,
        place: Place,
        depth: usize,
    ) {
        let Some(bucket) = self.buckets.get(&place).filter(|_| depth < DEPTH) else {
            return;
        };
        let mut numbers = ONWARD;
        let number = numbers.find(|number| bucket.onward.iter().all(|it| it.number != *number));
        let Some((number, by)) = number.zip(apart(&bucket.filters)) else {
            return;
        };
        let Some(table) = self.table(kernel, version) else {
            return;
        };
        let Ok(behind) = self.behind(kernel, version, place, Onward { number, by, table }) else {
            self.spare.push((version, table));
            return;
        };
        // Now that packets are compared there, they need not be here.
        self.take(kernel, version, place, |filter| filter.is_behind(by));
        if let Some(bucket) = self.buckets.get_mut(&place) {
            bucket.filters.shrink_to_fit();
            bucket.onward.push(Onward { number, by, table });
        }
        let places: BTreeSet<u8> = behind.iter().map(|(place, _)| place.bucket).collect();
        for (place, filter) in behind {
            self.put(place, filter);
        }
        for bucket in places {
            self.spread(kernel, version, Place { table, bucket }, depth + 1);
        }
    }

    /// A table that nothing leads to.
    fn table(&mut self, kernel: &mut impl Classifier, version: Version) -> Option<u16> {
        let spare = self.spare.iter().position(|(of, _)| *of == version);
        if let Some(spare) = spare {
            return Some(self.spare.swap_remove(spare).1);
        }
        let table = self.tables.take()?;
        if kernel.add_table(version, table).is_err() {
            self.tables.give_back(table);
            return None;
        }
        Some(table)
    }

    /// Has a bucket lead on to a table in which filters of the bucket are, too. These, and where
    /// they are; nothing is there if the kernel refuses one of them.
    fn behind(
        &self,
        kernel: &mut impl Classifier,
        version: Version,
        place: Place,
        Onward { number, by, table }: Onward,
    ) -> io::Result<Vec<(Place, Filter)>> {
        let mut last = HashMap::new();
        let mut behind = Vec::new();
        let filters = self.buckets.get(&place).map(|bucket| &bucket.filters);
        let added = filters.into_iter().flatten().try_for_each(|filter| {
            let keys = filter.flow.keys().unwrap_or_default();
            let Some(bucket) = by.of(&keys) else {
                return Ok(());
            };
            let last = last.entry(bucket).or_insert(0);
            *last += 1;
            let to = Place { table, bucket };
            kernel.add_filter(version, to.number(*last), filter.minor, keys)?;
            let number = *last;
            behind.push((to, Filter { number, ..*filter }));
            Ok(())
        });
        let led =
            added.and_then(|()| kernel.lead_on(version, Some(place.number(number)), table, by));
        if let Err(error) = led {
            for (place, filter) in behind {
                let _ = kernel.remove(version, place.number(filter.number));
            }
            return Err(error);
        }
        Ok(behind)
    }
}

impl Place {
    /// What the kernel calls a filter in it.
    fn number(self, number: u16) -> u32 {
        u32::from(self.table) << 20 | u32::from(self.bucket) << 12 | u32::from(number)
    }
}

impl Filter {
    fn is_behind(&self, by: Byte) -> bool {
        self.flow.keys().is_some_and(|keys| by.of(&keys).is_some())
    }
}

/// The table that all packets of a version of IP go to.
const fn first(version: Version) -> u16 {
    match version {
        Version::V4 => 1,
        Version::V6 => 2,
    }
}

/// The first number that is not taken, of which they are given in ascending order.
fn free(mut taken: impl Iterator<Item = u16>, mut all: RangeInclusive<u16>) -> Option<u16> {
    all.find(|number| taken.next() != Some(*number))
}

/// The byte by which the fewest of too many filters are left together; `None` where it is not too
/// many, or none tells them apart.
fn apart(filters: &[Filter]) -> Option<Byte> {
    if filters.len() <= CROWDED {
        return None;
    }
    let keys = filters.iter().filter_map(|filter| filter.flow.keys());
    let keys: Vec<_> = keys.collect();
    let bytes: BTreeSet<_> = keys.iter().flat_map(|keys| Byte::all(keys)).collect();
    let together = |byte: Byte| {
        let mut counts = HashMap::new();
        let values = keys.iter().map(|keys| byte.of(keys));
        values.for_each(|value| *counts.entry(value).or_insert(0) += 1);
        // Those that do not look at it are compared with all packets.
        let staying = counts.remove(&None).unwrap_or(0);
        staying + counts.into_values().max().unwrap_or(0)
    };
    let best = bytes.into_iter().map(|byte| (together(byte), byte)).min();
    best.filter(|(together, _)| *together < filters.len())
        .map(|(_, byte)| byte)
}

#[cfg(test)]
mod tests;
