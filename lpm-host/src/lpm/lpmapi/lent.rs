//! Memory that is lent to an LPM for one call, in one piece: areas, and fences between them that
//! nobody has a reason to write to. Whoever does wrote beyond what he was given.

use std::cell::Cell;
use std::ops::Range;

/// What is to be lent.
pub(super) struct Plan {
    bytes: Vec<u8>,
    fences: Vec<Range<usize>>,
}

/// A part of what is lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Area {
    /// A multiple of [`ALIGNMENT`].
    start: usize,
    length: usize,
}

/// Of areas.
const ALIGNMENT: usize = size_of::<u64>();
/// Bytes of a fence, but for the last: what runs far over the end of the last area is still ours.
const FENCE: usize = 8;
const LAST_FENCE: usize = 4096;

impl Plan {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        let mut plan = Self {
            bytes: Vec::with_capacity(1024 + LAST_FENCE),
            fences: Vec::with_capacity(24),
        };
        plan.fence(FENCE);
        plan
    }

    /// Room for so many bytes, all 0.
    pub(super) fn room(&mut self, length: usize) -> Area {
        self.put(&[], length)
    }

    /// These bytes, with zeros behind them up to a length.
    pub(super) fn put(&mut self, bytes: &[u8], least: usize) -> Area {
        let area = Area {
            start: self.bytes.len(),
            length: bytes.len().max(least),
        };
        self.bytes.extend(bytes);
        self.bytes.resize(area.start + area.length, 0);
        self.fence(FENCE);
        area
    }

    /// Room for values of this type.
    pub(super) fn room_for<T>(&mut self, count: usize) -> Area {
        const {
            assert!(align_of::<T>() <= ALIGNMENT);
        }
        self.room(count.saturating_mul(size_of::<T>()))
    }

    fn fence(&mut self, length: usize) {
        let start = self.bytes.len();
        let end = (start + length).next_multiple_of(ALIGNMENT);
        self.bytes.extend((start..end).map(post));
        self.fences.push(start..end);
    }

    /// The memory.
    pub(super) fn lend(mut self) -> Lent {
        self.fence(LAST_FENCE);
        let words = self.bytes.chunks_exact(ALIGNMENT);
        let word =
            |bytes: &[u8]| Cell::new(u64::from_ne_bytes(bytes.try_into().unwrap_or_default()));
        Lent {
            words: words.map(word).collect(),
            fences: self.fences,
        }
    }
}

/// What stands at this place of a fence.
#[expect(clippy::cast_possible_truncation, reason = "any byte will do")]
const fn post(at: usize) -> u8 {
    0xA5 ^ (at.wrapping_mul(29) as u8)
}

/// The memory.
pub(super) struct Lent {
    /// In cells, since the LPM may write to them.
    words: Box<[Cell<u64>]>,
    fences: Vec<Range<usize>>,
}

impl Lent {
    /// Where an area is.
    pub(super) fn pointer<T>(&self, area: Area) -> *mut T {
        let words = self.words.get(area.start / ALIGNMENT..);
        let words = words.unwrap_or_default().as_ptr();
        words.cast::<T>().cast_mut()
    }

    /// Where an area is, or nowhere.
    pub(super) fn pointer_if<T>(&self, area: Option<Area>) -> *mut T {
        area.map_or(std::ptr::null_mut(), |area| self.pointer(area))
    }

    /// Writes the values that an area has room for.
    pub(super) fn write<T: Copy>(&self, area: Area, values: impl IntoIterator<Item = T>) {
        let start: *mut T = self.pointer(area);
        let room = area.length / size_of::<T>().max(1);
        for (index, value) in values.into_iter().take(room).enumerate() {
            // SAFETY: `room` says that the area has this place; it is aligned, since areas are, for
            // types that `room_for` takes; and it is in cells.
            unsafe { start.add(index).write(value) };
        }
    }

    /// Reads the values that an area has room for.
    pub(super) fn read(&self, area: Area) -> impl Iterator<Item = u64> + '_ {
        let first = area.start / ALIGNMENT;
        let words = self.words.get(first..first + area.length / ALIGNMENT);
        words.unwrap_or_default().iter().map(Cell::get)
    }

    /// How many bytes of the fences are not what they were.
    pub(super) fn overrun(&self) -> usize {
        let is_changed = |at: &usize| {
            let word = self.words.get(at / ALIGNMENT).map(Cell::get);
            word.unwrap_or_default().to_ne_bytes()[at % ALIGNMENT] != post(*at)
        };
        let fences = self.fences.iter().cloned().flatten();
        fences.filter(is_changed).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_beyond_an_area_is_seen() {
        let lay_out = || {
            let mut plan = Plan::new();
            let areas = [
                plan.put(&[1, 2, 3, 4], 12),
                plan.room_for::<u64>(2),
                plan.room(0),
            ];
            (plan.lend(), areas)
        };
        let (lent, areas) = lay_out();
        lent.write(areas[1], [5u64, 6, 7]);
        assert_eq!(lent.read(areas[1]).collect::<Vec<_>>(), [5, 6]);
        assert_eq!(lent.overrun(), 0);
        let first = lent.pointer::<u8>(areas[0]);
        // SAFETY: inside of the memory.
        assert_eq!(unsafe { first.add(3).read() }, 4);
        // SAFETY: the same.
        assert_eq!(unsafe { first.add(11).read() }, 0);
        for (area, length) in areas.iter().zip([12isize, 16, 0]) {
            for beyond in [-1, length, length + 7] {
                let (lent, _) = lay_out();
                let byte = lent.pointer::<u8>(*area).wrapping_offset(beyond);
                // SAFETY: there is a fence.
                unsafe { byte.write(byte.read().wrapping_add(1)) };
                assert_eq!(lent.overrun(), 1, "{area:?} {beyond}");
            }
        }
    }
}
