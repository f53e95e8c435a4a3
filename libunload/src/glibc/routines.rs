//! The initializers and finalizers of a library, called by the host instead of the loader.
//!
//! The order is the loader's: `DT_INIT`, then `DT_INIT_ARRAY` forwards; `DT_FINI_ARRAY` backwards,
//! then `DT_FINI`. The C runtime's part of the finalizers runs the library's exit handlers and the
//! destructors of C++ statics.
//!
//! The finalizers of libraries that are loaded when the process exits run where the loader would
//! run them: after all that was registered for the exit.

use std::ffi::{c_char, c_int};
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering};

use super::entries::{Finalizer, Finalizers};
use super::ledger;
use super::object::{DynamicEntry, Object};
use super::patch;
use super::remnants::Concealed;
use crate::elf::Routines;

type Initializer = unsafe extern "C" fn(c_int, *const *const c_char, *const *const c_char);

unsafe extern "C" {
    static environ: *const *const c_char;
}

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
        let initializer = unsafe { std::mem::transmute::<usize, Initializer>(address.get()) };
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
    let typed = |address: Concealed| unsafe {
        Concealed::new(std::mem::transmute::<usize, Finalizer>(address.get()))
    };
    Finalizers(all.into_iter().map(typed).collect())
}

/// Finds the finalizers of an object that the loader initialized, and takes them from it: what it
/// will run is nothing.
pub(super) fn take_from_loader(object: &Object) -> io::Result<Finalizers> {
    const DT_FINI: i64 = 13;
    const DT_FINI_ARRAY: i64 = 26;
    const DT_FINI_ARRAYSZ: i64 = 28;
    let value = |tag| object.dynamic_value(tag).unwrap_or(0);
    let routines = Routines {
        fini: value(DT_FINI),
        fini_array: value(DT_FINI_ARRAY),
        fini_array_size: value(DT_FINI_ARRAYSZ),
        ..Routines::default()
    };
    // SAFETY: the loader has read the same entries.
    let finalizers = unsafe { finalizers(object, routines) };
    let mut slots = Vec::new();
    for (index, entry) in object.dynamic_entries().enumerate() {
        let section = object.dynamic().wrapping_sub(object.base());
        let slot = section + index * size_of::<DynamicEntry>() + size_of::<i64>();
        let instead = match entry.tag {
            // The loader adds where the object is.
            DT_FINI => (nothing as *const () as usize).wrapping_sub(object.base()),
            DT_FINI_ARRAYSZ => 0,
            _ => continue,
        };
        slots.push((slot, ptr::without_provenance(instead)));
    }
    patch::write(object, &slots)?;
    Ok(finalizers)
}

/// What the loader runs instead.
unsafe extern "C" fn nothing() {}

/// A single routine and those of an array, as addresses in memory.
///
/// # Safety
///
/// Both are those of the file that `object` was loaded from.
unsafe fn addresses(object: &Object, single: usize, array: (usize, usize)) -> Vec<Concealed> {
    let mut all = Vec::new();
    if single != 0 {
        all.push(Concealed::new(object.base() + single));
    }
    let (start, size) = array;
    for index in 0..size / size_of::<usize>() {
        let place = (object.base() + start) as *const usize;
        // SAFETY: the array is in the object, whose addresses the loader has put right.
        let address = unsafe { place.add(index).read() };
        // The loader passes over these, too: linkers use them to reserve places.
        if address != 0 && address != usize::MAX {
            all.push(Concealed::new(address));
        }
    }
    all
}

/// What `main` got, where it lies: the environment and the auxiliary vector follow it in memory,
/// and some languages' runtimes look for them there.
fn program_arguments() -> (c_int, *const *const c_char) {
    let count = COUNT.load(Ordering::Relaxed);
    (count, ARGUMENTS.load(Ordering::Relaxed))
}

static COUNT: AtomicI32 = AtomicI32::new(0);
static ARGUMENTS: AtomicPtr<*const c_char> = AtomicPtr::new(ptr::null_mut());

/// Has the loader call [`note_arguments`] before `main`, as it calls every initializer.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_START: Initializer = note_arguments;

unsafe extern "C" fn note_arguments(
    count: c_int,
    arguments: *const *const c_char,
    _environment: *const *const c_char,
) {
    COUNT.store(count, Ordering::Relaxed);
    ARGUMENTS.store(arguments.cast_mut(), Ordering::Relaxed);
}

/// Has the loader call [`finalize_what_is_loaded`] at the very end of the process.
#[used]
#[unsafe(link_section = ".fini_array")]
static AT_EXIT: Finalizer = finalize_what_is_loaded;

/// The last loaded first, as the loader does; those that have threads are left alone, which the
/// loader would not.
unsafe extern "C" fn finalize_what_is_loaded() {
    for ledger in ledger::all().into_iter().rev() {
        let finalizers = ledger.with(|entries| {
            let has_threads = !entries.threads.alive().is_empty();
            (!has_threads).then(|| std::mem::take(&mut entries.finalizers))
        });
        if let Some(finalizers) = finalizers {
            // SAFETY: the library is mapped. What else uses it at this moment does so with the
            // loader, too.
            unsafe { finalizers.run() };
        }
    }
}
