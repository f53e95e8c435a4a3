//! The sections of a library's file: what nobody but debuggers looks at, and names.

use std::fs::File;
use std::ops::Range;

use object::elf;
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader, SectionTable};
use object::read::{SectionIndex, StringTable};
use object::{Endianness, ReadCache, ReadRef};

use super::{FormatProblem, Header, Section, Segment, damaged};

/// Where the file has its debugging information, in order; nothing where it cannot be told.
pub(crate) fn debugging_information(file: &File) -> Vec<Range<u64>> {
    fn find<'data>(data: impl ReadRef<'data>) -> object::Result<Vec<(Section, u64)>> {
        let header = Header::parse(data)?;
        let endian = header.endian()?;
        let sections = header.sections(endian, data)?;
        let names = names(header, endian, data, &sections);
        Ok(debugging(header, endian, &sections, names))
    }
    let found = find(&ReadCache::new(file)).unwrap_or_default();
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
    names: StringTable<'data>,
) -> Vec<(Section, u64)> {
    let debugging = |(_, section): &(SectionIndex, &Section)| {
        section.sh_type(endian) == elf::SHT_PROGBITS
            && !section.sh_flags(endian).contains(elf::SHF_ALLOC)
            && name(section, names, endian).starts_with(b".debug_")
    };
    #[allow(clippy::useless_conversion, reason = "the width depends on the target")]
    let start: u64 = header.e_shoff(endian).into();
    let place = |index: SectionIndex| start + (index.0 * size_of::<Section>()) as u64;
    let found = sections.enumerate().filter(debugging);
    found
        .map(|(index, section)| (*section, place(index)))
        .collect()
}

/// The symbols and names that are not loaded; the names of sections are not meant.
pub(super) fn names_for_debuggers<'data, R: ReadRef<'data>>(
    header: &Header,
    endian: Endianness,
    data: R,
    segments: &[Segment],
    sections: &SectionTable<'data, Header, R>,
) -> Vec<Range<u64>> {
    let names_of_sections = header.section_strings_index(endian, data).ok();
    let symbols = sections
        .iter()
        .filter(|section| section.sh_type(endian) == elf::SHT_SYMTAB);
    let names = symbols.clone().filter_map(|symbols| {
        let index = SectionIndex(usize::try_from(symbols.sh_link(endian)).ok()?);
        let names = sections.section(index).ok()?;
        let is_text = names.sh_type(endian) == elf::SHT_STRTAB;
        (is_text && Some(index) != names_of_sections).then_some(names)
    });
    let places = symbols.chain(names);
    let places = places.filter(|section| !section.sh_flags(endian).contains(elf::SHF_ALLOC));
    // Whatever the sections say, what is loaded matters.
    let is_loaded = |names: &Range<u64>| {
        let segments = segments.iter();
        let mut loaded = segments.filter(|segment| segment.p_type(endian) == elf::PT_LOAD);
        loaded.any(|segment| {
            let (start, size) = segment.file_range(endian);
            start < names.end && names.start < start.saturating_add(size)
        })
    };
    places
        .filter_map(|section| section.file_range(endian))
        .filter_map(|(start, size)| Some(start..start.checked_add(size)?))
        .filter(|names| !is_loaded(names))
        .collect()
}

/// The names of the sections, read at once; none where there are none, or they cannot be read.
pub(super) fn names<'data, R: ReadRef<'data>>(
    header: &Header,
    endian: Endianness,
    data: R,
    sections: &SectionTable<'data, Header, R>,
) -> StringTable<'data> {
    let index = header.section_strings_index(endian, data);
    let names = index.map(|index| whole_strings(data, sections, index, endian));
    names.map_or_else(|_| StringTable::default(), Result::unwrap_or_default)
}

fn name<'data>(section: &Section, names: StringTable<'data>, endian: Endianness) -> &'data [u8] {
    names.get(section.sh_name(endian)).unwrap_or_default()
}

/// The names that compilers and linkers left in the file.
pub(super) fn makers<'data, R: ReadRef<'data>>(
    data: R,
    sections: &SectionTable<'data, Header, R>,
    names: StringTable<'data>,
    endian: Endianness,
) -> Vec<String> {
    let mut sections = sections.iter();
    let comment = sections.find(|section| name(section, names, endian) == b".comment");
    let comment = comment.and_then(|section| section.data(endian, data).ok());
    let mut makers: Vec<String> = Vec::new();
    for maker in comment.unwrap_or_default().split(|&byte| byte == 0) {
        let maker = String::from_utf8_lossy(maker.trim_ascii()).into_owned();
        if !maker.is_empty() && !makers.contains(&maker) {
            makers.push(maker);
        }
    }
    makers
}

/// A string table that is read at once, instead of string by string.
pub(super) fn whole_strings<'data, R: ReadRef<'data>>(
    data: R,
    sections: &SectionTable<'data, Header, R>,
    index: SectionIndex,
    endian: Endianness,
) -> Result<StringTable<'data>, FormatProblem> {
    if index.0 == 0 {
        return Ok(StringTable::default());
    }
    let section = sections.section(index).map_err(damaged)?;
    let bytes = section.data(endian, data).map_err(damaged)?;
    Ok(StringTable::new(bytes, 0, bytes.len() as u64))
}

/// Files of another byte order are refused, whatever is found in them.
fn endian_of_host() -> Endianness {
    if cfg!(target_endian = "big") {
        Endianness::Big
    } else {
        Endianness::Little
    }
}
