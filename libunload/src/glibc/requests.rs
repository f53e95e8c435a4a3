//! Requests that a library made and that end later: `aio_read` and its relatives, `getaddrinfo_a`,
//! `mq_notify`.
//!
//! The C library writes to the request, and to its buffer, when it is done, and then may call a
//! function on a thread of its own (`SIGEV_THREAD`). So requests are cancelled when the library
//! goes, and those that cannot be are waited for; and the function is the host's, which calls the
//! library's if that is still there, as with timers ([`calls`](super::calls)).

use std::ffi::{c_int, c_void};
use std::sync::Arc;

use super::calls::Event;
use super::entries::Request;
use super::ledger::{self, Ledger};
use super::memory;
use super::remnants::Concealed;
use super::search::wanted::symbol;

/// What the C library and this file agree on: the parts of `struct aiocb` that matter here.
#[repr(C)]
struct Block {
    file: c_int,
    _operation: c_int,
    _priority: c_int,
    _buffer: *mut c_void,
    _length: usize,
    event: Event,
}

unsafe extern "C" {
    fn aio_read(block: *mut Block) -> c_int;
    fn aio_write(block: *mut Block) -> c_int;
    fn aio_fsync(operation: c_int, block: *mut Block) -> c_int;
    fn aio_error(block: *const Block) -> c_int;
    fn aio_cancel(file: c_int, block: *mut Block) -> c_int;
    fn lio_listio(mode: c_int, list: *const *mut Block, count: c_int, event: *mut Event) -> c_int;
    // `libc` declares it for its own type of event.
    fn mq_notify(queue: libc::mqd_t, event: *const Event) -> c_int;
}

/// glibc's functions to look names up, which older ones have in a library of its own.
#[derive(Clone, Copy)]
struct Names {
    look_up: LookUp,
    error: OfOne,
    cancel: OfOne,
}

type LookUp = unsafe extern "C" fn(c_int, *const usize, c_int, *mut Event) -> c_int;
type OfOne = unsafe extern "C" fn(usize) -> c_int;

impl Names {
    fn of_process() -> Option<Self> {
        let [look_up, error, cancel] = [c"getaddrinfo_a", c"gai_error", c"gai_cancel"].map(symbol);
        let (look_up, error, cancel) = (look_up?, error?, cancel?);
        // SAFETY: glibc's functions of these names have these types.
        unsafe {
            Some(Self {
                look_up: std::mem::transmute::<usize, LookUp>(look_up),
                error: std::mem::transmute::<usize, OfOne>(error),
                cancel: std::mem::transmute::<usize, OfOne>(cancel),
            })
        }
    }
}

/// Whether this process has `getaddrinfo_a` for all.
pub(super) fn can_look_up() -> bool {
    Names::of_process().is_some()
}

/// How many requests of this object are under way.
pub(super) fn under_way(ledger: &Ledger) -> usize {
    all_under_way(ledger).len()
}

fn all_under_way(ledger: &Ledger) -> Vec<(usize, Request)> {
    let requests = ledger.with(|entries| entries.requests.clone());
    let requests = requests.into_iter();
    let requests = requests.map(|(place, request)| (place.get(), request));
    requests.filter(is_under_way).collect()
}

/// Cancels the requests of an object that can be, and has its queues call nothing any more.
pub(super) fn cancel(ledger: &Ledger) {
    let queues = ledger.with(|entries| std::mem::take(&mut entries.queues));
    let requests = all_under_way(ledger);
    let asked = requests.iter().map(|(_, request)| match request {
        Request::Transfer => "aio_read",
        Request::Name => "getaddrinfo_a",
    });
    let lent: Vec<_> = asked.chain(queues.iter().map(|_| "mq_notify")).collect();
    ledger.with(|entries| entries.lent.extend(lent));
    for (place, request) in requests {
        // SAFETY: the request is under way, so it is one, in memory that stays until it is done.
        unsafe {
            match request {
                Request::Transfer => {
                    let block = place as *mut Block;
                    // Where there was one, there may be something else by now that looks like it.
                    if aio_cancel((*block).file, block) == AIO_ALLDONE {
                        forget(ledger, place);
                    }
                }
                Request::Name => {
                    // Of one that it cancels, glibc says for ever that it is under way.
                    let answer = Names::of_process().map(|names| (names.cancel)(place));
                    if answer != Some(EAI_NOTCANCELED) {
                        forget(ledger, place);
                    }
                }
            }
        }
    }
    for queue in queues {
        // SAFETY: this ends what the process asked of the queue; if that is closed, it fails.
        unsafe { mq_notify(queue, std::ptr::null()) };
    }
}

