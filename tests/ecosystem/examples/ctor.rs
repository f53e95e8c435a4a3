//! Runs code before it is first called and after the last call, with `ctor`.
#![allow(unsafe_code, reason = "the crate's interface")]

use std::sync::atomic::{AtomicUsize, Ordering};

lpm_hazard::on_admit!(check);

static RAN: AtomicUsize = AtomicUsize::new(0);

#[ctor::ctor]
unsafe fn begin() {
    RAN.fetch_add(1, Ordering::Relaxed);
}

#[ctor::dtor]
unsafe fn end() {
    RAN.fetch_sub(1, Ordering::Relaxed);
}

fn check() {
    assert_eq!(RAN.load(Ordering::Relaxed), 1);
}
