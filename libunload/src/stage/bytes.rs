//! The bytes of a private copy: those of the library's file at one moment, without its debugging
//! information.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::iter;
use std::ops::Range;

#[cfg(target_os = "linux")]
use super::lease::Lease;
use crate::stamp::FileStamp;

/// How much of a library is copied, in bytes: a file that is mostly a hole is as long as it likes.
const MOST_COPIED: u64 = 4 << 30;

/// Copies the file, unless the copy is to be whole with holes for its debugging information;
/// `false` when the file was changed meanwhile, time and again.
pub(super) fn copy(source: &File, copy: &File, whole: bool) -> io::Result<bool> {
    const ATTEMPTS: usize = 3;
    for _ in 0..ATTEMPTS {
        #[cfg(target_os = "linux")]
        let lease = Lease::of(source);
        let before = source.metadata()?;
        let parts = match whole {
            true => iter::once(0..before.len()).collect(),
            false => parts(source, before.len()),
        };
        let length: u64 = parts.iter().map(|part| part.end - part.start).sum();
        if length > MOST_COPIED {
            return Err(io::Error::other("it has more than 4 GiB to copy"));
        }
        copy.set_len(0)?;
        copy.set_len(before.len())?;
        let complete = parts.iter().try_fold(true, |complete, part| {
            Ok::<_, io::Error>(complete && copy_part(source, copy, part)?)
        })?;
        #[cfg(target_os = "linux")]
        let nobody_wrote = lease.is_some_and(|lease| lease.is_held());
        #[cfg(not(target_os = "linux"))]
        let nobody_wrote = false;
        // Times are coarse: a file may be written to again without them telling. What is read twice
        // with the same result, all of it the second time after all of it the first, was so at the
        // moment between.
        if complete
            && (nobody_wrote
                || parts.iter().try_fold(true, |same, part| {
                    Ok::<_, io::Error>(same && is_same_part(source, copy, part)?)
                })?)
            && FileStamp::from(&before) == (&source.metadata()?).into()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Copies a part of a file to the same place; `false` if it is not all there.
///
/// By hand, since pages that the kernel passes on in ways of its own can stay busy for a while, and
/// a file with busy pages cannot be sealed.
fn copy_part(mut source: &File, mut copy: &File, part: &Range<u64>) -> io::Result<bool> {
    const AT_ONCE: usize = 256 << 10;
    source.seek(SeekFrom::Start(part.start))?;
    copy.seek(SeekFrom::Start(part.start))?;
    let mut left = part.end.saturating_sub(part.start);
    let mut bytes = vec![0; AT_ONCE.min(usize::try_from(left).unwrap_or(AT_ONCE))];
    while left > 0 {
        let wanted = bytes
            .len()
            .min(usize::try_from(left).unwrap_or(bytes.len()));
        match source.read(&mut bytes[..wanted]) {
            Ok(0) => return Ok(false),
            Ok(count) => {
                copy.write_all(&bytes[..count])?;
                left -= count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Whether a part of a file is the same in both, by hand as above.
fn is_same_part(mut source: &File, mut copy: &File, part: &Range<u64>) -> io::Result<bool> {
    const AT_ONCE: usize = 256 << 10;
    source.seek(SeekFrom::Start(part.start))?;
    copy.seek(SeekFrom::Start(part.start))?;
    let mut left = part.end.saturating_sub(part.start);
    let size = AT_ONCE.min(usize::try_from(left).unwrap_or(AT_ONCE));
    let (mut theirs, mut ours) = (vec![0; size], vec![0; size]);
    while left > 0 {
        let count = size.min(usize::try_from(left).unwrap_or(size));
        match source.read_exact(&mut theirs[..count]) {
            // It has become shorter.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            read => read?,
        }
        copy.read_exact(&mut ours[..count])?;
        if theirs[..count] != ours[..count] {
            return Ok(false);
        }
        left -= count as u64;
    }
    Ok(true)
}

/// What has to be copied.
#[cfg(all(unix, not(target_vendor = "apple")))]
fn parts(source: &File, length: u64) -> Vec<Range<u64>> {
    around(crate::elf::debugging_information(source), length)
}

/// What is left of a file of this length around holes, which are in ascending order.
#[cfg(all(unix, not(target_vendor = "apple")))]
fn around(holes: Vec<Range<u64>>, length: u64) -> Vec<Range<u64>> {
    let mut parts = Vec::new();
    let mut next = 0;
    for hole in holes {
        if next <= hole.start && hole.end <= length {
            // Sections adjoin as a rule, with nothing between them.
            if next < hole.start {
                parts.push(next..hole.start);
            }
            next = hole.end;
        }
    }
    parts.push(next..length);
    parts
}

/// What has to be copied.
#[cfg(not(all(unix, not(target_vendor = "apple"))))]
fn parts(_source: &File, length: u64) -> Vec<Range<u64>> {
    vec![0..length]
}

#[cfg(all(test, unix, not(target_vendor = "apple")))]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::{around, is_same_part};

    #[test]
    fn a_file_that_was_written_to_meanwhile_is_not_the_same() {
        let file = |contents: &[u8]| {
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(contents).expect("written");
            file
        };
        let same = |source: &File, copy: &File| is_same_part(source, copy, &(1..600_000));
        let (source, mut changed) = (vec![1; 600_000], vec![1; 600_000]);
        let (source, copy) = (file(&source), file(&changed));
        assert!(same(&source, &copy).expect("read"));
        changed[599_999] = 2;
        assert!(!same(&file(&changed), &copy).expect("read"));
        source.set_len(599_999).expect("cut");
        assert!(!same(&source, &copy).expect("read"));
    }

    #[test]
    fn nothing_of_a_hole_is_left() {
        assert_eq!(around(vec![2..4, 4..6, 8..9], 10), [0..2, 6..8, 9..10]);
        assert_eq!(around(vec![0..1, 1..3, 5..8], 9), [3..5, 8..9]);
    }

    #[test]
    fn a_hole_that_the_file_does_not_have_is_none() {
        assert_eq!(around(vec![2..3, 6..9], 8), [0..2, 3..8]);
    }
}
