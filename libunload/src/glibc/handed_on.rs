//! Does the loader hand the values of one library's thread-locals to the next? glibc's bug 29039.
//!
//! A thread finds the thread-locals of a library in its table, by a number that the next library
//! gets once the first has gone. Code that uses descriptors (`R_AARCH64_TLSDESC`; all code does on
//! aarch64) looks anew only where the thread's table is older than the library, and the loader
//! notes in the descriptor how old that is. Before glibc 2.39 it noted, of a library whose number
//! had been somebody else's, when that one went. A thread whose table is younger finds what the
//! other left.
//!
//! Distributions have mended older versions. So the loader is tried: three libraries of next to no
//! content are loaded, which no code is in and whose thread-locals nobody uses. The third gets the
//! number of the first, which is gone, and must be two changes younger than the second.

use std::ffi::CStr;
use std::fs::File;
use std::io::Write;
use std::mem::offset_of;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::loader;
use super::memory;
use super::object::{DynamicEntry, Object};
use crate::os::Handle;
use crate::stage;

/// The version of glibc, if it does so; where that cannot be tried, its version decides.
pub(super) fn by_loader() -> Option<String> {
    static ANSWER: OnceLock<Option<String>> = OnceLock::new();
    ANSWER
        .get_or_init(|| {
            // SAFETY: no preconditions; the text is glibc's own and stays.
            let version = unsafe { CStr::from_ptr(libc::gnu_get_libc_version()) };
            let version = version.to_string_lossy().into_owned();
            (is_before_2_39(&version) && tried().unwrap_or(true)).then_some(version)
        })
        .clone()
}

fn is_before_2_39(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < (2, 39)
}

/// Whether the loader does so; `None` where that cannot be told.
fn tried() -> Option<bool> {
    let [first, second] = [Loaded::new()?, Loaded::new()?];
    first.close();
    let third = Loaded::new()?;
    let (before, after) = (second.age, third.age);
    second.close();
    third.close();
    // One change is that the first went, one that the third came; others may have come and gone
    // meanwhile.
    Some(after < before + 2)
}

/// A library that was loaded to see what the loader makes of its thread-locals.
struct Loaded {
    handle: Handle,
    /// How many changes there had been when it came, as its descriptor says.
    age: usize,
    /// Open while it is loaded, so that nothing else has its name.
    _file: File,
}

impl Loaded {
    fn new() -> Option<Self> {
        let mut file = stage::memory::create(Path::new("thread-locals")).ok()?;
        file.write_all(Contents::new().bytes()).ok()?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        // SAFETY: there is no code in it.
        let handle = unsafe { Handle::open(&path) }.ok()?;
        let age = age(&handle);
        let loaded = Self {
            handle,
            age: age.unwrap_or(0),
            _file: file,
        };
        if age.is_none() {
            loaded.close();
            return None;
        }
        Some(loaded)
    }

    fn close(self) {
        // SAFETY: nobody uses anything of it.
        if let Err(error) = unsafe { self.handle.close() } {
            tracing::debug!("the loader could not close a library: {error}");
        }
    }
}

/// What the descriptor of this library says; `None` where it is not as expected.
fn age(handle: &Handle) -> Option<usize> {
    let loaded = loader::loaded();
    let object = Object::of_handle(handle, &loaded)?;
    // A function of the loader, and what it is handed.
    let [_, place] = memory::words(object.base() + offset_of!(Contents, descriptor))?;
    let [module, offset, age] = memory::words(place)?;
    (module == object.thread_locals()?.module && offset == 0).then_some(age)
}

/// A library of nothing but thread-locals, too many for the room that there is from the start, and
/// one descriptor.
#[repr(C)]
struct Contents {
    header: libc::Elf64_Ehdr,
    segments: [libc::Elf64_Phdr; 4],
    dynamic: [DynamicEntry; 9],
    descriptor: [u64; 2],
    /// None, as in each library.
    symbol: libc::Elf64_Sym,
    /// One bucket and one symbol.
    buckets: [u32; 4],
    relocation: libc::Elf64_Rela,
    /// The empty text.
    texts: u64,
}

