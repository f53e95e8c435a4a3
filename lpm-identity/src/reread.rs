//! The policy file, read again when it changes.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use crate::no_thread::NoThread;
use crate::policy::{Policy, read_text};

/// How long after its last change a file may still change without its time being another: file
/// systems count in steps of up to two seconds.
const SETTLED_AFTER: Duration = Duration::from_secs(3);

/// A policy file, as it was when it was last read.
#[derive(Debug)]
pub(crate) struct PolicyFile {
    path: PathBuf,
    every: Duration,
    stamp: Option<Stamp>,
    /// The SHA-256 of the text that was last read, whether it could be used or not.
    text: String,
    /// The fault that was last told.
    fault: String,
}

/// What tells one state of a file from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    /// Another file may have been moved to this name.
    file: Option<(u64, u64)>,
}

impl PolicyFile {
    /// The file at this path, as it is now: before it is read.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            stamp: Stamp::of(&path),
            path,
            every: Duration::ZERO,
            text: String::new(),
            fault: String::new(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// This text was in it, and it is to be looked at every so often.
    pub(crate) fn was_read(self, text: &str, every: Duration) -> Self {
        Self {
            every,
            text: sum(text),
            ..self
        }
    }

    /// The policy in the file, if there is another one than before.
    fn changed(&mut self) -> Option<Policy> {
        let stamp = Stamp::of(&self.path);
        if stamp == self.stamp && stamp.is_some_and(Stamp::is_settled) {
            return None;
        }
        self.stamp = stamp;
        let policy = read_text(&self.path).and_then(|text| {
            let text_before = std::mem::replace(&mut self.text, sum(&text));
            if text_before == self.text && self.fault.is_empty() {
                return Ok(None);
            }
            Ok(Policy::parse(&self.path.display().to_string(), &text).map(Some)?)
        });
        match policy {
            Ok(policy) => {
                self.fault.clear();
                policy
            }
            Err(error) => {
                let fault = error.to_string();
                if fault != self.fault {
                    tracing::warn!(%fault, "the policy file has a fault and is not put in force; the policy from before stays in force");
                    self.fault = fault;
                }
                None
            }
        }
    }
}

impl Stamp {
    /// `None` for a file that is not there, or cannot be looked at.
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self {
            modified: metadata.modified().ok(),
            length: metadata.len(),
            file: file_id(&metadata),
        })
    }

    /// Whether another change would show.
    fn is_settled(self) -> bool {
        let age = self
            .modified
            .and_then(|modified| SystemTime::now().duration_since(modified).ok());
        age.is_some_and(|age| age > SETTLED_AFTER)
    }
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other systems have none")]
fn file_id(metadata: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn file_id(_: &Metadata) -> Option<(u64, u64)> {
    None
}

/// In hexadecimal, as an operator's `sha256sum` prints it.
fn sum(text: &str) -> String {
    let digest = Sha256::digest(text);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The thread that looks at the file. It has ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Rereading {
    /// Dropped to wake the thread up and end it.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Rereading {
    /// Starts the thread; it hands every new policy to `put_in_force`.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub(crate) fn start(
        mut file: PolicyFile,
        put_in_force: impl Fn(Policy) + Send + 'static,
    ) -> Result<Self, NoThread> {
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = thread::Builder::new()
            .name("lpm-policy-file".to_owned())
            .spawn(move || {
                while stopped.recv_timeout(file.every) == Err(RecvTimeoutError::Timeout) {
                    if let Some(policy) = file.changed() {
                        let users = policy.users().len();
                        put_in_force(policy);
                        let (path, sha256) = (file.path.display(), &file.text);
                        tracing::info!(file = %path, users, %sha256, "the new policy is in force");
                    }
                }
            })
            .map_err(NoThread::for_the("policy file"))?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Rereading {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic in it was reported where it happened.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const OLD: &str = "[default]\npriority = 1\n";
    const NEW: &str = "[default]\npriority = 2\n";

    struct Files {
        folder: tempfile::TempDir,
        file: PolicyFile,
    }

    impl Files {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("office.toml");
            fs::write(&path, OLD).unwrap();
            let file = PolicyFile::new(path).was_read(OLD, Duration::from_millis(1));
            Self { folder, file }
        }

        /// The priority of the policy that is put in force now, if another one is.
        fn changed(&mut self) -> Option<String> {
            let policy = self.file.changed()?;
            Some(policy.default().settings.to_string())
        }
    }

    #[test]
    fn a_change_of_the_same_length_at_the_same_time_is_seen() {
        let mut files = Files::new();
        assert_eq!(files.changed(), None);
        let modified = fs::metadata(&files.file.path).unwrap().modified().unwrap();
        fs::write(&files.file.path, NEW).unwrap();
        let file = fs::File::options().append(true).open(&files.file.path);
        file.unwrap().set_modified(modified).unwrap();
        assert_eq!(files.changed().unwrap(), "priority 2");
        assert_eq!(files.changed(), None);
        // What is in force is told by the sum that `sha256sum` prints of the file.
        let sum_of_new = "e9cf08200cc02c5b5dc591a0ac81b927aa107dfbc3cd7a246c61ceeab96127df";
        assert_eq!(files.file.text, sum_of_new);
    }

    #[test]
    fn a_file_moved_to_the_name_is_seen() {
        let mut files = Files::new();
        let new = files.folder.path().join("new.toml");
        fs::write(&new, NEW).unwrap();
        fs::rename(&new, &files.file.path).unwrap();
        assert_eq!(files.changed().unwrap(), "priority 2");
    }

    #[test]
    fn a_fault_changes_nothing_and_what_is_right_again_is_put_in_force() {
        let mut files = Files::new();
        fs::write(&files.file.path, "[default]\npriority = 0\n").unwrap();
        assert_eq!(files.changed(), None);
        assert!(
            files
                .file
                .fault
                .contains("office.toml:2: priority in [default]")
        );
        fs::remove_file(&files.file.path).unwrap();
        assert_eq!(files.changed(), None);
        assert!(files.file.fault.starts_with("cannot read the policy file"));
        fs::write(&files.file.path, NEW).unwrap();
        assert_eq!(files.changed().unwrap(), "priority 2");
        assert_eq!(files.file.fault, "");
    }

    #[test]
    fn the_thread_has_ended_when_it_is_dropped() {
        let files = Files::new();
        let path = files.file.path.clone();
        let (sender, policies) = mpsc::channel();
        let rereading = Rereading::start(files.file, move |policy| {
            let _ = sender.send(policy.default().settings.to_string());
        });
        fs::write(path, NEW).unwrap();
        assert_eq!(policies.recv().unwrap(), "priority 2");
        drop(rereading.unwrap());
        assert!(
            policies.recv().is_err(),
            "the thread has dropped its sender"
        );
    }
}
