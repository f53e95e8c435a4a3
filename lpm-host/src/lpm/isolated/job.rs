//! What ends runners with their PCM on Windows, however that ends: the system ends the processes of
//! a job with the last handle to it, and only the PCM has one.
//!
//! What an LPM starts is in no job, as elsewhere.

use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::process::Child;
use std::ptr;

use once_cell::sync::OnceCell;
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
    JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK, JOBOBJECT_EXTENDED_LIMIT_INFORMATION,
    JobObjectExtendedLimitInformation, SetInformationJobObject,
};
use windows_sys::core::BOOL;

/// Never closed by this process, and so closed when it ends.
static JOB: OnceCell<OwnedHandle> = OnceCell::new();

/// From now on this process ends with the PCM.
pub(super) fn takes(child: &Child) -> io::Result<()> {
    let job = JOB.get_or_try_init(create)?;
    // SAFETY: both handles are open, for as long as they are borrowed.
    is_done(unsafe { AssignProcessToJobObject(job.as_raw_handle(), child.as_raw_handle()) })
}

fn create() -> io::Result<OwnedHandle> {
    // SAFETY: it has neither a name nor attributes, so that no child inherits it.
    let job = unsafe { CreateJobObjectW(ptr::null(), ptr::null()) };
    if job.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is a handle, and nobody else's.
    let job = unsafe { OwnedHandle::from_raw_handle(job) };
    let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
    limits.BasicLimitInformation.LimitFlags =
        JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK;
    let size = u32::try_from(size_of_val(&limits)).map_err(io::Error::other)?;
    // SAFETY: the handle is open, and the limits are of the kind and the size that is said.
    is_done(unsafe {
        SetInformationJobObject(
            job.as_raw_handle(),
            JobObjectExtendedLimitInformation,
            (&raw const limits).cast(),
            size,
        )
    })?;
    Ok(job)
}

fn is_done(result: BOOL) -> io::Result<()> {
    match result {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
