//! The threads of this process, and which function each one started with.

use std::io;
use std::ops::Range;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;

use windows_sys::Wdk::System::Threading::{
    NtQueryInformationThread, ThreadQuerySetWin32StartAddress,
};
use windows_sys::Win32::Foundation::{
    ERROR_INVALID_PARAMETER, ERROR_NO_MORE_FILES, INVALID_HANDLE_VALUE, LocalFree, WAIT_OBJECT_0,
};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcessId, GetThreadDescription, OpenThread, THREAD_QUERY_INFORMATION,
    THREAD_SYNCHRONIZE, WaitForSingleObject,
};

use crate::outcome::ThreadLabel;

/// The threads that are alive and started with a function in this range.
///
/// Rust's standard library hands the system a function of its own, which is part of the library
/// that it was linked into.
pub(super) fn started_in(range: &Range<usize>) -> io::Result<Vec<ThreadLabel>> {
    let mut found = Vec::new();
    for id in of_this_process()? {
        let Some(thread) = open(id)? else { continue };
        if is_alive(&thread) && range.contains(&start_address(&thread)?) {
            found.push(ThreadLabel {
                id: id.into(),
                name: name(&thread),
            });
        }
    }
    Ok(found)
}

/// The numbers of the threads of this process.
fn of_this_process() -> io::Result<Vec<u32>> {
    // SAFETY: taking a snapshot has no preconditions.
    let snapshot = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0) };
    if snapshot == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle was made above and belongs to nobody else.
    let snapshot = unsafe { OwnedHandle::from_raw_handle(snapshot) };
    let mut entry = THREADENTRY32 {
        dwSize: u32::try_from(size_of::<THREADENTRY32>()).map_err(io::Error::other)?,
        ..THREADENTRY32::default()
    };
    // SAFETY: it asks for nothing and touches nothing.
    let process = unsafe { GetCurrentProcessId() };
    let mut ids = Vec::new();
    // SAFETY: the snapshot is open, and the entry, which states its size, outlives the call.
    let mut more = unsafe { Thread32First(snapshot.as_raw_handle(), &raw mut entry) };
    while more != 0 {
        if entry.th32OwnerProcessID == process {
            ids.push(entry.th32ThreadID);
        }
        // SAFETY: as above.
        more = unsafe { Thread32Next(snapshot.as_raw_handle(), &raw mut entry) };
    }
    match io::Error::last_os_error() {
        end if is(&end, ERROR_NO_MORE_FILES) => Ok(ids),
        error => Err(error),
    }
}

/// Opens a thread; `None` when it has ended.
fn open(id: u32) -> io::Result<Option<OwnedHandle>> {
    // SAFETY: opening a thread has no preconditions.
    let thread = unsafe { OpenThread(THREAD_QUERY_INFORMATION | THREAD_SYNCHRONIZE, 0, id) };
    if !thread.is_null() {
        // SAFETY: the handle was made above and belongs to nobody else.
        return Ok(Some(unsafe { OwnedHandle::from_raw_handle(thread) }));
    }
    match io::Error::last_os_error() {
        gone if is(&gone, ERROR_INVALID_PARAMETER) => Ok(None),
        error => Err(error),
    }
}

/// Whether the thread has not ended; the system lists one that has as long as somebody has a
/// handle.
fn is_alive(thread: &OwnedHandle) -> bool {
    // SAFETY: the handle is open, and zero milliseconds are not waited.
    unsafe { WaitForSingleObject(thread.as_raw_handle(), 0) != WAIT_OBJECT_0 }
}

/// The function that the thread's creator wanted to be called.
fn start_address(thread: &OwnedHandle) -> io::Result<usize> {
    let mut address = 0_usize;
    let size = u32::try_from(size_of::<usize>()).map_err(io::Error::other)?;
    // SAFETY: the handle is open, and for this question the system writes the address of a
    // function, for which there is room until the call returns.
    let status = unsafe {
        NtQueryInformationThread(
            thread.as_raw_handle(),
            ThreadQuerySetWin32StartAddress,
            (&raw mut address).cast(),
            size,
            ptr::null_mut(),
        )
    };
    if status < 0 {
        return Err(io::Error::other(format!(
            "NtQueryInformationThread returns {status:#010x}"
        )));
    }
    Ok(address)
}

/// The thread's name; empty when it has none.
fn name(thread: &OwnedHandle) -> String {
    let mut text = ptr::null_mut();
    // SAFETY: the handle is open, and the place for the answer outlives the call.
    let result = unsafe { GetThreadDescription(thread.as_raw_handle(), &raw mut text) };
    if result < 0 || text.is_null() {
        return String::new();
    }
    // SAFETY: the system promises a text that ends with 0.
    let length = (0..).take_while(|&i| unsafe { *text.add(i) } != 0).count();
    // SAFETY: the text, without its end.
    let name = String::from_utf16_lossy(unsafe { std::slice::from_raw_parts(text, length) });
    // SAFETY: the text is the caller's to free, and is not used below.
    unsafe { LocalFree(text.cast()) };
    name
}

fn is(error: &io::Error, code: u32) -> bool {
    error.raw_os_error() == i32::try_from(code).ok()
}
