//! A look into a library's file before anything of it runs, and what is changed in its copy.

#![cfg_attr(
    not(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64")),
    allow(
        dead_code,
        reason = "copies are only changed where imports are redirected"
    )
)]

mod checks;
mod layout;
mod sections;
pub(super) mod variables;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use object::elf;
use object::read::StringTable;
use object::read::elf::{Dyn, FileHeader, ProgramHeader, SectionTable, Sym};
use object::{Endianness, ReadRef};

pub(super) use self::sections::debugging_information;

use self::checks::{check_identification, check_kind, check_libc, check_whole};
use self::layout::{Entry, Header, Section, Segment, damaged};

use self::sections::strings;
use crate::bounds::{self, Reading};
use crate::error::FormatProblem;
use crate::facts::HinderingFacts;

/// A shared library for this machine, whole as far as its headers tell.
pub(super) struct Image {
    endian: Endianness,
    /// The entries of the dynamic section, up to its end.
    dynamic: Vec<Entry>,
    /// Where the dynamic section stands in the file.
    dynamic_offset: u64,
    /// How many bytes of memory it takes, from the first to the last.
    memory: usize,
    facts: HinderingFacts,
    search_path: Vec<String>,
    /// What compilers and linkers wrote into it about themselves.
    makers: Vec<String>,
    /// The names of what it exports, sorted.
    exports: Vec<String>,
    /// The headers of the sections with debugging information, and where they stand in the file.
    debugging: Vec<(Section, u64)>,
}

/// The functions of a library that the loader calls of its own accord, as virtual addresses in the
/// file; what is not there is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Routines {
    pub(super) init: usize,
    pub(super) init_array: usize,
    /// In bytes.
    pub(super) init_array_size: usize,
    pub(super) fini: usize,
    pub(super) fini_array: usize,
    /// In bytes.
    pub(super) fini_array_size: usize,
}

impl Image {
    /// Reads the headers, the dynamic section and the dynamic symbols.
    pub(super) fn read(file: &File) -> Result<Self, FormatProblem> {
        Self::read_and_list(file, false)
    }

    /// As [`read`](Self::read), with the names of what it exports, of which there may be many.
    pub(super) fn read_with_exports(file: &File) -> Result<Self, FormatProblem> {
        Self::read_and_list(file, true)
    }

    fn read_and_list(file: &File, exports: bool) -> Result<Self, FormatProblem> {
        let length = file.metadata().map_err(damaged)?.len();
        check_identification(file, length)?;
        let reading = Reading::of(file);
        reading.check(Self::read_from(&reading, length, exports))
    }

    fn read_from(data: &Reading<'_>, length: u64, exports: bool) -> Result<Self, FormatProblem> {
        let header = Header::parse(data).map_err(damaged)?;
        let endian = header.endian().map_err(damaged)?;
        let segments = header.program_headers(endian, data).map_err(damaged)?;
        bounds::SEGMENTS.check(segments.len())?;
        check_whole(header, segments, endian, length)?;

        let dynamic_segment = segments
            .iter()
            .find(|s| s.p_type(endian) == elf::PT_DYNAMIC);
        let dynamic_segment = dynamic_segment.ok_or(FormatProblem::Kind {
            found: match header.e_type(endian) {
                elf::ET_REL => "an object file that is not linked yet",
                elf::ET_CORE => "a core dump",
                _ => "a program or file without a dynamic section",
            },
        })?;
        let entries = dynamic_segment
            .dynamic(endian, data)
            .map_err(damaged)?
            .unwrap_or_default();
        let end = entries
            .iter()
            .position(|entry| entry.tag(endian) == elf::DT_NULL);
        let dynamic = entries[..end.unwrap_or(entries.len())].to_vec();

        let mut image = Self {
            endian,
            dynamic,
            dynamic_offset: dynamic_segment.file_range(endian).0,
            memory: memory(segments, endian),
            facts: HinderingFacts::default(),
            search_path: Vec::new(),
            makers: Vec::new(),
            exports: Vec::new(),
            debugging: Vec::new(),
        };
        let has_name = image.value(elf::DT_SONAME) != 0;
        let pie = image.value(elf::DT_FLAGS_1) & elf::DF_1_PIE.0 != 0;
        check_kind(header, segments, endian, has_name, pie)?;
        let sections = header.sections(endian, data).map_err(damaged)?;
        bounds::SECTIONS.check(sections.len())?;
        let names = sections::names(header, endian, data, &sections);
        image.collect(data, &sections, names, exports)?;
        let stack = segments
            .iter()
            .find(|s| s.p_type(endian) == elf::PT_GNU_STACK);
        image.facts.executable_stack =
            stack.is_none_or(|stack| stack.p_flags(endian).contains(elf::PF_X));
        image.facts.static_tls |= sections::has_static_tls(endian, data, &sections);
        image.debugging = sections::debugging(header, endian, &sections, names);
        check_libc(&image.facts.needed)?;
        Ok(image)
    }

