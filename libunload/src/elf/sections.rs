//! The sections of a library's file: what nobody but debuggers looks at, and names.

use std::fs::File;
use std::ops::Range;

use object::elf;
use object::read::SectionIndex;
use object::read::elf::{FileHeader, Rela, SectionHeader, SectionTable};
use object::{Endianness, ReadRef};

use crate::bounds::{self, Reading};
use crate::error::FormatProblem;

use super::layout::{Header, Section, damaged};

/// Where the file has its debugging information, in order; nothing where it cannot be told.
pub(crate) fn debugging_information(file: &File) -> Vec<Range<u64>> {
    fn find<'data>(data: impl ReadRef<'data>) -> object::Result<Vec<(Section, u64)>> {
        let header = Header::parse(data)?;
        let endian = header.endian()?;
        let sections = header.sections(endian, data)?;
        let names = names(header, endian, data, &sections);
        Ok(debugging(header, endian, &sections, names))
    }
    let found = find(&Reading::of(file)).unwrap_or_default();
    let place = |(header, _): (Section, u64)| header.file_range(endian_of_host());
    let ranges = found.into_iter().filter_map(place);
    let mut ranges: Vec<_> = ranges
        .filter_map(|(start, size)| Some(start..start.checked_add(size)?))
        .collect();
    ranges.sort_by_key(|range| range.start);
    ranges
}

/// The headers of the sections with debugging information, and where they stand in the file.
pub(super) fn debugging<'data, R: ReadRef<'data>>(
    header: &Header,
    endian: Endianness,
    sections: &SectionTable<'data, Header, R>,
    names: &[u8],
) -> Vec<(Section, u64)> {
    let debugging = |(_, section): &(SectionIndex, &Section)| {
        section.sh_type(endian) == elf::SHT_PROGBITS
            && !section.sh_flags(endian).contains(elf::SHF_ALLOC)
            && begins(section, names, endian, b".debug_")
    };
    #[allow(clippy::useless_conversion, reason = "the width depends on the target")]
    let start: u64 = header.e_shoff(endian).into();
    let place = |index: SectionIndex| start + (index.0 * size_of::<Section>()) as u64;
    let found = sections.enumerate().filter(debugging);
    found
        .map(|(index, section)| (*section, place(index)))
        .collect()
}

/// The names of the sections; none where there are none, or they cannot be read.
pub(super) fn names<'data, R: ReadRef<'data>>(
    header: &Header,
    endian: Endianness,
    data: R,
    sections: &SectionTable<'data, Header, R>,
) -> &'data [u8] {
    let index = header.section_strings_index(endian, data);
    let names = index.map(|index| strings(data, sections, index, endian));
    names.unwrap_or_else(|_| Ok(&[][..])).unwrap_or_default()
}

/// Whether a section's name begins so. It may be as long as the file, and many sections may have
/// it.
fn begins(section: &Section, names: &[u8], endian: Endianness, start: &[u8]) -> bool {
    let offset = usize::try_from(section.sh_name(endian)).ok();
    let name = offset.and_then(|offset| names.get(offset..));
    name.is_some_and(|name| name.starts_with(start))
}

/// The names that compilers and linkers left in the file, each once: as many as one cares to read.
pub(super) fn makers<'data, R: ReadRef<'data>>(
    data: R,
    sections: &SectionTable<'data, Header, R>,
    names: &[u8],
    endian: Endianness,
) -> Vec<String> {
    let (most, longest) = bounds::MAKERS;
    let mut sections = sections.iter();
    let comment = sections.find(|section| begins(section, names, endian, b".comment\0"));
    let comment = comment.and_then(|section| section.data(endian, data).ok());
    let mut makers: Vec<String> = Vec::new();
    for maker in comment.unwrap_or_default().split(|&byte| byte == 0) {
        let maker = maker.trim_ascii();
        let maker = String::from_utf8_lossy(&maker[..maker.len().min(longest)]);
        if !maker.is_empty() && makers.iter().all(|known| *known != maker) {
            makers.push(maker.into_owned());
        }
        if makers.len() == most {
            break;
        }
    }
    makers
}

/// The bytes of a string table, which are read at once, instead of string by string.
pub(super) fn strings<'data, R: ReadRef<'data>>(
    data: R,
    sections: &SectionTable<'data, Header, R>,
    index: SectionIndex,
    endian: Endianness,
) -> Result<&'data [u8], FormatProblem> {
    if index.0 == 0 {
        return Ok(&[]);
    }
    let section = sections.section(index).map_err(damaged)?;
    section.data(endian, data).map_err(damaged)
}

/// Whether a relocation puts a thread-local at a fixed distance from each thread's pointer. Not
/// every linker says so in a flag.
pub(super) fn has_static_tls<'data, R: ReadRef<'data>>(
    endian: Endianness,
    data: R,
    sections: &SectionTable<'data, Header, R>,
) -> bool {
    /// `R_X86_64_TPOFF64`, `R_AARCH64_TLS_TPREL64`.
    const FIXED: u32 = if cfg!(target_arch = "aarch64") {
        1030
    } else {
        18
    };
    if !cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        return false;
    }
    sections.iter().any(|section| {
        let relocations = section.rela(endian, data).ok().flatten();
        let is_loaded = section.sh_flags(endian).contains(elf::SHF_ALLOC);
        // By the name of the trait: the types of 32 bits have a method of this name, too.
        let is_fixed = |relocation: &<Header as FileHeader>::Rela| {
            Rela::r_type(relocation, endian, false).0 == FIXED
        };
        is_loaded && relocations.is_some_and(|(relocations, _)| relocations.iter().any(is_fixed))
    })
}

/// Files of another byte order are refused, whatever is found in them.
fn endian_of_host() -> Endianness {
    if cfg!(target_endian = "big") {
        Endianness::Big
    } else {
        Endianness::Little
    }
}
