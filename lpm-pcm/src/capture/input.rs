//! Where a capture's bytes come from.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

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

/// A capture's bytes. Reads on after an interruption by a signal, and keeps the error.
pub(super) struct Input<R> {
    inner: R,
    failure: ReadFailure,
}

impl<R: Read> Input<R> {
    pub(super) fn new(inner: R, failure: ReadFailure) -> Input<R> {
        Input { inner, failure }
    }

    /// Reads until `head` has `wanted` bytes, or the file ends.
    pub(super) fn fill(
        &mut self,
        head: &mut Vec<u8>,
        wanted: usize,
    ) -> Result<(), CaptureErrorKind> {
        let offset = head.len() as u64;
        let more = (wanted as u64).saturating_sub(offset);
        match self.take(more).read_to_end(head) {
            Ok(_) => Ok(()),
            Err(error) => Err(CaptureErrorKind::Read {
                offset,
                source: self.failure.take().unwrap_or(error),
            }),
        }
    }
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.inner.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let kind = error.kind();
                    self.failure.put(error);
                    return Err(kind.into());
                }
                read => return read,
            }
        }
    }
}
