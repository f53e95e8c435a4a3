//! How much of a capture is held in memory at a time.

/// The largest packet or block that is read, in bytes. Real ones are far smaller; a longer one is
/// the mark of a damaged file.
pub const MAX_BLOCK: u64 = 16 << 20;

/// How much is read at a time, in bytes; the buffer grows to the largest block, up to
/// [`MAX_BLOCK`].
pub(super) const BUFFER: usize = 64 << 10;

/// How many interfaces a section of a pcapng file may describe.
pub(super) const MAX_INTERFACES: usize = 1 << 16;
