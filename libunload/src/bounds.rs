//! What a look into a library's file may take, whatever the file says. Real libraries need far
//! less.
//!
//! A few bytes can say a lot: a thousand names that are all the same long text, tables that stand
//! on top of each other, a file that is mostly a hole. So what is read is counted, not what there
//! is.

use std::cell::Cell;
use std::fs::File;
use std::ops::Range;

use object::{ReadCache, ReadRef};

use crate::error::FormatProblem;

/// How much of a file is read, in bytes; it is kept in memory meanwhile.
const MOST_READ: u64 = 1 << 30;

/// How many bytes the names of symbols may have together.
pub(crate) const NAMES_OF_SYMBOLS: Bound = Bound {
    what: "bytes of names of symbols",
    limit: 256 << 20,
};

/// How many bytes the names of libraries and folders may have together.
pub(crate) const NAMES_OF_LIBRARIES: Bound = Bound {
    what: "bytes of names of libraries and folders",
    limit: 1 << 20,
};

/// How many libraries another one may need.
pub(crate) const LIBRARIES: Bound = Bound {
    what: "libraries that it needs",
    limit: 1 << 12,
};

/// How many folders these may be looked for in.
#[cfg(unix)]
pub(crate) const FOLDERS: Bound = Bound {
    what: "folders to look for libraries in",
    limit: 1 << 12,
};

/// How many symbols are looked at.
pub(crate) const SYMBOLS: Bound = Bound {
    what: "symbols",
    limit: 8 << 20,
};

/// How many segments are looked at.
#[cfg(unix)]
pub(crate) const SEGMENTS: Bound = Bound {
    what: "segments",
    limit: 1 << 10,
};

/// How many sections are looked at.
#[cfg(unix)]
pub(crate) const SECTIONS: Bound = Bound {
    what: "sections",
    limit: 1 << 16,
};

/// How many compilers and linkers are listed, and how many bytes of the name of each.
#[cfg(unix)]
pub(crate) const MAKERS: (usize, usize) = (64, 256);

/// How much there may be of something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    what: &'static str,
    limit: u64,
}

impl Bound {
    /// Checks how much there is.
    #[cfg(any(test, unix))]
    pub(crate) fn check(self, found: usize) -> Result<(), FormatProblem> {
        self.room().take(found)
    }

    /// To be counted bit by bit.
    pub(crate) fn room(self) -> Room {
        Room {
            bound: self,
            left: self.limit,
        }
    }
}

/// What is left until a bound is reached.
pub(crate) struct Room {
    bound: Bound,
    left: u64,
}

impl Room {
    pub(crate) fn take(&mut self, count: usize) -> Result<(), FormatProblem> {
        let Bound { what, limit } = self.bound;
        let left = self.left.checked_sub(count as u64);
        self.left = left.ok_or(FormatProblem::TooMuch { what, limit })?;
        Ok(())
    }
}

/// A file that is read once, and no more than [`MOST_READ`] of it.
pub(crate) struct Reading<'f> {
    cache: ReadCache<&'f File>,
    left: Cell<Option<u64>>,
}

impl<'f> Reading<'f> {
    pub(crate) fn of(file: &'f File) -> Self {
        Self {
            cache: ReadCache::new(file),
            left: Cell::new(Some(MOST_READ)),
        }
    }

    /// What became of reading, which says only that it failed where too much was to be read.
    pub(crate) fn check<T>(&self, read: Result<T, FormatProblem>) -> Result<T, FormatProblem> {
        match (read, self.left.get()) {
            (Err(_), None) => Err(FormatProblem::TooMuch {
                what: "bytes to read",
                limit: MOST_READ,
            }),
            (read, _) => read,
        }
    }

    fn take(&self, size: u64) -> Result<(), ()> {
        let left = self.left.get().and_then(|left| left.checked_sub(size));
        self.left.set(left);
        left.map(drop).ok_or(())
    }
}

impl<'a> ReadRef<'a> for &'a Reading<'_> {
    fn len(self) -> Result<u64, ()> {
        (&self.cache).len()
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        self.take(size)?;
        (&self.cache).read_bytes_at(offset, size)
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'a [u8], ()> {
        let bytes = (&self.cache).read_bytes_at_until(range, delimiter)?;
        self.take(bytes.len() as u64)?;
        Ok(bytes)
    }
}
