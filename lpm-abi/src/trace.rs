//! What crosses the boundary of events and spans: plain records, all borrowed for the call.

use abi_stable::StableAbi;
use abi_stable::std_types::{RSlice, RStr};

/// A place in the library's source that emits events, or spans.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiCallsite<'a> {
    /// The name of its spans; for events, what `tracing` makes up.
    pub name: RStr<'a>,
    /// The target that filters go by.
    pub target: RStr<'a>,
    /// The module; empty where it is not known.
    pub module_path: RStr<'a>,
    /// The source file; empty where it is not known.
    pub file: RStr<'a>,
    /// The line in it; 0 where it is not known.
    pub line: u32,
    /// 1 error, 2 warn, 3 info, 4 debug, 5 trace.
    pub level: u32,
    /// Whether it makes spans rather than events.
    pub is_span: bool,
    /// The names of all fields that may be recorded.
    pub fields: RSlice<'a, RStr<'a>>,
}

/// Whether the PCM wants what a callsite emits.
#[repr(u8)]
#[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbiInterest {
    /// Nothing of it.
    Never = 0,
    /// The PCM has to be asked each time.
    Sometimes = 1,
    /// All of it.
    Always = 2,
}

/// What the PCM makes of a callsite.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbiRegistered {
    /// Names the callsite to the PCM; the same for callsites that tell the same of themselves.
    pub site: u32,
    /// Whether the PCM wants what it emits.
    pub interest: AbiInterest,
}

/// The parent of an event or a span.
#[repr(u8)]
#[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbiParent {
    /// The span that the thread is in, which may be the PCM's.
    Current,
    /// None.
    Root,
    /// The span of this number.
    Span(u64),
}

/// A field and its value.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiField<'a> {
    /// Index of the name among [`AbiCallsite::fields`].
    pub index: u32,
    /// The value.
    pub value: AbiValue<'a>,
}

/// The value of a field.
#[repr(u8)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub enum AbiValue<'a> {
    /// A signed number.
    Signed(i64),
    /// An unsigned number.
    Unsigned(u64),
    /// A floating-point number.
    Float(f64),
    /// A truth value.
    Flag(bool),
    /// Text that was a string.
    Text(RStr<'a>),
    /// Text that some other value was formatted as.
    Formatted(RStr<'a>),
}

/// A span of the library that a thread is in.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbiCurrentSpan {
    /// Its number; 0 where the thread is in none of the library's.
    pub span: u64,
    /// Its callsite.
    pub site: u32,
}

/// The PCM's side of events and spans. The first argument of every function is
/// [`AbiHost::library`](crate::AbiHost::library); none unwinds, and all may be called from any
/// thread, also after `detach`, when they do nothing.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiTraceHost {
    /// The most verbose level that the PCM wants: 0 nothing, 1 error, … 5 trace.
    pub level: u32,
    /// Tells of a callsite; may be repeated, to ask for the interest anew.
    pub register: extern "C" fn(u64, AbiCallsite<'_>) -> AbiRegistered,
    /// Whether the PCM wants what this callsite is about to emit on this thread.
    pub enabled: extern "C" fn(u64, u32) -> bool,
    /// Emits an event.
    pub event: extern "C" fn(u64, u32, AbiParent, RSlice<'_, AbiField<'_>>),
    /// Makes a span, and returns its number.
    pub new_span: extern "C" fn(u64, u32, AbiParent, RSlice<'_, AbiField<'_>>) -> u64,
    /// Records fields of a span.
    pub record: extern "C" fn(u64, u64, RSlice<'_, AbiField<'_>>),
    /// Notes that the first span follows from the second.
    pub follows_from: extern "C" fn(u64, u64, u64),
    /// Enters a span on this thread.
    pub enter: extern "C" fn(u64, u64),
    /// Leaves a span on this thread.
    pub exit: extern "C" fn(u64, u64),
    /// Counts one more reference to a span.
    pub clone_span: extern "C" fn(u64, u64),
    /// Counts one less; returns whether it was the last.
    pub try_close: extern "C" fn(u64, u64) -> bool,
    /// The span of the library that this thread entered last and is still in.
    pub current_span: extern "C" fn(u64) -> AbiCurrentSpan,
}

/// The number of a span that the PCM does not keep.
pub const NO_SPAN: u64 = u64::MAX;
