//! Functions that a library looks up while it runs (`dlsym`, `dlvsym`): it gets the stand-ins of
//! those that have one.

use std::ffi::{CStr, c_char, c_void};
use std::sync::OnceLock;

/// A function's name, and what stands in for it.
type Known = (&'static [u8], usize);

static KNOWN: OnceLock<Vec<Known>> = OnceLock::new();

/// Says which functions have stand-ins; only the first time counts.
pub(super) fn know(all: impl FnOnce() -> Vec<Known>) {
    KNOWN.get_or_init(all);
}

/// What stands in for the function that a library looks up; null if nothing does.
///
/// # Safety
///
/// The name is a C string or null, and the handle one of the loader's.
unsafe extern "C" fn stand_in_for(handle: *mut c_void, name: *const c_char) -> *const c_void {
    let found = || {
        if name.is_null() {
            return None;
        }
        // SAFETY: the caller's promise.
        let text = unsafe { CStr::from_ptr(name) }.to_bytes();
        let (_, stand_in) = KNOWN.get()?.iter().find(|(known, _)| *known == text)?;
        // Where a library looks up what comes after it, it gets what all get.
        let handle = if handle == libc::RTLD_NEXT {
            libc::RTLD_DEFAULT
        } else {
            handle
        };
        // SAFETY: the caller's promise.
        let (asked, of_all) = unsafe {
            (
                libc::dlsym(handle, name),
                libc::dlsym(libc::RTLD_DEFAULT, name),
            )
        };
        (!asked.is_null() && asked == of_all).then_some(*stand_in as *const c_void)
    };
    found().unwrap_or(std::ptr::null())
}

// `dlsym` looks at where it returns to, to tell who asks. So what stands in for it leaves that as
// it is.
#[cfg(target_arch = "x86_64")]
macro_rules! looks_up {
    ($own:literal, $function:literal) => {
        std::arch::global_asm!(
            concat!(".pushsection .text.", $own, ", \"ax\", @progbits"),
            concat!(".globl ", $own),
            concat!(".hidden ", $own),
            concat!(".type ", $own, ", @function"),
            concat!($own, ":"),
            ".cfi_startproc",
            "endbr64",
            "push rdi",
            ".cfi_adjust_cfa_offset 8",
            "push rsi",
            ".cfi_adjust_cfa_offset 8",
            "push rdx",
            ".cfi_adjust_cfa_offset 8",
            "call {stand_in_for}",
            "pop rdx",
            ".cfi_adjust_cfa_offset -8",
            "pop rsi",
            ".cfi_adjust_cfa_offset -8",
            "pop rdi",
            ".cfi_adjust_cfa_offset -8",
            "test rax, rax",
            "jz 2f",
            "ret",
            concat!("2: jmp qword ptr [rip + ", $function, "@GOTPCREL]"),
            ".cfi_endproc",
            concat!(".size ", $own, ", . - ", $own),
            ".popsection",
            stand_in_for = sym stand_in_for,
        );
    };
}

#[cfg(target_arch = "aarch64")]
macro_rules! looks_up {
    ($own:literal, $function:literal) => {
        std::arch::global_asm!(
            concat!(".pushsection .text.", $own, ", \"ax\", @progbits"),
            concat!(".globl ", $own),
            concat!(".hidden ", $own),
            concat!(".type ", $own, ", @function"),
            concat!($own, ":"),
            ".cfi_startproc",
            "hint #34",
            "stp x0, x1, [sp, #-32]!",
            ".cfi_def_cfa_offset 32",
            "stp x2, x30, [sp, #16]",
            ".cfi_offset 30, -8",
            "bl {stand_in_for}",
            "mov x16, x0",
            "ldp x2, x30, [sp, #16]",
            ".cfi_restore 30",
            "ldp x0, x1, [sp], #32",
            ".cfi_def_cfa_offset 0",
            "cbz x16, 2f",
            "mov x0, x16",
            "ret",
            concat!("2: b ", $function),
            ".cfi_endproc",
            concat!(".size ", $own, ", . - ", $own),
            ".popsection",
            stand_in_for = sym stand_in_for,
        );
    };
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
looks_up!("libunload_dlsym", "dlsym");
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
looks_up!("libunload_dlvsym", "dlvsym");

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
unsafe extern "C" {
    #[link_name = "libunload_dlsym"]
    pub(super) fn look_up(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    #[link_name = "libunload_dlvsym"]
    pub(super) fn look_up_version(
        handle: *mut c_void,
        name: *const c_char,
        version: *const c_char,
    ) -> *mut c_void;
}

/// No import is redirected elsewhere.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) use libc::{dlsym as look_up, dlsym as look_up_version};
