//! What an LPM in a process of its own may take, and do.

use std::fmt;
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
    /// Nothing but to compute, and to read the system's libraries: no processes, no network, no
    /// files.
    pub fn strict() -> Self {
        let nothing = || Vec::<PathBuf>::new();
        let confinement = Self::default().no_new_processes().no_network();
        confinement.files(nothing(), nothing())
    }

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

/// As a list for people, such as `at most 256 MiB of memory; no network`.
impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths = |paths: &[PathBuf]| {
            let paths = paths.iter().map(|path| path.display().to_string());
            match paths.collect::<Vec<_>>().join(", ") {
                none if none.is_empty() => "nothing".to_owned(),
                some => some,
            }
        };
        let files = self.files.as_ref();
        let parts = [
            self.memory.map(|bytes| match bytes % (1 << 20) {
                0 => format!("at most {} MiB of memory", bytes >> 20),
                _ => format!("at most {bytes} bytes of memory"),
            }),
            self.cpu_time
                .map(|time| format!("at most {} s of a processor", time.as_secs().max(1))),
            self.open_files
                .map(|count| format!("at most {count} open files")),
            self.no_new_processes.then(|| "no new processes".to_owned()),
            self.no_network.then(|| "no network".to_owned()),
            files.map(|files| format!("reads {}", paths(&files.read))),
            files.map(|files| format!("writes {}", paths(&files.write))),
            self.user
                .map(|(user, group)| format!("as user {user}, group {group}")),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        match parts.is_empty() {
            true => f.write_str("not confined"),
            false => f.write_str(&parts.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_may_is_told_in_words() {
        let told = |confinement: Confinement| confinement.to_string();
        assert_eq!(told(Confinement::default()), "not confined");
        assert_eq!(
            told(Confinement::strict()),
            "no new processes; no network; reads nothing; writes nothing"
        );
        let some = Confinement::default()
            .memory(256 << 20)
            .cpu_time(Duration::from_secs(60))
            .open_files(32)
            .files(["/etc/lpm"], ["/var/lib/lpm", "/tmp"])
            .user(65534, 65533);
        assert_eq!(
            told(some),
            "at most 256 MiB of memory; at most 60 s of a processor; at most 32 open files; reads /etc/lpm; \
             writes /var/lib/lpm, /tmp; as user 65534, group 65533"
        );
        assert_eq!(
            told(Confinement::default().memory(1)),
            "at most 1 bytes of memory"
        );
    }
}
