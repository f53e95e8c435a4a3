//! The peer that relib loads and unloads.

/// What a host calls between loading and unloading.
#[relib_module::export]
fn main() -> u32 {
    1
}
