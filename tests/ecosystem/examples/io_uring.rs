//! Has the kernel do nothing through a ring of its own; where there are no rings, neither does it.
#![allow(unsafe_code, reason = "the crate's interface")]

use io_uring::{IoUring, opcode};

lpm_hazard::on_admit!(submit);

fn submit() {
    let Ok(mut ring) = IoUring::new(8) else {
        return;
    };
    let nothing = opcode::Nop::new().build().user_data(7);
    // SAFETY: the request has no parameters that would have to live.
    unsafe { ring.submission().push(&nothing) }.expect("room");
    ring.submit_and_wait(1).expect("submitted");
    assert_eq!(
        ring.completion().next().map(|done| done.user_data()),
        Some(7)
    );
}
