//! Indexes of thread-local storage that a library takes and does not give back.
//!
//! The library's imports of `TlsAlloc` and `TlsFree` are redirected to functions of the host, which
//! note what the library has; once it is unmapped, nobody else can use that, and it is given back.

use std::ffi::c_void;
use std::ops::Range;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, Ordering};

use windows_sys::Win32::System::Diagnostics::Debug::RtlCaptureStackBackTrace;
use windows_sys::Win32::System::Memory::{PAGE_READWRITE, VirtualProtect};
use windows_sys::Win32::System::Threading::{TLS_OUT_OF_INDEXES, TlsAlloc, TlsFree};
use windows_sys::core::BOOL;

use crate::lock::lock;
use crate::pe::Slots;

/// What each library that is mapped has taken, in the order of loading.
static TAKEN: Mutex<Vec<Taken>> = Mutex::new(Vec::new());

struct Taken {
    range: Range<usize>,
    indexes: Vec<u32>,
}

/// Begins to note what the library in this range takes.
///
/// # Safety
///
/// The library is mapped in this range and the slots are its own; nothing of it but its
/// initializers has run.
pub(super) unsafe fn watch(range: &Range<usize>, slots: &Slots) {
    lock(&TAKEN).push(Taken {
        range: range.clone(),
        indexes: Vec::new(),
    });
    let replace = |slots: &[usize], function: *mut ()| {
        for slot in slots {
            // SAFETY: the caller vouches for the slots; the functions have the types of those they
            // replace.
            unsafe { redirect(range.start + slot, function) };
        }
    };
    replace(&slots.tls_alloc, tls_alloc as *mut ());
    replace(&slots.tls_free, tls_free as *mut ());
}

/// Gives back what is left of the library that was in this range, which is unmapped.
pub(super) fn give_back(range: &Range<usize>) {
    let mut taken = lock(&TAKEN);
    let Some(place) = taken.iter().position(|taken| taken.range == *range) else {
        return;
    };
    for index in taken.remove(place).indexes {
        // SAFETY: the index was the library's, and nothing of the library is left that could use
        // it.
        unsafe { TlsFree(index) };
    }
}

/// Stands in for `TlsAlloc`.
unsafe extern "system" fn tls_alloc() -> u32 {
    // SAFETY: it has no preconditions.
    let index = unsafe { TlsAlloc() };
    if index != TLS_OUT_OF_INDEXES {
        let callers = callers();
        let mut taken = lock(&TAKEN);
        // The newest comes last: one that was in the same place may have been unmapped just now.
        let place = callers.iter().find_map(|caller| {
            let has = |taken: &Taken| taken.range.contains(&caller.addr());
            taken.iter().rposition(has)
        });
        if let Some(place) = place {
            taken[place].indexes.push(index);
        }
    }
    index
}

/// Stands in for `TlsFree`.
unsafe extern "system" fn tls_free(index: u32) -> BOOL {
    for taken in lock(&TAKEN).iter_mut() {
        taken.indexes.retain(|&other| other != index);
    }
    // SAFETY: the library asks for it, and vouches for the index.
    unsafe { TlsFree(index) }
}

/// Where this function was called from, and its caller, as far as it takes to get out of the host.
fn callers() -> [*mut c_void; 4] {
    let mut callers = [ptr::null_mut(); 4];
    // SAFETY: there is room for four addresses.
    unsafe { RtlCaptureStackBackTrace(0, 4, callers.as_mut_ptr(), ptr::null_mut()) };
    callers
}

/// Writes the address of another function into a slot of a library's imports. If the system does
/// not let it, the library goes on calling the old one.
///
/// # Safety
///
/// The slot is one of a library that is mapped, and the function is of the type of the one it
/// replaces.
unsafe fn redirect(slot: usize, function: *mut ()) {
    let slot = ptr::with_exposed_provenance_mut::<*mut ()>(slot);
    let size = size_of::<*mut ()>();
    let mut before = 0;
    // SAFETY: the slot is mapped, and changing what may be done with it takes nothing away.
    if unsafe { VirtualProtect(slot.cast(), size, PAGE_READWRITE, &raw mut before) } == 0 {
        tracing::debug!("an import of a library cannot be redirected");
        return;
    }
    // SAFETY: the slot is mapped, aligned, writable since the last line, and read by calls of the
    // library.
    unsafe { AtomicPtr::from_ptr(slot) }.store(function, Ordering::Release);
    // SAFETY: the slot is mapped, and its pages are as they were.
    unsafe { VirtualProtect(slot.cast(), size, before, &raw mut before) };
}
