//! A library or program, as the loader has mapped it.

use std::ffi::{CStr, CString, c_char};
use std::ops::Range;

use super::remnants::Concealed;

pub(super) type ProgramHeader = libc::Elf64_Phdr;

/// An entry of a dynamic section.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct DynamicEntry {
    pub(super) tag: i64,
    pub(super) value: u64,
}

/// A library or program as the loader lists it. Its parts are told by how far they are from where
/// it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Object {
    /// The path it was loaded from.
    pub(super) path: CString,
    /// Of number 0 if it has none.
    thread_locals: ThreadLocals,
    base: Concealed,
    start: Concealed,
    length: usize,
    text: Box<[Range<usize>]>,
    writable: Box<[Range<usize>]>,
    read_only_after_relocation: Range<usize>,
    dynamic: Concealed,
    unwind_index: Concealed,
}

/// The thread-locals of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ThreadLocals {
    /// The object's place in each thread's table (`dtv`).
    pub(super) module: usize,
    /// In bytes.
    pub(super) size: usize,
}

impl Object {
    /// What is added to an address in the file to get that in memory.
    pub(super) fn base(&self) -> usize {
        self.base.get()
    }

    /// From the beginning of the first mapping to the end of the last.
    pub(super) fn range(&self) -> Range<usize> {
        self.place(&(0..self.length))
    }

    /// The code.
    pub(super) fn text(&self) -> impl Iterator<Item = Range<usize>> {
        self.text.iter().map(|part| self.place(part))
    }

    /// What may be written to, before what is read-only after relocation is taken away.
    pub(super) fn writable(&self) -> impl Iterator<Item = Range<usize>> {
        self.writable.iter().map(|part| self.place(part))
    }

    /// Whole pages that were made read-only once the addresses in them were right.
    pub(super) fn read_only_after_relocation(&self) -> Range<usize> {
        self.place(&self.read_only_after_relocation)
    }

    /// The dynamic section; 0 if there is none.
    pub(super) fn dynamic(&self) -> usize {
        self.dynamic.get()
    }

    /// The index of its unwind tables, which the loader knows, too; 0 if there is none.
    pub(super) fn unwind_index(&self) -> usize {
        self.unwind_index.get()
    }

    /// Its thread-locals, if it has any.
    pub(super) fn thread_locals(&self) -> Option<ThreadLocals> {
        let ThreadLocals { module, size } = self.thread_locals;
        (module != 0 && size != 0).then_some(self.thread_locals)
    }

    fn place(&self, part: &Range<usize>) -> Range<usize> {
        let start = self.start.get();
        start + part.start..start + part.end
    }

