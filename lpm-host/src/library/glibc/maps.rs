//! The kernel's view of what is mapped (`/proc/self/maps`).

use std::fs;
use std::io;
use std::ops::Range;

/// A mapping of this process.
pub(super) struct Mapping {
    pub(super) range: Range<usize>,
    /// Device and inode of the file.
    identity: String,
    /// The file, and ` (deleted)` where it is gone; empty where there is none.
    pub(super) file: String,
}

/// All mappings, in the order of their addresses.
pub(super) fn mappings() -> io::Result<Vec<Mapping>> {
    let text = fs::read("/proc/self/maps")?;
    // Paths need not be UTF-8.
    String::from_utf8_lossy(&text)
        .lines()
        .map(Mapping::parse)
        .collect()
}

impl Mapping {
    /// `start-end access offset device inode   file`
    fn parse(line: &str) -> io::Result<Self> {
        let unexpected = || {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("/proc/self/maps: {line}"),
            )
        };
        let mut words = line.splitn(6, ' ');
        let mut word = || words.next().ok_or_else(unexpected);
        let (start, end) = word()?.split_once('-').ok_or_else(unexpected)?;
        let address = |text| usize::from_str_radix(text, 16).map_err(|_| unexpected());
        let (_access, _offset) = (word()?, word()?);
        let identity = format!("{} {}", word()?, word()?);
        let file = words.next().unwrap_or_default().trim_start().to_owned();
        Ok(Self {
            range: address(start)?..address(end)?,
            identity,
            file,
        })
    }

    /// Whether a file is mapped, and not plain memory.
    pub(super) fn is_of_a_file(&self) -> bool {
        !self.file.is_empty() && !self.file.starts_with('[')
    }

    pub(super) fn overlaps(&self, range: &Range<usize>) -> bool {
        self.range.start < range.end && range.start < self.range.end
    }

    /// Whether both map the same file.
    pub(super) fn same_file(&self, other: &Self) -> bool {
        self.identity == other.identity && self.file == other.file
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_that_is_gone() {
        let line =
            "7f00-8f00 r-xp 00001000 fe:01 42                         /tmp/my lib.so (deleted)";
        let mapping = Mapping::parse(line).expect("a line of the kernel");
        assert_eq!(mapping.range, 0x7f00..0x8f00);
        assert_eq!(mapping.file, "/tmp/my lib.so (deleted)");
        assert!(mapping.is_of_a_file());
    }

    #[test]
    fn memory_without_a_file() {
        let mapping =
            Mapping::parse("0-1000 rw-p 00000000 00:00 0 ").expect("a line of the kernel");
        assert!(!mapping.is_of_a_file());
    }

    proptest! {
        #[test]
        fn every_line_is_read_or_refused(line in ".*") {
            let _ = Mapping::parse(&line);
        }

        #[test]
        fn what_the_kernel_prints_is_read(start: usize, end: usize, file in "(/[a-z ]{1,9}){0,3}") {
            let line = format!("{start:x}-{end:x} r--p 00000000 00:00 7    {file}");
            let mapping = Mapping::parse(&line).expect("a line of the kernel");
            prop_assert_eq!(mapping.range, start..end);
            prop_assert_eq!(mapping.file, file);
        }
    }
}
