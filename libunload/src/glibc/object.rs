//! The loader's view of what is mapped.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ops::Range;
use std::ptr;

use smallvec::SmallVec;

use crate::os::Handle;

type ProgramHeader = libc::Elf64_Phdr;

/// An entry of a dynamic section.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct DynamicEntry {
    pub(super) tag: i64,
    pub(super) value: u64,
}

/// A library or program as the loader lists it, with addresses in this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Object {
    /// The path it was loaded from.
    pub(super) path: CString,
    /// What is added to an address in the file to get that in memory.
    pub(super) base: usize,
    /// From the beginning of the first mapping to the end of the last.
    pub(super) range: Range<usize>,
    /// The code.
    pub(super) text: SmallVec<[Range<usize>; 2]>,
    /// What may be written to, before `read_only_after_relocation` is taken away.
    pub(super) writable: SmallVec<[Range<usize>; 2]>,
    /// Whole pages that were made read-only once the addresses in them were right.
    pub(super) read_only_after_relocation: Range<usize>,
    /// The dynamic section.
    pub(super) dynamic: usize,
}

impl Object {
    /// The object behind an open handle, one of those that are loaded.
    pub(super) fn of_handle<'a>(handle: &Handle, loaded: &'a [Self]) -> Option<&'a Self> {
        let mut map: *mut LinkMap = ptr::null_mut();
        let request = libc::RTLD_DI_LINKMAP;
        // SAFETY: the handle is open, and the request writes one pointer.
        let failed = unsafe { libc::dlinfo(handle.as_ptr(), request, (&raw mut map).cast()) };
        if failed != 0 || map.is_null() {
            return None;
        }
        // SAFETY: the loader keeps the record while the handle is open.
        let dynamic = unsafe { (*map).dynamic } as usize;
        loaded.iter().find(|object| object.dynamic == dynamic)
    }

    /// Whether the loader still lists it, and not another one in its place.
    pub(super) fn is_loaded(&self) -> bool {
        let this = ptr::from_ref(self).cast_mut().cast();
        // SAFETY: the callback is called before this returns, and gets this object.
        unsafe { libc::dl_iterate_phdr(Some(is_it), this) != 0 }
    }

    /// The entries of the dynamic section.
    pub(super) fn dynamic_entries(&self) -> impl Iterator<Item = DynamicEntry> {
        let mut next = self.dynamic as *const DynamicEntry;
        std::iter::from_fn(move || {
            if next.is_null() {
                return None;
            }
            // SAFETY: the section ends with an entry of tag 0, beyond which this does not go; the
            // object is mapped as long as it is loaded, which callers see to.
            let entry = unsafe { next.read() };
            // SAFETY: as above.
            next = unsafe { next.add(1) };
            (entry.tag != 0).then_some(entry)
        })
        .fuse()
    }

    /// The value of the first entry with this tag.
    pub(super) fn dynamic_value(&self, tag: i64) -> Option<usize> {
        let entry = self.dynamic_entries().find(|entry| entry.tag == tag)?;
        usize::try_from(entry.value).ok()
    }

    /// The address in memory that the first entry with this tag names.
    pub(super) fn dynamic_address(&self, tag: i64) -> Option<usize> {
        let address = self.dynamic_value(tag)?;
        // The loader writes addresses in memory over those in the file, but where it cannot write,
        // as in the kernel's own object.
        Some(if address < self.base {
            address + self.base
        } else {
            address
        })
    }

    /// A string of the dynamic string table.
    pub(super) fn dynamic_string(&self, offset: usize) -> Option<&CStr> {
        const DT_STRTAB: i64 = 5;
        const DT_STRSZ: i64 = 10;
        if offset >= self.dynamic_value(DT_STRSZ)? {
            return None;
        }
        let text = (self.dynamic_address(DT_STRTAB)? + offset) as *const c_char;
        // SAFETY: the loader has used the table, and every string in it ends within it.
        Some(unsafe { CStr::from_ptr(text) })
    }
}

/// Whether this is the object; if so, the others are not looked at.
unsafe extern "C" fn is_it(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    object: *mut c_void,
) -> c_int {
    // SAFETY: `is_loaded` passes an object.
    let object = unsafe { &*object.cast::<Object>() };
    // SAFETY: the loader passes a record that is valid during the call.
    let info = unsafe { &*info };
    // SAFETY: so is its path.
    let path = unsafe { CStr::from_ptr(info.dlpi_name) };
    c_int::from(to_usize(info.dlpi_addr) == object.base && path == object.path.as_c_str())
}

/// Everything that is loaded, the program itself first.
pub(super) fn loaded() -> Vec<Object> {
    let mut objects: Vec<Object> = Vec::new();
    // SAFETY: the callback is called before this returns, and gets the vector.
    unsafe { libc::dl_iterate_phdr(Some(collect), (&raw mut objects).cast()) };
    objects
}

/// What the loader publishes of an object (`struct link_map`), as far as it is needed.
#[repr(C)]
struct LinkMap {
    base: usize,
    path: *const c_char,
    dynamic: *const DynamicEntry,
}

unsafe extern "C" fn collect(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    objects: *mut c_void,
) -> c_int {
    // SAFETY: `loaded` passes its vector.
    let objects = unsafe { &mut *objects.cast::<Vec<Object>>() };
    // SAFETY: the loader passes a record that is valid during the call.
    let info = unsafe { &*info };
    // SAFETY: so are its headers and its path.
    let headers =
        unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    // SAFETY: as above.
    let path = unsafe { CStr::from_ptr(info.dlpi_name) }.to_owned();
    objects.push(from_headers(path, to_usize(info.dlpi_addr), headers));
    0
}

fn from_headers(path: CString, base: usize, headers: &[ProgramHeader]) -> Object {
    let page = page_size();
    let place = |header: &ProgramHeader| {
        let start = base + to_usize(header.p_vaddr);
        start..start + to_usize(header.p_memsz)
    };
    let segments = || {
        headers
            .iter()
            .filter(|header| header.p_type == libc::PT_LOAD)
    };
    let with = |flag: u32| {
        segments()
            .filter(move |header| header.p_flags & flag != 0)
            .map(place)
    };
    let start = segments()
        .map(|header| place(header).start)
        .min()
        .unwrap_or(0);
    let end = segments()
        .map(|header| place(header).end)
        .max()
        .unwrap_or(0);
    let find = |kind: u32| {
        headers
            .iter()
            .find(|header| header.p_type == kind)
            .map(place)
    };
    let relro = find(libc::PT_GNU_RELRO).unwrap_or(0..0);
    Object {
        path,
        base,
        range: start & !(page - 1)..end.next_multiple_of(page),
        text: with(libc::PF_X).collect(),
        writable: with(libc::PF_W).collect(),
        read_only_after_relocation: relro.start & !(page - 1)..relro.end & !(page - 1),
        dynamic: find(libc::PT_DYNAMIC).map_or(0, |dynamic| dynamic.start),
    }
}

pub(super) fn page_size() -> usize {
    // SAFETY: no preconditions.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

/// Addresses in 64-bit ELF structures fit here, since this is only built for 64 bits.
pub(super) fn to_usize(address: u64) -> usize {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "pointers have 64 bits here"
    )]
    {
        address as usize
    }
}
