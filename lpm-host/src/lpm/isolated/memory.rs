//! The shared memory as each of the two processes has it mapped.

use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::{self, NonNull};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fstat, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::frames::Frame;
use super::ring::Shared;
use super::words::Malformed;

/// The shared memory, mapped.
pub(crate) struct Memory(NonNull<Shared>);

// SAFETY: it is a reference to atomics, whose mapping nobody else unmaps.
unsafe impl Send for Memory {}
// SAFETY: the same.
unsafe impl Sync for Memory {}

const LENGTH: usize = size_of::<Shared>();

impl Memory {
    /// New memory, and the file to map it from elsewhere. Pages that nobody writes to take no room.
    pub(crate) fn create() -> io::Result<(Self, OwnedFd)> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = memfd_create("lpm-runner", flags)?;
        ftruncate(&file, LENGTH as u64)?;
        // Nobody can make it shorter, so that no access to it fails.
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Ok((Self::map(&file)?, file))
    }

    /// The memory in a file that [`create`](Self::create) made.
    pub(crate) fn map(file: impl AsFd) -> io::Result<Self> {
        if fstat(&file)?.st_size != i64::try_from(LENGTH).unwrap_or_default() {
            return Err(io::Error::other("shared memory of another length"));
        }
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a mapping where the kernel finds room takes nothing away from anybody.
        let start = unsafe { mmap(ptr::null_mut(), LENGTH, access, MapFlags::SHARED, file, 0) }?;
        NonNull::new(start.cast())
            .map(Self)
            .ok_or_else(|| io::Error::other("shared memory at address 0"))
    }

    /// No call comes in a frame.
    #[expect(clippy::unused_self, reason = "where calls come in frames it is used")]
    pub(crate) const fn hear(&self, _: &Frame) -> Result<(), Malformed> {
        Err(Malformed)
    }
}

impl Deref for Memory {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        // SAFETY: the mapping is as long as a `Shared`, and page-aligned; it stays until this value
        // is dropped, and its file is sealed. It consists of atomics only, for which any bytes are
        // a value, whoever writes them.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and references to it do not outlive this value.
        let _ = unsafe { munmap(self.0.as_ptr().cast(), LENGTH) };
    }
}
