//! The stamp of a file that may still be written to: for the copies that are kept.

use std::fs::File;
use std::io;
use std::thread;
use std::time::{Duration, SystemTime};

use super::FileStamp;

/// How coarse the clock is that the kernel stamps files with, and more.
pub(super) const TICK: Duration = Duration::from_millis(20);

impl FileStamp {
    /// That of an open file which, if it was changed a moment ago, is waited for: what is read from
    /// it afterwards has another stamp once it is changed again. `None` where the file system's
    /// times are too coarse for that.
    pub(crate) fn settled(file: &File) -> io::Result<Option<Self>> {
        let stamp = Self::from(&file.metadata()?);
        match stamp.age() {
            Some(age) if age < TICK => thread::sleep(TICK - age),
            Some(_) => {}
            None => return Ok(None),
        }
        let is_coarse = stamp.changed.1 == 0;
        Ok(Some(Self::from(&file.metadata()?)).filter(|now| *now == stamp && !is_coarse))
    }

    /// How long ago the file was changed; `None` if that lies ahead.
    fn age(&self) -> Option<Duration> {
        let seconds = u64::try_from(self.changed.0).ok()?;
        let nanoseconds = u32::try_from(self.changed.1).ok()?;
        let changed = SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))?;
        changed.elapsed().ok()
    }
}