/// Whether the C library is still at it. Memory of one that is done may be gone, so a copy of it is
/// asked about.
fn is_under_way(&(place, request): &(usize, Request)) -> bool {
    const WORD: usize = size_of::<usize>();
    /// In words, of `struct aiocb` and `struct gaicb`.
    const TRANSFER: usize = size_of::<libc::aiocb>() / WORD;
    const NAME: usize = 5;
    let state = match request {
        Request::Transfer => memory::words::<TRANSFER>(place).map(|copy| {
            // SAFETY: there was one in that memory when the request was made; this reads its state.
            unsafe { aio_error(copy.as_ptr().cast()) == libc::EINPROGRESS }
        }),
        Request::Name => memory::words::<NAME>(place).and_then(|copy| {
            // SAFETY: the same.
            Some(unsafe { (Names::of_process()?.error)(copy.as_ptr() as usize) } == EAI_INPROGRESS)
        }),
    };
    state == Some(true)
}

/// Of `aio.h`.
const AIO_ALLDONE: c_int = 2;
/// Of `netdb.h`.
const EAI_INPROGRESS: c_int = -100;
const EAI_NOTCANCELED: c_int = -102;

/// Notes a request that was made. That it is done is found out when there are many: `aio_return`,
/// with which its result is taken, may be called in signal handlers, where nothing can be
/// forgotten.
fn note(ledger: &Ledger, place: usize, request: Request) {
    let is_inside = ledger.object.range().contains(&place);
    ledger.with(|entries| {
        if entries.requests.len() >= entries.next_look_at_requests {
            entries
                .requests
                .retain(|place, request| is_under_way(&(place.get(), *request)));
            entries.next_look_at_requests = (2 * entries.requests.len()).max(64);
        }
        entries.requests.insert(Concealed::new(place), request);
        if is_inside {
            entries.places_of_requests.insert(Concealed::new(place));
        }
    });
}

/// Whose request it is: that of who called, or who has the memory.
fn owner(place: usize) -> Option<Arc<Ledger>> {
    ledger::of_address(place).or_else(ledger::of_caller)
}

/// Makes a request and notes it.
///
/// # Safety
///
/// `block` is one, and `make` makes it a request.
unsafe fn request(block: *mut Block, make: impl FnOnce(*mut Block) -> c_int) -> c_int {
    let Some(ledger) = owner(block as usize) else {
        return make(block);
    };
    // SAFETY: the caller passes a block that is his until the request is made.
    unsafe { (*block).event.redirect_for_good(&ledger) };
    let failed = make(block);
    if failed == 0 {
        note(&ledger, block as usize, Request::Transfer);
    }
    failed
}

fn forget(ledger: &Ledger, place: usize) {
    ledger.with(|entries| entries.requests.remove(&Concealed::new(place)));
}

/// Stands in for `aio_read`.
///
/// # Safety
///
/// As for `aio_read`.
pub(super) unsafe extern "C" fn read(block: *mut c_void) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { request(block.cast(), |block| aio_read(block)) }
}

/// Stands in for `aio_write`.
///
/// # Safety
///
/// As for `aio_write`.
pub(super) unsafe extern "C" fn write(block: *mut c_void) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { request(block.cast(), |block| aio_write(block)) }
}