/// `R_AARCH64_TLSDESC`, `R_X86_64_TLSDESC`.
const DESCRIPTOR: u64 = if cfg!(target_arch = "aarch64") {
    1031
} else {
    36
};

impl Contents {
    fn new() -> Self {
        const PF_W_R: u32 = 6;
        /// The largest that there is.
        const PAGE: u64 = 64 << 10;
        const THREAD_LOCALS: u64 = 1 << 20;
        let place = |offset: usize| offset as u64;
        let segment = |kind, offset: usize, size: usize, alignment| libc::Elf64_Phdr {
            p_type: kind,
            p_flags: PF_W_R,
            p_offset: place(offset),
            p_vaddr: place(offset),
            p_paddr: place(offset),
            p_filesz: place(size),
            p_memsz: place(size),
            p_align: alignment,
        };
        let dynamic = offset_of!(Self, dynamic);
        let mut locals = segment(libc::PT_TLS, size_of::<Self>(), 0, 16);
        locals.p_memsz = THREAD_LOCALS;
        let entries = [
            (4, offset_of!(Self, buckets)),     // DT_HASH
            (5, offset_of!(Self, texts)),       // DT_STRTAB
            (6, offset_of!(Self, symbol)),      // DT_SYMTAB
            (10, 1),                            // DT_STRSZ
            (11, size_of::<libc::Elf64_Sym>()), // DT_SYMENT
            (7, offset_of!(Self, relocation)),  // DT_RELA
            (8, size_of::<libc::Elf64_Rela>()), // DT_RELASZ
            (9, size_of::<libc::Elf64_Rela>()), // DT_RELAENT
            (0, 0),                             // DT_NULL
        ];
        let (class, order) = (2, if cfg!(target_endian = "big") { 2 } else { 1 });
        let mut e_ident = [0; 16];
        e_ident[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, order, 1]);
        Self {
            header: libc::Elf64_Ehdr {
                e_ident,
                e_type: libc::ET_DYN,
                e_machine: if cfg!(target_arch = "aarch64") {
                    libc::EM_AARCH64
                } else {
                    libc::EM_X86_64
                },
                e_version: 1,
                e_entry: 0,
                e_phoff: place(offset_of!(Self, segments)),
                e_shoff: 0,
                e_flags: 0,
                e_ehsize: 64,
                e_phentsize: 56,
                e_phnum: 4,
                e_shentsize: 64,
                e_shnum: 0,
                e_shstrndx: 0,
            },
            segments: [
                segment(libc::PT_LOAD, 0, size_of::<Self>(), PAGE),
                segment(libc::PT_DYNAMIC, dynamic, size_of_val(&entries), 8),
                locals,
                // Else it would ask for executable stacks.
                segment(libc::PT_GNU_STACK, 0, 0, 16),
            ],
            dynamic: entries.map(|(tag, value)| DynamicEntry {
                tag,
                value: place(value),
            }),
            descriptor: [0; 2],
            // SAFETY: all zeros is a value of this plain structure.
            symbol: unsafe { std::mem::zeroed() },
            buckets: [1, 1, 0, 0],
            relocation: libc::Elf64_Rela {
                r_offset: place(offset_of!(Self, descriptor)),
                r_info: DESCRIPTOR,
                r_addend: 0,
            },
            texts: 0,
        }
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: numbers all the way, without room between them.
        unsafe { std::slice::from_raw_parts(std::ptr::from_ref(self).cast(), size_of::<Self>()) }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn versions_of_glibc_are_numbers() {
        for (version, is_before) in [
            ("2.36", true),
            ("2.4", true),
            ("2.39", false),
            ("2.40", false),
            ("3.0", false),
        ] {
            assert_eq!(super::is_before_2_39(version), is_before, "{version}");
        }
    }

    /// It can be tried wherever memory can be read as elsewhere here, which qemu does not offer,
    /// and says the same each time.
    #[test]
    fn the_loader_can_be_tried() {
        let place = super::is_before_2_39 as *const () as usize & !7;
        let tried = super::tried();
        assert_eq!(tried.is_some(), super::memory::word(place).is_some());
        assert_eq!(super::tried(), tried);
    }
}
