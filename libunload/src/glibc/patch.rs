//! Writes over what the loader has written into an object.

use std::ffi::{c_int, c_void};
use std::ops::Range;

use super::object::{Object, page_size};

/// Writes these addresses, or whatever is as long, into their slots, which are told as in the
/// object's file.
pub(super) fn write(object: &Object, slots: &[(usize, *const ())]) -> std::io::Result<()> {
    let parts = object.text().map(|text| (text, libc::PROT_EXEC));
    let parts = parts.chain([(object.read_only_after_relocation(), 0)]);
    let place = |slot: usize| object.base().wrapping_add(slot);
    let touched = parts.filter(|(part, _)| slots.iter().any(|slot| part.contains(&place(slot.0))));
    let writable = touched.map(|(part, access)| MadeWritable::new(&part, libc::PROT_READ | access));
    let _writable = writable.collect::<std::io::Result<Vec<_>>>()?;
    for &(slot, address) in slots {
        let slot = place(slot) as *mut *const ();
        // SAFETY: the slot is in a part of a loaded object that is writable or was made so. Who
        // calls this knows what the loader has written there: what reads it meanwhile reads one or
        // the other; where it is in code, none runs.
        unsafe {
            match slot.is_aligned() {
                true => slot.write_volatile(address),
                false => slot.write_unaligned(address),
            }
        }
    }
    Ok(())
}

/// Memory that is writable until this is dropped, and has this access before and after.
struct MadeWritable(Range<usize>, c_int);

impl MadeWritable {
    fn new(range: &Range<usize>, access: c_int) -> std::io::Result<Self> {
        let page = page_size();
        let pages = range.start & !(page - 1)..range.end.next_multiple_of(page);
        protect(&pages, access | libc::PROT_WRITE)?;
        Ok(Self(pages, access))
    }
}

impl Drop for MadeWritable {
    fn drop(&mut self) {
        if let Err(error) = protect(&self.0, self.1) {
            tracing::warn!("a part of a library stays writable: {error}");
        }
    }
}

fn protect(range: &Range<usize>, access: c_int) -> std::io::Result<()> {
    // SAFETY: the pages are those of one object's read-only data, which may always be read, and is
    // written only by `write`.
    match unsafe { libc::mprotect(range.start as *mut c_void, range.len(), access) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}