/// Stands in for `aio_fsync`.
///
/// # Safety
///
/// As for `aio_fsync`.
pub(super) unsafe extern "C" fn write_out(operation: c_int, block: *mut c_void) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { request(block.cast(), |block| aio_fsync(operation, block)) }
}

/// Stands in for `getaddrinfo_a`.
///
/// # Safety
///
/// As for `getaddrinfo_a`.
pub(super) unsafe extern "C" fn look_up(
    mode: c_int,
    list: *const usize,
    count: c_int,
    event: *mut Event,
) -> c_int {
    let Some(names) = Names::of_process() else {
        // Never so: it is stood in for where there are such functions.
        return libc::EAI_SYSTEM;
    };
    let requests = usize::try_from(count).unwrap_or(0);
    // SAFETY: the caller passes so many addresses.
    let all =
        unsafe { std::slice::from_raw_parts(list, if list.is_null() { 0 } else { requests }) };
    let caller = ledger::of_caller();
    // SAFETY: the caller passes an event or null.
    let mut event = unsafe { event.as_ref() }.copied();
    if let (Some(event), Some(ledger)) = (&mut event, &caller) {
        event.redirect_for_good(ledger);
    }
    let event = event
        .as_mut()
        .map_or(std::ptr::null_mut(), std::ptr::from_mut);
    // SAFETY: the caller's promise; glibc copies the event.
    let error = unsafe { (names.look_up)(mode, list, count, event) };
    // If it failed, some may have been made all the same.
    for &place in all.iter().filter(|&&place| place != 0) {
        if let Some(ledger) = ledger::of_address(place).as_ref().or(caller.as_ref()) {
            note(ledger, place, Request::Name);
        }
    }
    error
}

/// Stands in for `lio_listio`.
///
/// # Safety
///
/// As for `lio_listio`.
pub(super) unsafe extern "C" fn list(
    mode: c_int,
    list: *const *mut c_void,
    count: c_int,
    event: *mut Event,
) -> c_int {
    let blocks = usize::try_from(count).unwrap_or(0);
    // SAFETY: the caller passes so many addresses.
    let all = unsafe { std::slice::from_raw_parts(list, if list.is_null() { 0 } else { blocks }) };
    let all = all.iter().filter(|block| !block.is_null());
    let owned = all.filter_map(|&block| Some((block.cast::<Block>(), owner(block as usize)?)));
    let owned: Vec<_> = owned.collect();
    for (block, ledger) in &owned {
        // SAFETY: the caller passes blocks that are his until the requests are made.
        unsafe { (**block).event.redirect_for_good(ledger) };
    }
    // SAFETY: the caller passes an event or null.
    let mut whole = unsafe { event.as_ref() }.copied();
    if let (Some(whole), Some(ledger)) = (&mut whole, ledger::of_caller()) {
        whole.redirect_for_good(&ledger);
    }
    let event = whole
        .as_mut()
        .map_or(std::ptr::null_mut(), std::ptr::from_mut);
    // SAFETY: the caller's promise; glibc copies the event.
    let failed = unsafe { lio_listio(mode, list.cast(), count, event) };
    // If it failed, some may have been made all the same.
    for (block, ledger) in owned {
        note(&ledger, block as usize, Request::Transfer);
    }
    failed
}

/// Stands in for `mq_notify`.
///
/// # Safety
///
/// As for `mq_notify`.
pub(super) unsafe extern "C" fn notify(queue: libc::mqd_t, event: *const Event) -> c_int {
    // SAFETY: the caller passes an event or null.
    let mut event = unsafe { event.as_ref() }.copied();
    let ledger = ledger::of_caller();
    if let (Some(event), Some(ledger)) = (&mut event, &ledger) {
        event.redirect_for_good(ledger);
    }
    let asked = event.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the caller's promise; glibc copies the event.
    let failed = unsafe { mq_notify(queue, asked) };
    if let (0, Some(ledger)) = (failed, ledger) {
        ledger.with(|entries| {
            entries.queues.retain(|&other| other != queue);
            entries.queues.extend(event.map(|_| queue));
        });
    }
    failed
}
