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
