//! What is loaded, as the loader lists it.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::Mutex;

use super::object::{DynamicEntry, Object, from_headers, to_usize};
use crate::os::Handle;

/// Held while libraries and their dependencies come and go.
pub(super) static LOADER: Mutex<()> = Mutex::new(());

/// Everything that is loaded, the program itself first.
pub(super) fn loaded() -> Vec<Object> {
    let mut objects: Vec<Object> = Vec::new();
    // SAFETY: the callback is called before this returns, and gets the vector.
    unsafe { libc::dl_iterate_phdr(Some(collect), (&raw mut objects).cast()) };
    objects
}

/// Shows everything that is loaded, and keeps it from being unmapped meanwhile, whoever closes it.
/// Only so may be read what is in objects that nobody here holds open. `look` calls nothing of the
/// loader but this.
pub(super) fn with_loaded<R, F: FnOnce(&[Object]) -> R>(look: F) -> R {
    /// What is to be called, and what it returned.
    type Visit<F, R> = (Option<F>, Option<R>);

    unsafe extern "C" fn visit<R, F: FnOnce(&[Object]) -> R>(
        _: *mut libc::dl_phdr_info,
        _: usize,
        visit: *mut c_void,
    ) -> c_int {
        // SAFETY: the function around this passes it.
        let (look, result) = unsafe { &mut *visit.cast::<Visit<F, R>>() };
        *result = look.take().map(|look| look(&loaded()));
        1
    }

    let mut both: Visit<F, R> = (Some(look), None);
    // The loader holds, for the time of this call, the lock under which it unmaps; the same thread
    // may take it again.
    // SAFETY: the callback is called before this returns, and gets what it expects.
    unsafe { libc::dl_iterate_phdr(Some(visit::<R, F>), (&raw mut both).cast()) };
    match both {
        (_, Some(result)) => result,
        // There is always the program, and so this is never so.
        (look, None) => look.map(|look| look(&[])).expect("not called yet"),
    }
}

/// A library, which stays meanwhile, and all that it needs of what is loaded, directly or
/// indirectly.
pub(super) fn closure(main: &Object) -> Vec<Object> {
    with_loaded(|loaded| closure_among(loaded, main))
}

fn closure_among(loaded: &[Object], main: &Object) -> Vec<Object> {
    let others = loaded
        .iter()
        .filter(|object| object.dynamic() != main.dynamic());
    let mut others: Vec<_> = others.cloned().collect();
    let mut found = vec![main.clone()];
    let mut next = 0;
    while let Some(object) = found.get(next).cloned() {
        for name in object.needed() {
            // Else each of perhaps a thousand libraries would be asked for what several need.
            let mut known = found.iter().skip(1);
            if known.any(|other| other.answers_to(name)) {
                continue;
            }
            if let Some(index) = others.iter().position(|other| other.answers_to(name)) {
                found.push(others.swap_remove(index));
            }
        }
        next += 1;
    }
    found
}

impl Object {
    /// The object behind an open handle, one of those that are loaded.
    pub(super) fn of_handle<'a>(handle: &Handle, loaded: &'a [Self]) -> Option<&'a Self> {
        let mut map: *mut LinkMap = ptr::null_mut();
        let request = libc::RTLD_DI_LINKMAP;
        // SAFETY: the handle is open, and the request writes one pointer.
        let failed = unsafe { libc::dlinfo(handle.as_ptr(), request, (&raw mut map).cast()) };
        if failed != 0 || map.is_null() {
            return None;
        }
        // SAFETY: the loader keeps the record while the handle is open.
        let dynamic = unsafe { (*map).dynamic } as usize;
        loaded.iter().find(|object| object.dynamic() == dynamic)
    }

    /// Whether the loader still lists it, and not another one in its place.
    pub(super) fn is_loaded(&self) -> bool {
        let this = ptr::from_ref(self).cast_mut().cast();
        // SAFETY: the callback is called before this returns, and gets this object.
        unsafe { libc::dl_iterate_phdr(Some(is_it), this) != 0 }
    }
}

/// Whether something that is loaded has code at this address.
pub(super) fn has_code(address: usize) -> bool {
    let mut question = (address, false);
    // SAFETY: the callback is called before this returns, and gets this question.
    unsafe { libc::dl_iterate_phdr(Some(has_code_at), (&raw mut question).cast()) };
    question.1
}

unsafe extern "C" fn has_code_at(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    question: *mut c_void,
) -> c_int {
    // SAFETY: `has_code` passes this.
    let (address, answer) = unsafe { &mut *question.cast::<(usize, bool)>() };
    // SAFETY: the loader passes a record that is valid during the call.
    let info = unsafe { &*info };
    // SAFETY: so are its headers.
    let headers =
        unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    *answer = headers.iter().any(|header| {
        let start = to_usize(info.dlpi_addr).wrapping_add(to_usize(header.p_vaddr));
        header.p_type == libc::PT_LOAD
            && header.p_flags & libc::PF_X != 0
            && address.wrapping_sub(start) < to_usize(header.p_memsz)
    });
    c_int::from(*answer)
}

/// What the loader publishes of an object (`struct link_map`), as far as it is needed.
#[repr(C)]
struct LinkMap {
    base: usize,
    path: *const c_char,
    dynamic: *const DynamicEntry,
}

unsafe extern "C" fn collect(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    objects: *mut c_void,
) -> c_int {
    // SAFETY: `loaded` passes its vector.
    let objects = unsafe { &mut *objects.cast::<Vec<Object>>() };
    // SAFETY: the loader passes a record that is valid during the call.
    let info = unsafe { &*info };
    // SAFETY: so are its headers and its path.
    let headers =
        unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    // SAFETY: as above.
    let path = unsafe { CStr::from_ptr(info.dlpi_name) }.to_owned();
    objects.push(from_headers(
        path,
        to_usize(info.dlpi_addr),
        info.dlpi_tls_modid,
        headers,
    ));
    0
}

/// Whether this is the object; if so, the others are not looked at.
unsafe extern "C" fn is_it(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    object: *mut c_void,
) -> c_int {
    // SAFETY: `is_loaded` passes an object.
    let object = unsafe { &*object.cast::<Object>() };
    // SAFETY: the loader passes a record that is valid during the call.
    let info = unsafe { &*info };
    // SAFETY: so is its path.
    let path = unsafe { CStr::from_ptr(info.dlpi_name) };
    c_int::from(to_usize(info.dlpi_addr) == object.base() && path == object.path.as_c_str())
}
