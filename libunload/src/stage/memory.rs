//! Files without a place in the file system.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// An empty file in memory, named after the library.
pub(crate) fn create(original: &Path) -> io::Result<File> {
    let mut name = original.file_name().unwrap_or_default().as_bytes().to_vec();
    // The system allows 249 bytes.
    name.truncate(200);
    let name = CString::new(name)?;
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: the name is a C string.
    let descriptor = unsafe { libc::memfd_create(name.as_ptr(), flags) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was made above and belongs to nobody else.
    Ok(unsafe { File::from_raw_fd(descriptor) })
}

/// Lets nobody change the file any more, not even through `/proc`.
///
/// The kernel refuses while something of its own still refers to a page of the file, as it may for
/// a moment after copying; where that does not end, the file is left unsealed, which only matters
/// to whoever may write to this process's memory anyway.
pub(super) fn seal(file: &File) -> io::Result<()> {
    const ATTEMPTS: u32 = 20;
    let seals = libc::F_SEAL_WRITE | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
    for _ in 0..ATTEMPTS {
        // SAFETY: the descriptor is open, and sealing touches no memory.
        if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } == 0 {
            return Ok(());
        }
        match io::Error::last_os_error() {
            busy if busy.kind() == io::ErrorKind::ResourceBusy => {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            refused => return Err(refused),
        }
    }
    tracing::debug!("the private copy of a library stays unsealed: its pages are busy");
    Ok(())
}

/// Fails where the file has no name that it could be loaded by: without `/proc`.
pub(super) fn check_named(file: &File) -> io::Result<()> {
    std::fs::metadata(format!("/proc/self/fd/{}", file.as_raw_fd())).map(drop)
}

/// Maps a page of the file as code: fails on file systems that are mounted `noexec`, and where a
/// security policy forbids it.
pub(super) fn check_executable(file: &File) -> io::Result<()> {
    let access = libc::PROT_READ | libc::PROT_EXEC;
    let (anywhere, descriptor) = (std::ptr::null_mut(), file.as_raw_fd());
    // SAFETY: a new private mapping, at an address of the kernel's choice.
    let page = unsafe { libc::mmap(anywhere, 1, access, libc::MAP_PRIVATE, descriptor, 0) };
    if page == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the mapping above, which nobody uses.
    unsafe { libc::munmap(page, 1) };
    Ok(())
}
