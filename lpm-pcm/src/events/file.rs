//! A file that lines are appended to.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
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
    /// `None` when it could not be opened anew.
    file: Option<fs::File>,
    /// How many bytes of the line under way are in the file already.
    written: usize,
}

impl File {
    pub(super) fn open(path: PathBuf, format: Format, reopen: Arc<AtomicBool>) -> io::Result<File> {
        let mut file = File {
            path,
            format,
            reopen,
            file: None,
            written: 0,
        };
        file.ready()?;
        Ok(file)
    }

    /// The file and the progress of the line under way, after what was asked for meanwhile is done.
    fn ready(&mut self) -> io::Result<(&mut fs::File, &mut usize)> {
        if self.reopen.swap(false, Ordering::Relaxed) {
            self.file = None;
        }
        let file = match &mut self.file {
            Some(file) => file,
            closed => {
                // A file that is opened anew starts with a whole line.
                self.written = 0;
                let mut options = fs::OpenOptions::new();
                closed.insert(options.append(true).create(true).open(&self.path)?)
            }
        };
        Ok((file, &mut self.written))
    }
}

impl Sink for File {
    fn write(&mut self, entry: &Entry) -> io::Result<()> {
        let line = entry.line(self.format);
        loop {
            let (file, written) = self.ready()?;
            match file.write(&line[*written..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => *written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if *written == line.len() {
                *written = 0;
                return Ok(());
            }
        }
    }
}
