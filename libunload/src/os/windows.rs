//! `LoadLibrary` and its relatives.

use std::ffi::{CStr, OsStr, c_void};
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::path::{Path, absolute};
use std::ptr::{self, NonNull};

use windows_sys::Win32::Foundation::{FreeLibrary, HMODULE};
use windows_sys::Win32::System::Diagnostics::Debug::{SEM_FAILCRITICALERRORS, SetThreadErrorMode};
use windows_sys::Win32::System::LibraryLoader::{
    AddDllDirectory, GetModuleHandleExW, GetModuleHandleW, GetProcAddress,
    LOAD_LIBRARY_AS_DATAFILE, LOAD_LIBRARY_SEARCH_DEFAULT_DIRS, LoadLibraryExW, RemoveDllDirectory,
};

use super::error::LoaderError;

/// A library that is open in the system's loader. Dropping it does not close it.
pub(crate) struct Handle(NonNull<c_void>);

// SAFETY: Windows lets every thread use a module's handle.
unsafe impl Send for Handle {}
// SAFETY: as above; no function here changes what a handle refers to.
unsafe impl Sync for Handle {}

impl Handle {
    /// Opens a library and resolves all its imports. Libraries that it needs are looked for in the
    /// program's folder, the system's, and the folder of `original`; not in the current folder nor
    /// along `PATH`, where others might put theirs.
    ///
    /// # Safety
    ///
    /// The caller vouches for the library's initializers and those of what it depends on.
    pub(crate) unsafe fn open(path: &Path, original: &Path) -> Result<Self, LoaderError> {
        let name = wide_path(path).map_err(|error| LoaderError(error.to_string()))?;
        let _silent = Silent::new();
        let _dependencies = SearchedFolder::around(original);
        // SAFETY: the name ends with 0 and outlives the call; the caller vouches for what runs.
        let module = unsafe {
            LoadLibraryExW(
                name.as_ptr(),
                ptr::null_mut(),
                LOAD_LIBRARY_SEARCH_DEFAULT_DIRS,
            )
        };
        NonNull::new(module).map(Self).ok_or_else(last_error)
    }

    /// Opens a library once more, if it is open.
    pub(crate) fn open_again(path: &Path) -> io::Result<Option<Self>> {
        let name = wide_path(path)?;
        let mut module: HMODULE = ptr::null_mut();
        // SAFETY: the name ends with 0, and both it and the place for the answer outlive the call.
        // Without flags the module's count of users goes up, so the handle is good until it is
        // closed.
        let found = unsafe { GetModuleHandleExW(0, name.as_ptr(), &raw mut module) };
        Ok(if found == 0 {
            None
        } else {
            NonNull::new(module).map(Self)
        })
    }

    /// Whether a library of this name is open, or lies in the program's folder or in one of the
    /// system. None of it runs.
    pub(crate) fn is_found(name: &Path) -> bool {
        let Ok(name) = wide(name) else {
            return false;
        };
        let flags = LOAD_LIBRARY_AS_DATAFILE | LOAD_LIBRARY_SEARCH_DEFAULT_DIRS;
        let _silent = Silent::new();
        // SAFETY: the name ends with 0 and outlives both calls. The first counts no user, and its
        // answer is not used as a handle; the second reads a file without running any of it.
        let file = unsafe {
            if !GetModuleHandleW(name.as_ptr()).is_null() {
                return true;
            }
            LoadLibraryExW(name.as_ptr(), ptr::null_mut(), flags)
        };
        // SAFETY: it was opened above, and nothing of it is used.
        !file.is_null() && unsafe { FreeLibrary(file) } != 0
    }

    /// The address of an exported symbol.
    pub(crate) fn symbol(&self, name: &CStr) -> Option<NonNull<c_void>> {
        // SAFETY: the handle is open, since only `close` closes it, and that consumes it; the name
        // is a C string.
        let symbol = unsafe { GetProcAddress(self.0.as_ptr(), name.as_ptr().cast()) };
        NonNull::new(symbol? as *mut c_void)
    }

    /// The address that the library is mapped at.
    pub(crate) fn base(&self) -> usize {
        self.0.as_ptr() as usize
    }

    /// Gives the library back to the loader, which unmaps it unless something keeps it.
    ///
    /// # Safety
    ///
    /// The caller vouches for the library's finalizers, and that nothing in the library is used
    /// afterwards.
    pub(crate) unsafe fn close(self) -> Result<(), LoaderError> {
        // SAFETY: the handle is open, and consumed.
        match unsafe { FreeLibrary(self.0.as_ptr()) } {
            0 => Err(last_error()),
            _ => Ok(()),
        }
    }
}

/// Keeps Windows from showing a dialog when a library cannot be loaded, on this thread.
struct Silent {
    before: u32,
}

impl Silent {
    fn new() -> Self {
        let mut before = 0;
        // SAFETY: the place for the former mode outlives the call.
        unsafe { SetThreadErrorMode(SEM_FAILCRITICALERRORS, &raw mut before) };
        Self { before }
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // SAFETY: Windows allows null for a former mode that nobody wants.
        unsafe { SetThreadErrorMode(self.before, ptr::null_mut()) };
    }
}

/// Lets the loader look into a folder for what a library needs.
struct SearchedFolder(NonNull<c_void>);

impl SearchedFolder {
    /// The folder that this file is in. Without it, what the library needs has to be elsewhere, and
    /// the loader says what it does not find.
    fn around(file: &Path) -> Option<Self> {
        let folder = wide_path(absolute(file).ok()?.parent()?).ok()?;
        // SAFETY: the name ends with 0 and outlives the call.
        NonNull::new(unsafe { AddDllDirectory(folder.as_ptr()) }).map(Self)
    }
}

impl Drop for SearchedFolder {
    fn drop(&mut self) {
        // SAFETY: the cookie comes from `AddDllDirectory` and is given back once.
        unsafe { RemoveDllDirectory(self.0.as_ptr()) };
    }
}

/// An absolute path in the form that Windows takes: the loader looks for relative ones in many
/// places.
fn wide_path(path: &Path) -> io::Result<Vec<u16>> {
    wide(&absolute(path)?)
}

/// A path or a name in the form that Windows takes.
fn wide(path: &Path) -> io::Result<Vec<u16>> {
    let wide: Vec<u16> = OsStr::encode_wide(path.as_os_str()).chain([0]).collect();
    if wide[..wide.len() - 1].contains(&0) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the path contains a NUL character",
        ));
    }
    Ok(wide)
}

fn last_error() -> LoaderError {
    LoaderError(io::Error::last_os_error().to_string())
}
