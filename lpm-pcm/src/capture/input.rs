//! Where a capture's bytes come from.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};

use super::bounds::BUFFER;
use super::error::CaptureErrorKind;

/// The last error of the underlying reader, which `pcap-parser` does not pass on.
#[derive(Clone, Default)]
pub(super) struct ReadFailure(Arc<Mutex<Option<io::Error>>>);

impl ReadFailure {
    pub(super) fn take(&self) -> Option<io::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, error: io::Error) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

/// A capture's bytes, unpacked. Reads on after an interruption by a signal, and keeps the error.
pub(super) struct Input {
    inner: BufReader<Box<dyn Read + Send>>,
    failure: ReadFailure,
    /// How many bytes were read.
    position: u64,
}

impl Input {
    pub(super) fn new(inner: Box<dyn Read + Send>, failure: ReadFailure) -> Self {
        Self {
            inner: BufReader::with_capacity(BUFFER, inner),
            failure,
            position: 0,
        }
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// What of the next bytes is there without reading on.
    pub(super) fn buffered(&self) -> &[u8] {
        self.inner.buffer()
    }

    /// Adds bytes to `data` until it has `wanted`, or the file ends.
    pub(super) fn fill(
        &mut self,
        data: &mut Vec<u8>,
        wanted: usize,
    ) -> Result<(), CaptureErrorKind> {
        while data.len() < wanted {
            let found = match self.fill_buf() {
                Ok(found) => &found[..found.len().min(wanted - data.len())],
                Err(error) => return Err(self.failed(error)),
            };
            if found.is_empty() {
                break;
            }
            data.extend_from_slice(found);
            let taken = found.len();
            self.consume(taken);
        }
        Ok(())
    }

    fn failed(&self, error: io::Error) -> CaptureErrorKind {
        CaptureErrorKind::Read {
            offset: self.position,
            source: self.failure.take().unwrap_or(error),
        }
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let found = self.fill_buf()?;
        let taken = found.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&found[..taken]);
        self.consume(taken);
        Ok(taken)
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.inner.buffer().is_empty() {
            match self.inner.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let kind = error.kind();
                    self.failure.put(error);
                    return Err(kind.into());
                }
                Ok(_) => break,
            }
        }
        Ok(self.inner.buffer())
    }

    fn consume(&mut self, amount: usize) {
        self.position += amount as u64;
        self.inner.consume(amount);
    }
}
