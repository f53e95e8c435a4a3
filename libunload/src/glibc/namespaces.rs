//! Objects in other namespaces of the loader (`dlmopen`), which it lists to debuggers only.

use std::ffi::CString;

use super::link_maps;
use super::memory::words;
use super::object::{self, Object, ProgramHeader};
use super::search::wanted::FOR_DEBUGGERS;

const WORD: usize = size_of::<usize>();

/// What is loaded, as far as it is none of `loaded`; without thread-locals, which are looked at
/// where threads are.
pub(super) fn others(loaded: &[Object]) -> Vec<Object> {
    /// There are 16 at most; lists that are longer are none.
    const MOST: usize = 1 << 12;
    /// `struct r_debug_extended`: version, first object, two words, where the loader is; the next
    /// namespace.
    const LENGTH: usize = 6;
    let mut found: Vec<Object> = Vec::new();
    // Since glibc 2.35 there is such a list for each namespace, before for the first alone.
    let mut namespace = FOR_DEBUGGERS.address().unwrap_or(0);
    for _ in 0..MOST {
        let Some([version, first, .., next]) = words::<LENGTH>(namespace) else {
            break;
        };
        // In the first they are known.
        let first = if found.is_empty() && Some(namespace) == FOR_DEBUGGERS.address() {
            0
        } else {
            first
        };
        for record in link_maps::from(first).take(MOST) {
            let is_known = |other: &Object| other.dynamic() == record.dynamic;
            if !loaded.iter().chain(&found).any(is_known) {
                found.extend(at(record.base));
            }
        }
        // The lower half is the number.
        if version & 0xffff_ffff < 2 {
            break;
        }
        namespace = next;
    }
    found
}

/// The object whose file is mapped from here on.
fn at(base: usize) -> Option<Object> {
    const MAGIC: usize = 0x464c_457f;
    /// In words.
    const HEADER: usize = size_of::<ProgramHeader>() / WORD;
    let file = words::<8>(base).filter(|words| words[0] & 0xffff_ffff == MAGIC)?;
    // `e_phoff`, `e_phnum`
    let (start, count) = (base.checked_add(file[4])?, file[7] & 0xffff);
    let headers = (0..count).filter_map(|index| {
        let [kind, offset, place, _, in_file, size, alignment] =
            words::<HEADER>(start + index * HEADER * WORD)?;
        Some(ProgramHeader {
            p_type: u32::try_from(kind & 0xffff_ffff).ok()?,
            p_flags: u32::try_from(kind >> 32).ok()?,
            p_offset: offset as u64,
            p_vaddr: place as u64,
            p_paddr: place as u64,
            p_filesz: in_file as u64,
            p_memsz: size as u64,
            p_align: alignment as u64,
        })
    });
    let headers: Vec<_> = headers.collect();
    Some(object::from_headers(CString::default(), base, 0, &headers))
}
