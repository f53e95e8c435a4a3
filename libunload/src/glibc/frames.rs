//! The stack of the current thread, by its unwind tables.

use std::ffi::{c_int, c_void};

/// Calls `visit` with the address in each frame, the innermost first. Where the thread starts, the
/// tables say that there is no caller, and the last address is 0; a function without tables ends
/// the walk, too, but has an address.
pub(super) fn walk(visit: &mut dyn FnMut(usize)) {
    let mut visit = visit;
    // SAFETY: `step` gets what it expects, and the unwinder calls it only before it returns.
    unsafe { _Unwind_Backtrace(step, (&raw mut visit).cast()) };
}

extern "C" fn step(frame: *mut c_void, visit: *mut c_void) -> c_int {
    const GO_ON: c_int = 0;
    // SAFETY: `walk` passes this, and does not use it meanwhile.
    let visit = unsafe { &mut *visit.cast::<&mut dyn FnMut(usize)>() };
    // SAFETY: the unwinder passes its own frame.
    visit(unsafe { _Unwind_GetIP(frame) });
    GO_ON
}

unsafe extern "C" {
    fn _Unwind_Backtrace(
        step: extern "C" fn(*mut c_void, *mut c_void) -> c_int,
        data: *mut c_void,
    ) -> c_int;
    fn _Unwind_GetIP(frame: *mut c_void) -> usize;
}
