//! A file that lines are appended to.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::config::Format;

use super::entry::Entry;
use super::sink::Sink;

/// Appends lines to a file, and opens it anew by its name when asked to: it may have been moved
/// away.
pub(super) struct File {
    path: PathBuf,
    format: Format,
    reopen: Arc<AtomicBool>,
    /// `None` when it is to be opened.
    file: Option<fs::File>,
    /// Whether the file ends in half a line, as after a full disk.
    is_torn: bool,
    /// How many bytes of the line under way are in the file already.
    written: usize,
}

impl File {
    /// Opens the file. A FIFO that nobody reads from yet is no error: events wait for a reader.
    pub(super) fn open(path: PathBuf, format: Format, reopen: Arc<AtomicBool>) -> io::Result<Self> {
        let mut file = Self {
            path,
            format,
            reopen,
            file: None,
            is_torn: false,
            written: 0,
        };
        match file.ready() {
            Err(error) if error.kind() == ErrorKind::NotConnected => {}
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        Ok(file)
    }

    /// The file, after what was asked for meanwhile is done.
    fn ready(&mut self) -> io::Result<&mut fs::File> {
        if self.reopen.swap(false, Ordering::Relaxed) {
            self.file = None;
        }
        match &mut self.file {
            Some(file) => Ok(file),
            closed => {
                // A file that is opened anew starts with a whole line.
                self.written = 0;
                let file = open(&self.path)?;
                let metadata = file.metadata()?;
                restrict(&file, &metadata, &self.path);
                self.is_torn = metadata.is_file() && ends_in_half_a_line(&self.path, &metadata);
                Ok(closed.insert(file))
            }
        }
    }
}

impl Sink for File {
    fn write(&mut self, entry: &Entry) -> io::Result<()> {
        let line = entry.line(self.format);
        loop {
            self.ready()?;
            let Some(file) = &mut self.file else { continue };
            let rest = if self.is_torn {
                b"\n"
            } else {
                &line[self.written..]
            };
            match file.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) if self.is_torn => self.is_torn = false,
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    if error.kind() == ErrorKind::BrokenPipe {
                        // Whoever reads next gets whole lines.
                        self.file = None;
                    }
                    return Err(error);
                }
            }
            if self.written == line.len() {
                self.written = 0;
                return Ok(());
            }
        }
    }
}

/// Opens a file to append to, and makes it if need be: what is in it is for its owner and his
/// group.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

    let mut options = fs::OpenOptions::new();
    options.append(true).create(true).mode(MOST_RIGHTS);
    let is_fifo = fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo());
    if is_fifo {
        // It would wait for a reader.
        options.custom_flags(libc::O_NONBLOCK);
    }
    options
        .open(path)
        .map_err(|error| match error.raw_os_error() {
            Some(libc::ENXIO) if is_fifo => {
                io::Error::new(ErrorKind::NotConnected, "no program reads from this FIFO")
            }
            _ => error,
        })
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().append(true).create(true).open(path)
}

/// Who may do what with a file of events: its owner reads and writes, his group reads.
#[cfg(unix)]
const MOST_RIGHTS: u32 = 0o640;

/// Takes rights away from a file that has more.
#[cfg(unix)]
fn restrict(file: &fs::File, metadata: &Metadata, path: &Path) {
    use std::os::unix::fs::PermissionsExt;

    let mut permissions = metadata.permissions();
    let rights = permissions.mode() & 0o777;
    if !metadata.is_file() || rights & !MOST_RIGHTS == 0 {
        return;
    }
    permissions.set_mode(rights & MOST_RIGHTS);
    if let Err(error) = file.set_permissions(permissions) {
        tracing::warn!(
            "{}: other users can read or write this file of events, and pcm cannot change that: {error}",
            path.display()
        );
    }
}

/// Here the folder's rights hold.
#[cfg(not(unix))]
fn restrict(_: &fs::File, _: &Metadata, _: &Path) {}

/// Where that cannot be told, an empty line does less harm than two lines in one.
fn ends_in_half_a_line(path: &Path, metadata: &Metadata) -> bool {
    let last = || -> io::Result<u8> {
        let mut file = fs::File::open(path)?;
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        Ok(last[0])
    };
    metadata.len() > 0 && last().map_or(true, |last| last != b'\n')
}
