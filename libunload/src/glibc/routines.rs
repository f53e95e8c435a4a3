//! The initializers and finalizers of a library, called by the host instead of the loader.
//!
//! The order is the loader's: `DT_INIT`, then `DT_INIT_ARRAY` forwards; `DT_FINI_ARRAY` backwards, then
//! `DT_FINI`. The C runtime's part of the finalizers runs the library's exit handlers and the
//! destructors of C++ statics.

use std::ffi::{CString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::sync::OnceLock;

use super::object::Object;
use crate::elf::Routines;

type Initializer = unsafe extern "C" fn(c_int, *const *const c_char, *const *const c_char);
type Finalizer = unsafe extern "C" fn();

unsafe extern "C" {
    static environ: *const *const c_char;
}

/// What is left to be called before the library is unmapped, in order.
#[derive(Default)]
pub(super) struct Finalizers(Vec<Finalizer>);

/// Calls the initializers.
///
/// # Safety
///
/// `routines` are those of the file that `object` was loaded from, and the caller vouches for them.
pub(super) unsafe fn initialize(object: &Object, routines: Routines) {
    let array = (routines.init_array, routines.init_array_size);
    let (count, arguments) = program_arguments();
    // SAFETY: the caller vouches that the routines are the object's.
    for address in unsafe { addresses(object, routines.init, array) } {
        // SAFETY: the address is one of an initializer, which has this type.
        let initializer = unsafe { std::mem::transmute::<usize, Initializer>(address) };
        // SAFETY: the C library keeps this for the whole life of the process.
        let environment = unsafe { environ };
        // SAFETY: the caller vouches for the code; the arguments are those that the loader passes.
        unsafe { initializer(count, arguments, environment) };
    }
}

/// Finds the finalizers.
///
/// # Safety
///
/// `routines` are those of the file that `object` was loaded from.
pub(super) unsafe fn finalizers(object: &Object, routines: Routines) -> Finalizers {
    let array = (routines.fini_array, routines.fini_array_size);
    // SAFETY: the caller's promise.
    let mut all = unsafe { addresses(object, routines.fini, array) };
    all.reverse();
    // SAFETY: the addresses are those of finalizers, which have this type.
    let typed = |address| unsafe { std::mem::transmute::<usize, Finalizer>(address) };
    Finalizers(all.into_iter().map(typed).collect())
}

impl Finalizers {
    /// Calls them.
    ///
    /// # Safety
    ///
    /// The library is mapped, and nothing in it is used by anybody else.
    pub(super) unsafe fn run(self) {
        for finalizer in self.0 {
            // SAFETY: the caller's promise; who loaded the library vouched for its code.
            unsafe { finalizer() };
        }
    }
}

/// A single routine and those of an array, as addresses in memory.
///
/// # Safety
///
/// Both are those of the file that `object` was loaded from.
unsafe fn addresses(object: &Object, single: usize, array: (usize, usize)) -> Vec<usize> {
    let mut all = Vec::new();
    if single != 0 {
        all.push(object.base + single);
    }
    let (start, size) = array;
    for index in 0..size / size_of::<usize>() {
        let place = (object.base + start) as *const usize;
        // SAFETY: the array is in the object, whose addresses the loader has put right.
        let address = unsafe { place.add(index).read() };
        // The loader passes over these, too: linkers use them to reserve places.
        if address != 0 && address != usize::MAX {
            all.push(address);
        }
    }
    all
}

/// What `main` got; the standard library inside a plugin remembers it.
fn program_arguments() -> (c_int, *const *const c_char) {
    struct Arguments {
        pointers: Vec<*const c_char>,
        _strings: Vec<CString>,
    }
    // SAFETY: the pointers are to strings that live and die with them, and that nobody changes.
    unsafe impl Send for Arguments {}
    // SAFETY: as above.
    unsafe impl Sync for Arguments {}
    static ARGUMENTS: OnceLock<Arguments> = OnceLock::new();

    let arguments = ARGUMENTS.get_or_init(|| {
        let strings: Vec<CString> = std::env::args_os()
            .filter_map(|argument| CString::new(argument.as_bytes()).ok())
            .collect();
        let mut pointers: Vec<_> = strings.iter().map(|string| string.as_ptr()).collect();
        pointers.push(ptr::null());
        Arguments {
            pointers,
            _strings: strings,
        }
    });
    let count = c_int::try_from(arguments.pointers.len() - 1).unwrap_or(c_int::MAX);
    (count, arguments.pointers.as_ptr())
}
