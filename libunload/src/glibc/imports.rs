//! Redirects a library's imports to the host's stand-ins.
//!
//! The loader writes the address of every imported function into a slot of the library's own data
//! (the global offset table, or a variable). This writes another address there; the code stays as
//! it is. Slots that the loader has made read-only are made writable for the moment.

use std::ffi::CString;
use std::ops::Range;
use std::sync::Mutex;

use super::object::{Object, to_usize};
use super::{
    dispatch, exits, files, heap, keys, lent, lookups, patch, requests, signals, threads, timers,
    tls, whereabouts,
};
use crate::lock::lock;

/// The kinds of relocation with which a slot gets a function's plain address (absolute, global
/// offset table, jump slot).
const ADDRESS_KINDS: &[u32] = if cfg!(target_arch = "x86_64") {
    &[1, 6, 7]
} else if cfg!(target_arch = "aarch64") {
    &[257, 1025, 1026]
} else {
    // Not known here: no import can be redirected, so no library is unmapped.
    &[]
};

/// The functions that are stood in for.
fn stand_ins() -> Vec<(&'static [u8], *const ())> {
    vec![
        (b"__cxa_thread_atexit_impl", tls::register as *const ()),
        (b"__cxa_thread_atexit", tls::register as *const ()),
        (b"pthread_key_create", keys::create as *const ()),
        (b"__pthread_key_create", keys::create as *const ()),
        (b"pthread_key_delete", keys::delete_one as *const ()),
        (b"pthread_setspecific", keys::set as *const ()),
        (b"tss_create", keys::create_c11 as *const ()),
        (b"tss_delete", keys::delete_one_c11 as *const ()),
        (b"tss_set", keys::set_c11 as *const ()),
        (b"pthread_create", threads::create as *const ()),
        (b"thrd_create", threads::create_c11 as *const ()),
        (b"clone", threads::clone as *const ()),
        (b"timer_create", timers::create as *const ()),
        (b"timer_delete", timers::delete_one as *const ()),
        (b"sigaction", signals::set_action as *const ()),
        (b"signal", signals::set_handler as *const ()),
        (b"bsd_signal", signals::set_handler as *const ()),
        (b"ssignal", signals::set_handler as *const ()),
        (b"sigqueue", signals::values::send as *const ()),
        (
            b"pthread_sigqueue",
            signals::values::send_to_thread as *const (),
        ),
        (b"__cxa_atexit", exits::register_at_exit as *const ()),
        (
            b"__cxa_at_quick_exit",
            exits::register_at_quick_exit as *const (),
        ),
        (b"on_exit", exits::register_on_exit as *const ()),
        (b"__register_atfork", exits::register_at_fork as *const ()),
        (b"openlog", lent::open_log as *const ()),
        (b"closelog", lent::close_log as *const ()),
        (b"sigaltstack", lent::set_signal_stack as *const ()),
        (b"aio_read", requests::read as *const ()),
        (b"aio_read64", requests::read as *const ()),
        (b"aio_write", requests::write as *const ()),
        (b"aio_write64", requests::write as *const ()),
        (b"aio_fsync", requests::write_out as *const ()),
        (b"aio_fsync64", requests::write_out as *const ()),
        (b"getaddrinfo_a", requests::look_up as *const ()),
        (b"lio_listio", requests::list as *const ()),
        (b"mq_notify", requests::notify as *const ()),
        (b"prctl", dispatch::control as *const ()),
        (b"dladdr", whereabouts::find as *const ()),
        (b"dladdr1", whereabouts::find_more as *const ()),
        (b"dlinfo", whereabouts::inform as *const ()),
        (b"dlopen", whereabouts::open as *const ()),
        (b"dlsym", lookups::look_up as *const ()),
        (b"dlvsym", lookups::look_up_version as *const ()),
        (b"mmap", files::map as *const ()),
        (b"mmap64", files::map as *const ()),
        (b"munmap", files::unmap_one as *const ()),
        (b"malloc", heap::malloc as *const ()),
        (b"realloc", heap::realloc as *const ()),
        (b"free", heap::free as *const ()),
    ]
}

/// Their names, each with which of them are the same.
#[cfg(test)]
pub(crate) fn stood_in_for() -> Vec<(&'static str, usize)> {
    let name = |name| std::str::from_utf8(name).expect("ASCII");
    let all = stand_ins().into_iter();
    all.map(|(known, stand_in)| (name(known), stand_in as usize))
        .collect()
}

/// What the host's own libraries may do on behalf of a library that needs them, as the standard
/// library does where it is a library of its own.
const ON_BEHALF: [(&[u8], *const ()); 2] = [
    (b"__cxa_thread_atexit_impl", tls::register as *const ()),
    (b"pthread_create", threads::create_on_behalf as *const ()),
];

/// Redirects the imports of an object; returns those where that failed.
pub(super) fn redirect(object: &Object) -> Vec<String> {
    let all = stand_ins();
    lookups::know(|| {
        let known = all.iter();
        known
            .map(|(name, stand_in)| (*name, *stand_in as usize))
            .collect()
    });
    redirect_to(object, &all)
}

/// Redirects, in an object of the host that a library needs, what it may do for that library;
/// returns what could not be.
pub(super) fn redirect_on_behalf(object: &Object) -> Vec<String> {
    /// Those that were seen to: where their dynamic sections are. They stay.
    static DONE: Mutex<Vec<(usize, CString)>> = Mutex::new(Vec::new());
    let mut done = lock(&DONE);
    let this = (object.dynamic(), object.path.clone());
    if done.contains(&this) {
        return Vec::new();
    }
    done.push(this);
    redirect_to(object, &ON_BEHALF)
}

fn redirect_to(object: &Object, stand_ins: &[(&'static [u8], *const ())]) -> Vec<String> {
    let mut failed = Vec::new();
    let mut slots = Vec::new();
    for relocation in object.relocations() {
        let Some(name) = object.import_name(relocation) else {
            continue;
        };
        let Some((_, stand_in)) = stand_ins.iter().find(|(known, _)| *known == name) else {
            continue;
        };
        if *stand_in == requests::look_up as *const () && !requests::can_look_up() {
            // The search looks for what it leaves.
            continue;
        }
        let offset = to_usize(relocation.r_offset);
        let slot = object.base().wrapping_add(offset);
        let has_it =
            |range: Range<usize>| range.contains(&slot) && slot + size_of::<usize>() <= range.end;
        // The loader has written to code, too, where that is not position-independent
        // (`DT_TEXTREL`).
        if is_address(relocation) && object.writable().chain(object.text()).any(has_it) {
            slots.push((offset, *stand_in));
        } else {
            failed.push(String::from_utf8_lossy(name).into_owned());
        }
    }
    if let Err(error) = patch::write(object, &slots) {
        tracing::debug!("cannot redirect imports: {error}");
        failed.extend(slots.iter().map(|(_, stand_in)| {
            let known = stand_ins.iter().find(|(_, other)| other == stand_in);
            String::from_utf8_lossy(known.map_or(b"", |(name, _)| name)).into_owned()
        }));
    }
    failed
}

/// Whether the loader wrote the symbol's plain address.
fn is_address(relocation: &libc::Elf64_Rela) -> bool {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the kind is the lower half"
    )]
    let kind = relocation.r_info as u32;
    ADDRESS_KINDS.contains(&kind) && relocation.r_addend == 0
}
