//! Where a library's file lies, as the library itself is told.
//!
//! The loader knows the private copy only. A library that looks for its file, to read what lies
//! beside it (`dladdr`, `dlinfo`), is told the original; one that opens itself by that name, or
//! another that its search path leads to from there (`$ORIGIN`), gets what it means.

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::ptr;

use super::ledger;

/// The name to open for what a library calls so, which called from this address.
///
/// # Safety
///
/// The name is a C string or null.
unsafe extern "C" fn name_for(name: *const c_char, caller: usize) -> *const c_char {
    let Some(ledger) = ledger::of_address(caller).filter(|_| !name.is_null()) else {
        return name;
    };
    let Some(origin) = ledger.origin.get() else {
        return name;
    };
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(name) };
    let path = Path::new(OsStr::from_bytes(text.to_bytes()));
    let meant = if text.to_bytes().contains(&b'/') && origin.is(path) {
        Some(ledger.object.path.clone())
    } else {
        let beside = origin.beside(text);
        beside.and_then(|file| CString::new(file.into_os_string().into_vec()).ok())
    };
    let Some(meant) = meant else { return name };
    // Kept as long as the library is there: the loader reads it after this returns.
    ledger.with(|entries| {
        entries
            .names
            .entry(text.to_owned())
            .or_insert(meant)
            .as_ptr()
    })
}

unsafe extern "C" {
    fn dladdr1(
        address: *const c_void,
        found: *mut libc::Dl_info,
        more: *mut *mut c_void,
        flags: c_int,
    ) -> c_int;
}

/// Stands in for `dladdr`.
///
/// # Safety
///
/// As for `dladdr`.
pub(super) unsafe extern "C" fn find(address: *const c_void, found: *mut libc::Dl_info) -> c_int {
    // SAFETY: the caller's promise.
    let is_found = unsafe { libc::dladdr(address, found) };
    if is_found != 0 {
        // SAFETY: it was written.
        unsafe { name_original(found) };
    }
    is_found
}

/// Stands in for `dladdr1`.
///
/// # Safety
///
/// As for `dladdr1`.
pub(super) unsafe extern "C" fn find_more(
    address: *const c_void,
    found: *mut libc::Dl_info,
    more: *mut *mut c_void,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller's promise.
    let is_found = unsafe { dladdr1(address, found, more, flags) };
    if is_found != 0 {
        // SAFETY: it was written.
        unsafe { name_original(found) };
    }
    is_found
}

/// Stands in for `dlinfo`.
///
/// # Safety
///
/// As for `dlinfo`.
pub(super) unsafe extern "C" fn inform(
    handle: *mut c_void,
    request: c_int,
    answer: *mut c_void,
) -> c_int {
    const RTLD_DI_ORIGIN: c_int = 6;
    // SAFETY: the caller's promise.
    let failed = unsafe { libc::dlinfo(handle, request, answer) };
    if failed != 0 || request != RTLD_DI_ORIGIN {
        return failed;
    }
    // `struct link_map`: base, path, dynamic section.
    let mut record: *const [usize; 3] = ptr::null();
    // SAFETY: the handle is open, as it has just been, and the request writes one pointer.
    unsafe { libc::dlinfo(handle, libc::RTLD_DI_LINKMAP, (&raw mut record).cast()) };
    // SAFETY: the loader keeps the record while the handle is open.
    let ledger = unsafe { record.as_ref() }.and_then(|[.., dynamic]| ledger::of_address(*dynamic));
    if let Some(origin) = ledger.as_ref().and_then(|ledger| ledger.origin.get()) {
        let file = origin.file.to_bytes();
        let folder = file
            .iter()
            .rposition(|&byte| byte == b'/')
            .unwrap_or(0)
            .max(1);
        // SAFETY: the caller passes room for the name of a folder, whichever it is.
        unsafe {
            ptr::copy_nonoverlapping(file.as_ptr(), answer.cast(), folder);
            answer.cast::<u8>().add(folder).write(0);
        }
    }
    failed
}

/// Names the original where the loader names the copy.
///
/// # Safety
///
/// The loader has just written there.
unsafe fn name_original(found: *mut libc::Dl_info) {
    // SAFETY: the caller's promise.
    let found = unsafe { &mut *found };
    let ledger = ledger::of_address(found.dli_fbase as usize);
    if let Some(origin) = ledger.as_ref().and_then(|ledger| ledger.origin.get()) {
        // The text is there as long as the library is, as that of the loader is.
        found.dli_fname = origin.file.as_ptr();
    }
}

// `dlopen` looks at where it returns to, to tell whose search path counts. So what stands in for it
// leaves that as it is, and goes on to `dlopen` with another name.
#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".pushsection .text.libunload_dlopen, \"ax\", @progbits",
    ".globl libunload_dlopen",
    ".hidden libunload_dlopen",
    ".type libunload_dlopen, @function",
    "libunload_dlopen:",
    ".cfi_startproc",
    "endbr64",
    "push rsi",
    ".cfi_adjust_cfa_offset 8",
    "mov rsi, [rsp + 8]",
    "call {name_for}",
    "pop rsi",
    ".cfi_adjust_cfa_offset -8",
    "mov rdi, rax",
    "jmp qword ptr [rip + dlopen@GOTPCREL]",
    ".cfi_endproc",
    ".size libunload_dlopen, . - libunload_dlopen",
    ".popsection",
    name_for = sym name_for,
);

#[cfg(target_arch = "aarch64")]
std::arch::global_asm!(
    ".pushsection .text.libunload_dlopen, \"ax\", @progbits",
    ".globl libunload_dlopen",
    ".hidden libunload_dlopen",
    ".type libunload_dlopen, @function",
    "libunload_dlopen:",
    ".cfi_startproc",
    "hint #34",
    "stp x1, x30, [sp, #-16]!",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset 30, -8",
    "mov x1, x30",
    "bl {name_for}",
    "ldp x1, x30, [sp], #16",
    ".cfi_def_cfa_offset 0",
    ".cfi_restore 30",
    "b dlopen",
    ".cfi_endproc",
    ".size libunload_dlopen, . - libunload_dlopen",
    ".popsection",
    name_for = sym name_for,
);

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
unsafe extern "C" {
    /// Stands in for `dlopen`.
    #[link_name = "libunload_dlopen"]
    pub(super) fn open(name: *const c_char, flags: c_int) -> *mut c_void;
}

/// Where no import is redirected.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) unsafe extern "C" fn open(name: *const c_char, flags: c_int) -> *mut c_void {
    // SAFETY: the caller's promise.
    unsafe { libc::dlopen(name_for(name, 0), flags) }
}
