//! The PCM, as a library sees it from when it is attached.

use abi_stable::StableAbi;
use abi_stable::std_types::RStr;

use crate::trace::AbiTraceHost;

/// What a library may call in the PCM that loaded it, from
/// [`attach`](crate::AbiLpmModule::attach) until [`detach`](crate::AbiLpmModule::detach) returns.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiHost {
    /// Names the library to the PCM.
    pub library: u64,
    /// Reports a panic; the first argument is `library`.
    pub report_panic: extern "C" fn(u64, AbiPanic<'_>),
    /// Takes events and spans.
    pub trace: AbiTraceHost,
}

/// A panic inside an LPM library.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiPanic<'a> {
    /// The panic's message.
    pub message: RStr<'a>,
    /// Source file; empty where it is not known.
    pub file: RStr<'a>,
    /// Line in it.
    pub line: u32,
    /// The thread's name; empty where it has none.
    pub thread: RStr<'a>,
}
