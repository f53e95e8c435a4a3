//! `dlopen` and its relatives.

use std::ffi::{CStr, CString, c_void};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::NonNull;

use super::error::LoaderError;

/// A library that is open in the system's loader. Dropping it does not close it.
pub(crate) struct Handle(NonNull<c_void>);

// SAFETY: POSIX lets every thread use a handle.
unsafe impl Send for Handle {}
// SAFETY: as above; no function here changes what a handle refers to.
unsafe impl Sync for Handle {}

impl Handle {
    /// Opens a library, resolves all its symbols and shows them to nobody else.
    ///
    /// # Safety
    ///
    /// The caller vouches for the library's initializers and those of what it depends on.
    pub(crate) unsafe fn open(path: &Path) -> Result<Self, LoaderError> {
        let name = CString::new(path.as_os_str().as_bytes());
        let name = name.map_err(|error| LoaderError(error.to_string()))?;
        // SAFETY: the name is a C string; the caller vouches for what runs.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        NonNull::new(handle).map(Self).ok_or_else(last_error)
    }

    /// Opens a library once more, if it is open.
    #[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
    pub(crate) fn open_again(path: &CStr) -> Option<Self> {
        // SAFETY: the name is a C string; with RTLD_NOLOAD nothing is loaded, so nothing runs.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOLOAD | libc::RTLD_LAZY) };
        NonNull::new(handle).map(Self)
    }

    /// The address of an exported symbol.
    pub(crate) fn symbol(&self, name: &CStr) -> Option<NonNull<c_void>> {
        // SAFETY: the handle is open, since only `close` closes it, and that consumes it.
        NonNull::new(unsafe { libc::dlsym(self.0.as_ptr(), name.as_ptr()) })
    }

    /// The handle, for functions of the loader that are not here.
    #[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
    pub(crate) fn as_ptr(&self) -> *mut c_void {
        self.0.as_ptr()
    }

    /// Gives the library back to the loader, which unmaps it unless something keeps it.
    #[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
    ///
    /// # Safety
    ///
    /// The caller vouches for the library's finalizers, and that nothing in the library is used
    /// afterwards.
    pub(crate) unsafe fn close(self) -> Result<(), LoaderError> {
        // SAFETY: the handle is open, and consumed.
        match unsafe { libc::dlclose(self.0.as_ptr()) } {
            0 => Ok(()),
            _ => Err(last_error()),
        }
    }
}

/// Locks an open file or directory against other processes; `false` when one of them has the lock.
pub(crate) fn lock_exclusively(file: &File) -> io::Result<bool> {
    // SAFETY: the descriptor is open as long as `file` is.
    match unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } {
        0 => Ok(true),
        _ => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            error => Err(error),
        },
    }
}

fn last_error() -> LoaderError {
    // SAFETY: `dlerror` has no preconditions.
    let message = unsafe { libc::dlerror() };
    if message.is_null() {
        return LoaderError("the loader does not say why".to_owned());
    }
    // SAFETY: a message of the loader is a C string that stays until this thread calls the loader
    // again.
    let message = unsafe { CStr::from_ptr(message) };
    LoaderError(message.to_string_lossy().into_owned())
}
