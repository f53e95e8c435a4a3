//! What an LPM in a process of its own may take, and do.

use std::path::PathBuf;
use std::time::Duration;

/// What an LPM in a [process of its own](crate::Isolation::Process) may take, and do; by default as
/// much as the PCM. It holds from before the library's first code runs. What this system cannot do
/// is an event ([`LpmNotConfined`](crate::event::EventId::LpmNotConfined)); what fails otherwise
/// keeps the LPM from starting.
///
/// ```
/// use lpm_host::Confinement;
///
/// let little = Confinement::default().memory(256 << 20).no_new_processes().no_network();
/// # let _ = little;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Confinement {
    pub(crate) memory: Option<u64>,
    pub(crate) cpu_time: Option<Duration>,
    pub(crate) open_files: Option<u64>,
    pub(crate) no_new_processes: bool,
    pub(crate) no_network: bool,
    pub(crate) files: Option<Files>,
    pub(crate) user: Option<(u32, u32)>,
}

/// The files that an LPM may open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) read: Vec<PathBuf>,
    pub(crate) write: Vec<PathBuf>,
}

impl Confinement {
    /// So many bytes of memory of its own (`RLIMIT_DATA`). What does not cope with less ends.
    pub const fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// So much time of processors in its life, in whole seconds (`RLIMIT_CPU`); then it ends, and
    /// starts again.
    pub const fn cpu_time(mut self, time: Duration) -> Self {
        self.cpu_time = Some(time);
        self
    }

    /// So many files open at once (`RLIMIT_NOFILE`), of which the runner has some 8.
    pub const fn open_files(mut self, count: u64) -> Self {
        self.open_files = Some(count);
        self
    }

    /// No processes but threads, and no other programs (seccomp).
    pub const fn no_new_processes(mut self) -> Self {
        self.no_new_processes = true;
        self
    }

    /// No sockets but those of the domain `AF_UNIX` (seccomp), and no TCP (Landlock).
    pub const fn no_network(mut self) -> Self {
        self.no_network = true;
        self
    }

    /// Only these files and folders, with all that is in them, to read, and these to read and write
    /// (Landlock); besides them the system's libraries.
    pub fn files<P: Into<PathBuf>>(
        mut self,
        read: impl IntoIterator<Item = P>,
        write: impl IntoIterator<Item = P>,
    ) -> Self {
        self.files = Some(Files {
            read: read.into_iter().map(Into::into).collect(),
            write: write.into_iter().map(Into::into).collect(),
        });
        self
    }

    /// As this user and group, and in no other group; the PCM has to be root.
    pub const fn user(mut self, user: u32, group: u32) -> Self {
        self.user = Some((user, group));
        self
    }
}