    /// How many bytes of memory it takes, from the first to the last.
    pub(super) fn memory(&self) -> usize {
        self.memory
    }

    /// What about the library could hinder unloading it.
    pub(super) fn facts(&self) -> &HinderingFacts {
        &self.facts
    }

    /// Where the loader looks for what the library needs (`DT_RUNPATH`, or `DT_RPATH`).
    pub(super) fn search_path(&self) -> &[String] {
        &self.search_path
    }

    /// The compilers and linkers that made it, as far as they left their names, each once.
    pub(super) fn makers(&self) -> &[String] {
        &self.makers
    }

    /// The names of what it exports, sorted.
    pub(super) fn exports(&self) -> &[String] {
        &self.exports
    }

    /// Clears `DF_1_NODELETE` in this file, which must be the one that was read.
    pub(super) fn clear_no_delete(&mut self, file: &File) -> io::Result<()> {
        for index in 0..self.dynamic.len() {
            let mut entry = self.dynamic[index];
            if entry.tag(self.endian) == elf::DT_FLAGS_1 {
                let flags = entry.val(self.endian) & !elf::DF_1_NODELETE.0;
                set_value(&mut entry, self.endian, flags)?;
                self.replace(file, index, entry)?;
            }
        }
        self.facts.no_delete_cleared = self.facts.no_delete;
        Ok(())
    }

    /// Takes the initializers and finalizers away from the loader, in this file, which must be the
    /// one that was read. Whoever loads it has to call them.
    pub(super) fn take_routines(&mut self, file: &File) -> io::Result<Routines> {
        let mut routines = Routines::default();
        for index in 0..self.dynamic.len() {
            let mut entry = self.dynamic[index];
            let value = usize::try_from(entry.val(self.endian)).map_err(io::Error::other)?;
            match entry.tag(self.endian) {
                elf::DT_INIT_ARRAYSZ => routines.init_array_size = value,
                elf::DT_FINI_ARRAYSZ => routines.fini_array_size = value,
                elf::DT_INIT => routines.init = value,
                elf::DT_INIT_ARRAY => routines.init_array = value,
                elf::DT_FINI => routines.fini = value,
                elf::DT_FINI_ARRAY => routines.fini_array = value,
                _ => continue,
            }
            // The first tag of the range that systems may use as they like; the loader knows no
            // meaning of it and passes over the entry.
            set_tag(&mut entry, self.endian, elf::DynamicTag(elf::DT_LOOS))?;
            self.replace(file, index, entry)?;
        }
        Ok(routines)
    }

    fn replace(&mut self, file: &File, index: usize, entry: Entry) -> io::Result<()> {
        let bytes = object::pod::bytes_of(&entry);
        let offset = self.dynamic_offset + (index * bytes.len()) as u64;
        file.write_all_at(bytes, offset)?;
        self.dynamic[index] = entry;
        Ok(())
    }

    /// Says in this file, which must be the one that was read, that its debugging information is
    /// not in it, so that debuggers do not look for it in the hole that is in its place.
    pub(super) fn hide_debugging_information(&mut self, file: &File) -> io::Result<()> {
        for &(mut header, place) in &self.debugging {
            header.sh_type.set(self.endian, elf::SHT_NOBITS);
            file.write_all_at(object::pod::bytes_of(&header), place)?;
        }
        Ok(())
    }

    fn value(&self, tag: elf::DynamicTag) -> u64 {
        let entry = self
            .dynamic
            .iter()
            .find(|entry| entry.tag(self.endian) == tag);
        entry.map_or(0, |entry| entry.val(self.endian))
    }