    /// The entries of the dynamic section.
    pub(super) fn dynamic_entries(&self) -> impl Iterator<Item = DynamicEntry> {
        let mut next = self.dynamic() as *const DynamicEntry;
        std::iter::from_fn(move || {
            if next.is_null() {
                return None;
            }
            // SAFETY: the section ends with an entry of tag 0, beyond which this does not go; the
            // object is mapped as long as it is loaded, which callers see to: they hold it open, or
            // are in `with_loaded`.
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
        Some(if address < self.base() {
            address + self.base()
        } else {
            address
        })
    }

    /// The names of what it needs.
    pub(super) fn needed(&self) -> impl Iterator<Item = &CStr> {
        const DT_NEEDED: i64 = 1;
        let entries = self.dynamic_entries();
        let needed = entries.filter(|entry| entry.tag == DT_NEEDED);
        needed.filter_map(|entry| self.dynamic_string(to_usize(entry.value)))
    }

    /// The name that it gives itself.
    pub(super) fn soname(&self) -> Option<&CStr> {
        const DT_SONAME: i64 = 14;
        let name = self.dynamic_value(DT_SONAME)?;
        self.dynamic_string(name)
    }

    /// Whether the loader takes this object for the one that is needed under this name.
    pub(super) fn answers_to(&self, name: &CStr) -> bool {
        let path = self.path.to_bytes();
        self.soname() == Some(name)
            || path == name.to_bytes()
            || path.rsplit(|&byte| byte == b'/').next() == Some(name.to_bytes())
    }

    /// The dynamic symbol of this number, which one of the object's relocations names; number 0 is
    /// none.
    pub(super) fn symbol(&self, number: usize) -> Option<libc::Elf64_Sym> {
        const DT_SYMTAB: i64 = 6;
        if number == 0 {
            return None;
        }
        let table = self.dynamic_address(DT_SYMTAB)? as *const libc::Elf64_Sym;
        // SAFETY: the loader has looked this symbol up in this table.
        Some(unsafe { table.add(number).read() })
    }

    /// Whether the loader will never unmap it, which was just loaded.
    pub(super) fn is_permanent(&self) -> bool {
        const DT_FLAGS_1: i64 = 0x6fff_fffb;
        const DF_1_NODELETE: usize = 8;
        let flags = self.dynamic_value(DT_FLAGS_1).unwrap_or(0);
        flags & DF_1_NODELETE != 0 || self.uses_own_unique_symbol()
    }

    /// Whether one of the object's own references to an `STB_GNU_UNIQUE` symbol that it defines has
    /// led to that very definition: then it serves the whole process. It does not where an earlier
    /// object's does.
    fn uses_own_unique_symbol(&self) -> bool {
        const STB_GNU_UNIQUE: u8 = 10;
        self.relocations().any(|relocation| {
            let symbol = self.symbol(to_usize(relocation.r_info >> 32));
            let is_unique = |symbol: &libc::Elf64_Sym| {
                symbol.st_info >> 4 == STB_GNU_UNIQUE && symbol.st_shndx != 0
            };
            if !symbol.as_ref().is_some_and(is_unique) {
                return false;
            }
            let slot = self.base().wrapping_add(to_usize(relocation.r_offset));
            let whole = slot..slot.saturating_add(size_of::<usize>());
            let is_whole =
                |range: &Range<usize>| range.contains(&whole.start) && whole.end <= range.end;
            // SAFETY: the loader has written the symbol's address there, in the object's own
            // writable data.
            let value = || unsafe { (slot as *const usize).read_unaligned() };
            self.writable().any(|part| is_whole(&part)) && self.range().contains(&value())
        })
    }

    /// The object's relocations, those for functions included.
    pub(super) fn relocations(&self) -> impl Iterator<Item = &libc::Elf64_Rela> {
        const DT_PLTRELSZ: i64 = 2;
        const DT_RELA: i64 = 7;
        const DT_RELASZ: i64 = 8;
        const DT_JMPREL: i64 = 23;
        const DT_RELACOUNT: i64 = 0x6fff_fff9;
        // So many come first that are about the object itself; the loader takes the linker's word,
        // too.
        let own = self.dynamic_value(DT_RELACOUNT).unwrap_or(0);
        let tables = [(DT_RELA, DT_RELASZ, own), (DT_JMPREL, DT_PLTRELSZ, 0)];
        tables.into_iter().flat_map(|(table, size, own)| {
            let table = self.dynamic_address(table);
            let size = self.dynamic_value(size);
            let (Some(table), Some(size)) = (table, size) else {
                return &[][..];
            };
            let count = size / size_of::<libc::Elf64_Rela>();
            let table = table as *const libc::Elf64_Rela;
            // SAFETY: the loader has applied this very table of this very object, which is mapped.
            let all = unsafe { std::slice::from_raw_parts(table, count) };
            all.get(own..).unwrap_or_default()
        })
    }

    /// Whether the loader has found in another object what this one has no definition of, or one
    /// that came later.
    pub(super) fn has_found(&self, other: &Self) -> bool {
        self.relocations().any(|relocation| {
            let names_one = relocation.r_info >> 32 != 0;
            let word = || self.written_by_loader(relocation);
            names_one && word().is_some_and(|word| other.range().contains(&word))
        })
    }

    /// The word that the loader has written for this relocation.
    fn written_by_loader(&self, relocation: &libc::Elf64_Rela) -> Option<usize> {
        let slot = self.base().wrapping_add(to_usize(relocation.r_offset));
        let is_whole = slot.checked_add(size_of::<usize>() - 1);
        let is_inside = is_whole.is_some_and(|last| self.range().contains(&last));
        // SAFETY: the loader has written there, in this object, which is mapped as long as it is
        // loaded.
        let word = || unsafe { (slot as *const usize).read_unaligned() };
        (is_inside && self.range().contains(&slot)).then(word)
    }

    /// The name of the symbol that a relocation takes from elsewhere: the object has none of that
    /// name, or the loader has found another's first.
    pub(super) fn import_name(&self, relocation: &libc::Elf64_Rela) -> Option<&[u8]> {
        let symbol = self.symbol(to_usize(relocation.r_info >> 32))?;
        let is_elsewhere = |word: usize| !self.range().contains(&word);
        let is_imported =
            symbol.st_shndx == 0 || self.written_by_loader(relocation).is_some_and(is_elsewhere);
        let name = usize::try_from(symbol.st_name).ok()?;
        Some(
            self.dynamic_string(name)
                .filter(|_| is_imported)?
                .to_bytes(),
        )
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

pub(super) fn from_headers(
    path: CString,
    base: usize,
    module: usize,
    headers: &[ProgramHeader],
) -> Object {
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
    let (start, end) = (start & !(page - 1), end.next_multiple_of(page));
    let relro = find(libc::PT_GNU_RELRO).unwrap_or(start..start);
    let relro = relro.start & !(page - 1)..relro.end & !(page - 1);
    let part = |place: Range<usize>| place.start - start..place.end - start;
    let start_of = |kind| Concealed::new(find(kind).map_or(0, |place| place.start));
    Object {
        path,
        thread_locals: ThreadLocals {
            module,
            size: find(libc::PT_TLS).map_or(0, |place| place.len()),
        },
        base: Concealed::new(base),
        start: Concealed::new(start),
        length: end - start,
        text: with(libc::PF_X).map(part).collect(),
        writable: with(libc::PF_W).map(part).collect(),
        read_only_after_relocation: part(relro),
        dynamic: start_of(libc::PT_DYNAMIC),
        unwind_index: start_of(libc::PT_GNU_EH_FRAME),
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
