//! A process that was started, whatever it is spoken to over: one thread waits for its end, while
//! others may bring it about.

use std::io;
use std::process::{Child, ExitStatus};
use std::sync::Mutex;

use crate::lock::lock;

/// A process that was started.
pub(crate) struct Spawned {
    child: Mutex<Child>,
    id: u32,
}

impl Spawned {
    pub(super) fn new(child: Child) -> Self {
        let id = child.id();
        let child = Mutex::new(child);
        Self { child, id }
    }

    /// Its number in the system.
    pub(super) const fn id(&self) -> u32 {
        self.id
    }

    /// Ends it at once.
    pub(super) fn kill(&self) {
        // Where it was waited for, the number is known to be no longer its own.
        let _ = lock(&self.child).kill();
    }

    /// How it ended, if it has.
    pub(super) fn status(&self) -> io::Result<Option<ExitStatus>> {
        lock(&self.child).try_wait()
    }

    /// Waits for its end, with a pause after each look; it can be killed meanwhile.
    pub(super) fn wait(&self, pause: impl Fn()) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.status()? {
                return Ok(status);
            }
            pause();
        }
    }
}
