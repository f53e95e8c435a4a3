//! Objects that an LPM supplies: a list of pointers, all in memory from the PCM's `AllocMemory`.
//! The PCM frees them, whatever it makes of them.

use std::ffi::c_int;
use std::ptr;

use super::header::Object;
use super::memory;
use super::order::To;

/// A list of objects, which is freed with them.
pub(super) struct Supplied {
    count: c_int,
    list: *mut *mut Object,
}

/// Why a list of objects is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadList {
    #[error("a count of {0} objects")]
    Count(c_int),
    #[error("a list of objects that is not in memory from AllocMemory")]
    List,
    #[error("object {0} is not in memory from AllocMemory, or longer than that")]
    Object(usize),
    #[error("object {0} has a length of {1}; expected 4 or more, and a multiple of 4")]
    Length(usize, u16),
}

impl Supplied {
    pub(super) const fn new(count: c_int, list: *mut *mut Object) -> Self {
        Self { count, list }
    }

    /// The objects in network order, one after the other.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, BadList> {
        // More than a message has room for.
        if !(0..=16_384).contains(&self.count) {
            return Err(BadList::Count(self.count));
        }
        let mut bytes = Vec::new();
        for (index, object) in self.objects().ok_or(BadList::List)?.into_iter().enumerate() {
            let length = memory::copy(object, 2).ok_or(BadList::Object(index))?;
            let length = u16::from_ne_bytes(length.try_into().unwrap_or_default());
            if length < 4 || length % 4 != 0 {
                return Err(BadList::Length(index, length));
            }
            let object = memory::copy(object, length.into());
            let mut object = object.ok_or(BadList::Object(index))?;
            To::Network.object(&mut object);
            bytes.extend(object);
        }
        Ok(bytes)
    }

    /// The pointers.
    fn objects(&self) -> Option<Vec<*mut u8>> {
        let count = usize::try_from(self.count).ok()?;
        if count == 0 {
            return Some(Vec::new());
        }
        let length = count.checked_mul(size_of::<*mut Object>())?;
        let pointers = memory::copy(self.list.cast(), length)?;
        let pointers = pointers.chunks_exact(size_of::<usize>());
        let pointer = |bytes: &[u8]| {
            let address = usize::from_ne_bytes(bytes.try_into().unwrap_or_default());
            ptr::with_exposed_provenance_mut(address)
        };
        Some(pointers.map(pointer).collect())
    }
}

impl Drop for Supplied {
    fn drop(&mut self) {
        let objects = self.objects().unwrap_or_default();
        memory::free_all(objects.into_iter().chain([self.list.cast()]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(bytes: &[u8]) -> *mut u8 {
        // SAFETY: it may be called anywhere.
        let block = unsafe { memory::allocate(bytes.len().try_into().unwrap()) }.cast::<u8>();
        // SAFETY: a block of that many bytes.
        unsafe { block.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        block
    }

    fn list(objects: &[*mut u8]) -> *mut *mut Object {
        let addresses = objects
            .iter()
            .flat_map(|object| object.expose_provenance().to_ne_bytes());
        block(&addresses.collect::<Vec<_>>()).cast()
    }

    fn object(length: u16, rest: &[u8]) -> Vec<u8> {
        [&length.to_ne_bytes()[..], &[14, 1], rest].concat()
    }

    #[test]
    fn objects_become_those_of_a_message_and_are_freed() {
        let mut first = object(16, &8u16.to_ne_bytes());
        first.extend([0, 0, 0, 8, 0, 2, 1, 2, 3, 4]);
        let objects = [block(&first), block(&object(4, &[]))];
        let at = list(&objects);
        let supplied = Supplied::new(2, at);
        let mut expected = vec![0, 16, 14, 1, 0, 8, 0, 0, 0, 8, 0, 2, 1, 2, 3, 4];
        expected.extend([0, 4, 14, 1]);
        assert_eq!(supplied.bytes(), Ok(expected));
        drop(supplied);
        for block in [objects[0], objects[1], at.cast()] {
            assert_eq!(memory::copy(block, 1), None);
        }
    }

    #[test]
    fn nothing_is_read_but_what_was_allocated() {
        let mut own = object(4, &[]);
        let own: *mut u8 = own.as_mut_ptr();
        for (count, at, expected) in [
            (-1, ptr::null_mut(), BadList::Count(-1)),
            (16_385, ptr::null_mut(), BadList::Count(16_385)),
            (1, ptr::null_mut(), BadList::List),
            (1, own.cast(), BadList::List),
            (2, list(&[own]), BadList::List),
            (1, list(&[own]), BadList::Object(0)),
            (1, list(&[ptr::null_mut()]), BadList::Object(0)),
            (1, list(&[block(&object(8, &[]))]), BadList::Object(0)),
            (1, list(&[block(&object(2, &[]))]), BadList::Length(0, 2)),
            (
                1,
                list(&[block(&object(6, &[0, 0]))]),
                BadList::Length(0, 6),
            ),
        ] {
            assert_eq!(Supplied::new(count, at).bytes(), Err(expected));
        }
        assert_eq!(Supplied::new(0, ptr::null_mut()).bytes(), Ok(Vec::new()));
    }
}