    /// Collects what stands in the dynamic symbols and strings.
    fn collect<'data, R: ReadRef<'data>>(
        &mut self,
        data: R,
        sections: &SectionTable<'data, Header, R>,
        names: &[u8],
        exports: bool,
    ) -> Result<(), FormatProblem> {
        let endian = self.endian;
        let symbols = sections
            .symbols(endian, data, elf::SHT_DYNSYM)
            .map_err(damaged)?;
        let strings = strings(data, sections, symbols.string_section(), endian)?;
        let strings = StringTable::new(strings, 0, strings.len() as u64);
        bounds::SYMBOLS.check(symbols.len())?;
        let mut names_of_symbols = bounds::NAMES_OF_SYMBOLS.room();
        let (mut unique_symbols, mut unwinds, mut raises) = (0, false, false);
        for symbol in symbols.iter() {
            let defined = symbol.st_shndx(endian) != elf::SHN_UNDEF;
            if defined && symbol.st_bind() == elf::STB_GNU_UNIQUE {
                unique_symbols += 1;
            }
            let name = symbol.name(endian, strings).map_err(damaged)?;
            names_of_symbols.take(name.len())?;
            match name {
                b"_Unwind_Backtrace" if !defined => unwinds = true,
                b"_Unwind_RaiseException" => raises = true,
                _ => {}
            }
            if exports && defined {
                self.exports
                    .push(String::from_utf8_lossy(name).into_owned());
            }
        }
        self.exports.sort_unstable();
        let mut names_of_libraries = bounds::NAMES_OF_LIBRARIES.room();
        let mut texts = |tag| -> Result<Vec<String>, FormatProblem> {
            let entries = self.dynamic.iter();
            let entries = entries.filter(|entry| entry.tag(endian) == tag);
            let text = |entry: &Entry| {
                let offset = u32::try_from(entry.val(endian)).map_err(damaged)?;
                let text = strings.get(offset);
                let text = text.map_err(|()| damaged("a string of the dynamic section"))?;
                names_of_libraries.take(text.len() + 1)?;
                Ok(String::from_utf8_lossy(text).into_owned())
            };
            entries.map(text).collect()
        };
        let mut paths = texts(elf::DT_RUNPATH)?;
        if paths.is_empty() {
            paths = texts(elf::DT_RPATH)?;
        }
        let search_path = paths.iter().flat_map(|path| path.split(':'));
        let search_path: Vec<_> = search_path.map(str::to_owned).collect();
        self.makers = sections::makers(data, sections, names, endian);
        let made_by_rust = self.makers.iter().any(|maker| maker.contains("rustc "));
        self.facts = HinderingFacts {
            no_delete: self.value(elf::DT_FLAGS_1) & elf::DF_1_NODELETE.0 != 0,
            no_delete_cleared: false,
            executable_stack: false,
            needed_that_stay: 0,
            static_tls: self.value(elf::DT_FLAGS) & elf::DF_STATIC_TLS.0 != 0,
            unique_symbols,
            // Rust's standard library can always print backtraces, but throws only if it may
            // unwind.
            panic_aborts: unwinds && !raises && made_by_rust,
            needed: texts(elf::DT_NEEDED)?,
        };
        bounds::LIBRARIES.check(self.facts.needed.len())?;
        bounds::FOLDERS.check(search_path.len())?;
        self.search_path = search_path;
        Ok(())
    }
}

#[cfg(target_pointer_width = "64")]
#[expect(
    clippy::unnecessary_wraps,
    reason = "there is room in every other width"
)]
fn set_tag(entry: &mut Entry, endian: Endianness, tag: elf::DynamicTag) -> io::Result<()> {
    entry.d_tag.set(endian, tag);
    Ok(())
}

#[cfg(target_pointer_width = "32")]
fn set_tag(entry: &mut Entry, endian: Endianness, tag: elf::DynamicTag) -> io::Result<()> {
    entry.d_tag = object::I32::new_i64(endian, tag).map_err(io::Error::other)?;
    Ok(())
}

#[allow(clippy::useless_conversion, reason = "the width depends on the target")]
fn set_value(entry: &mut Entry, endian: Endianness, value: u64) -> io::Result<()> {
    entry
        .d_val
        .set(endian, value.try_into().map_err(io::Error::other)?);
    Ok(())
}

fn memory(segments: &[Segment], endian: Endianness) -> usize {
    let mapped = || segments.iter().filter(|s| s.p_type(endian) == elf::PT_LOAD);
    let start = mapped().map(|s| s.p_vaddr(endian)).min();
    let end = mapped().map(|s| s.p_vaddr(endian).saturating_add(s.p_memsz(endian)));
    let length = end.max().unwrap_or(0).saturating_sub(start.unwrap_or(0));
    usize::try_from(length).unwrap_or(usize::MAX)
}
