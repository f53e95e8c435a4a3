//! Whether a file still has the contents that were copied from it.
//!
//! This takes a fraction of the time of making a copy and looking into it. Most of the copy is already in
//! memory, where the loader has mapped it; the rest is read.

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use crate::platform::Prepared;

/// A part of a copy that is mapped, for reading, as long as this is used.
pub(crate) struct InPlace {
    part: Range<u64>,
    start: *const c_void,
}

impl InPlace {
    /// # Safety
    ///
    /// This part of the copy is mapped from `start` on, all of it, and stays so as long as the result is used.
    pub(crate) unsafe fn new(part: Range<u64>, start: *const c_void) -> Self {
        Self { part, start }
    }

    /// Whether it has these bytes from this place of the file on.
    fn has_at(&self, offset: u64, bytes: &[u8]) -> bool {
        let place = offset.checked_sub(self.part.start);
        let Some(place) = place.and_then(|place| usize::try_from(place).ok()) else {
            return false;
        };
        if offset + bytes.len() as u64 > self.part.end {
            return false;
        }
        let place = self.start.wrapping_byte_add(place);
        // SAFETY: so many bytes are mapped there, as whoever made this vouches.
        unsafe { libc::memcmp(place, bytes.as_ptr().cast(), bytes.len()) == 0 }
    }
}

/// Whether these parts of `source` are as they were when `copy` was made and prepared.
pub(super) fn same(
    source: &File,
    copy: &File,
    parts: &[Range<u64>],
    prepared: &Prepared,
    in_place: &[InPlace],
) -> io::Result<bool> {
    const AT_ONCE: usize = 64 << 10;
    // The parts tell which they are.
    if source.metadata()?.len() != copy.metadata()?.len() {
        return Ok(false);
    }
    let (mut theirs, mut ours) = (vec![0; AT_ONCE], vec![0; AT_ONCE]);
    for piece in pieces(parts, prepared.names_for_debuggers(), in_place) {
        let mapped = in_place
            .iter()
            .find(|mapped| mapped.part.contains(&piece.start));
        let mut next = piece.start;
        while next < piece.end {
            let left = usize::try_from(piece.end - next).unwrap_or(AT_ONCE);
            let count = left.min(AT_ONCE);
            let (theirs, ours) = (&mut theirs[..count], &mut ours[..count]);
            source.read_exact_at(theirs, next)?;
            let is_same = if let Some(mapped) = mapped {
                mapped.has_at(next, theirs)
            } else {
                copy.read_exact_at(ours, next)?;
                prepared.undo_changes(ours, next);
                theirs == ours
            };
            if !is_same {
                return Ok(false);
            }
            next += count as u64;
        }
    }
    Ok(true)
}

/// Cuts the parts where one begins or ends that is to be left out, or that is mapped.
fn pieces(parts: &[Range<u64>], left_out: &[Range<u64>], in_place: &[InPlace]) -> Vec<Range<u64>> {
    let mapped = in_place.iter().map(|mapped| &mapped.part);
    let bounds = left_out.iter().chain(mapped);
    let bounds: Vec<u64> = bounds.flat_map(|range| [range.start, range.end]).collect();
    let cut = |part: &Range<u64>| {
        let inside = bounds.iter().filter(|bound| part.contains(bound));
        let mut cuts: Vec<u64> = inside.copied().chain([part.start, part.end]).collect();
        cuts.sort_unstable();
        cuts.dedup();
        cuts
    };
    let mut pieces = Vec::new();
    for cuts in parts.iter().map(cut) {
        pieces.extend(cuts.windows(2).map(|cuts| cuts[0]..cuts[1]));
    }
    pieces.retain(|piece| !left_out.iter().any(|range| range.contains(&piece.start)));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_cut_and_left_out() {
        // SAFETY: nothing is looked at.
        let mapped = |part| unsafe { InPlace::new(part, std::ptr::null()) };
        let in_place = [mapped(0..10), mapped(10..15)];
        let pieces = |parts: &[Range<u64>]| pieces(parts, &[20..30, 35..60], &in_place);
        assert_eq!(
            pieces(&[0..18, 18..100]),
            [0..10, 10..15, 15..18, 18..20, 30..35, 60..100]
        );
        assert_eq!(pieces(&[5..12, 40..70]), [5..10, 10..12, 60..70]);
        assert_eq!(pieces(&[20..30, 7..7]), []);
    }
}
