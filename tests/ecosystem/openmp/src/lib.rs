//! A loop that OpenMP runs on its threads.

use std::ffi::c_int;

unsafe extern "C" {
    /// The sum of the numbers up to `count`.
    pub safe fn sum(count: c_int) -> c_int;
}
