//! Requests that a library made and that end later: `aio_read` and its relatives, `mq_notify`.
//!
//! The C library writes to the request, and to its buffer, when it is done, and then may call a function on a
//! thread of its own (`SIGEV_THREAD`). So requests are cancelled when the library goes, and those that
//! cannot be are waited for; and the function is the host's, which calls the library's if that is still there, as
//! with timers ([`calls`](super::calls)).

use std::ffi::{c_int, c_void};
use std::sync::Arc;

use super::calls::Event;
use super::entries::Request;
use super::ledger::{self, Ledger};
use super::memory;

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
    fn aio_error(block: *const Block) -> c_int;
    fn aio_return(block: *mut Block) -> isize;
    fn aio_cancel(file: c_int, block: *mut Block) -> c_int;
    fn lio_listio(mode: c_int, list: *const *mut Block, count: c_int, event: *mut Event) -> c_int;
    // `libc` declares it for its own type of event.
    fn mq_notify(queue: libc::mqd_t, event: *const Event) -> c_int;
}

/// How many requests of this object are under way.
pub(super) fn under_way(ledger: &Ledger) -> usize {
    let requests = ledger.with(|entries| entries.requests.clone());
    requests
        .iter()
        .filter(|request| is_under_way(request))
        .count()
}

/// Cancels the requests of an object that can be, and has its queues call nothing any more.
pub(super) fn cancel(ledger: &Ledger) {
    let (requests, queues) = ledger.with(|entries| {
        (
            entries.requests.clone(),
            std::mem::take(&mut entries.queues),
        )
    });
    for request in requests.iter().filter(|request| is_under_way(request)) {
        let block = request.place as *mut Block;
        // SAFETY: the request is under way, so the block is one, in memory that stays until it is done.
        unsafe { aio_cancel((*block).file, block) };
    }
    for queue in queues {
        // SAFETY: this ends what the process asked of the queue; if that is closed, it fails.
        unsafe { mq_notify(queue, std::ptr::null()) };
    }
}

/// Whether the C library is still at it.
fn is_under_way(request: &Request) -> bool {
    let block = request.place as *const Block;
    // Memory of one that is done may be gone.
    memory::word(request.place).is_some()
            // SAFETY: the block was one when the request was made, and is mapped; nothing is written.
            && unsafe { aio_error(block) } == libc::EINPROGRESS
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
    let request = Request {
        place: block as usize,
    };
    // First: it may be done at once.
    ledger.with(|entries| {
        entries
            .requests
            .retain(|other| other.place != request.place);
        entries.requests.push(request);
    });
    let failed = make(block);
    if failed != 0 {
        forget(&ledger, request.place);
    }
    failed
}

fn forget(ledger: &Ledger, place: usize) {
    ledger.with(|entries| entries.requests.retain(|request| request.place != place));
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

/// Stands in for `aio_return`.
///
/// # Safety
///
/// As for `aio_return`.
pub(super) unsafe extern "C" fn take_result(block: *mut c_void) -> isize {
    for ledger in ledger::all() {
        forget(&ledger, block as usize);
    }
    // SAFETY: the caller's promise.
    unsafe { aio_return(block.cast()) }
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
    for &block in all.iter().filter(|block| !block.is_null()) {
        if let Some(ledger) = owner(block as usize) {
            let block = block.cast::<Block>();
            // SAFETY: the caller passes blocks that are his until the requests are made.
            unsafe { (*block).event.redirect_for_good(&ledger) };
            let place = block as usize;
            forget(&ledger, place);
            ledger.with(|entries| entries.requests.push(Request { place }));
        }
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
    unsafe { lio_listio(mode, list.cast(), count, event) }
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
