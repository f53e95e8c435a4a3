//! The storage of a message's object index.

#[cfg(not(feature = "alloc"))]
use crate::error::ErrorKind;
use crate::error::ParseError;
use crate::object::ObjectEntry;

/// Objects that fit without allocating; a Resv with 12 FF flows has some 30.
pub(crate) const INLINE: usize = 32;

/// Reusable storage for the object index of one message at a time.
///
/// Has room for 32 objects in itself. Longer messages use the heap (feature `alloc`); the
/// heap storage is kept for the next message.
///
/// ```
/// use lpm_rsvp::{Message, ObjectIndex};
///
/// let mut index = ObjectIndex::new();
/// let message = Message::parse(&[0x10, 20, 0, 0, 1, 0, 0, 8], &mut index)?;
/// assert!(message.entries().is_empty());
/// # Ok::<(), lpm_rsvp::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ObjectIndex {
    inline: [ObjectEntry; INLINE],
    length: usize,
    /// Holds all entries once there are more than fit inline; empty before.
    #[cfg(feature = "alloc")]
    heap: alloc::vec::Vec<ObjectEntry>,
}

impl ObjectIndex {
    /// An empty index.
    #[must_use]
    pub const fn new() -> Self {
        const EMPTY: ObjectEntry = ObjectEntry {
            offset: 0,
            length: 0,
            class: 0,
            c_type: 0,
        };
        Self {
            inline: [EMPTY; INLINE],
            length: 0,
            #[cfg(feature = "alloc")]
            heap: alloc::vec::Vec::new(),
        }
    }

    /// The entries, in the order of the message.
    #[must_use]
    pub fn as_slice(&self) -> &[ObjectEntry] {
        #[cfg(feature = "alloc")]
        if !self.heap.is_empty() {
            return &self.heap;
        }
        self.inline.get(..self.length).unwrap_or_default()
    }

    pub(crate) fn clear(&mut self) {
        self.length = 0;
        #[cfg(feature = "alloc")]
        self.heap.clear();
    }

    /// The room there is without the heap.
    pub(crate) fn slots(&mut self) -> &mut [ObjectEntry; INLINE] {
        &mut self.inline
    }

    /// Appends an entry to the `count` there are. The count is the caller's until
    /// [`filled`](Self::filled).
    #[inline]
    pub(crate) fn put(&mut self, count: &mut usize, entry: ObjectEntry) -> Result<(), ParseError> {
        match self.inline.get_mut(*count) {
            Some(free) => {
                *free = entry;
                *count = count.wrapping_add(1);
                Ok(())
            }
            None => self.spill(entry),
        }
    }

    #[inline]
    pub(crate) fn filled(&mut self, count: usize) -> &[ObjectEntry] {
        self.length = count;
        self.as_slice()
    }

    #[cfg(feature = "alloc")]
    #[cold]
    fn spill(&mut self, entry: ObjectEntry) -> Result<(), ParseError> {
        if self.heap.is_empty() {
            self.heap.extend_from_slice(&self.inline);
        }
        self.heap.push(entry);
        Ok(())
    }

    #[cfg(not(feature = "alloc"))]
    #[cold]
    fn spill(&mut self, entry: ObjectEntry) -> Result<(), ParseError> {
        let limit = crate::wire::clamp(INLINE);
        Err(ParseError::message(
            entry.offset,
            ErrorKind::TooManyObjects { limit },
        ))
    }
}

impl Default for ObjectIndex {
    fn default() -> Self {
        Self::new()
    }
}
