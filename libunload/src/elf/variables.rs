//! What the variables of a program or library are called, by the table that linkers leave for
//! debuggers.

use std::fs::File;
use std::ops::Range;

use object::elf;
use object::read::elf::{FileHeader, SectionHeader, Sym};

use super::layout::Header;
use crate::bounds::{self, Reading};

/// The variables of which `is_it` says so by name and place, as virtual addresses; none where there
/// is no table.
pub(crate) fn variables(
    file: &File,
    mut is_it: impl FnMut(&[u8], &Range<usize>) -> bool,
) -> Vec<(Range<usize>, String)> {
    let reading = &Reading::of(file);
    let mut find = || -> object::Result<Vec<_>> {
        let header = Header::parse(reading)?;
        let endian = header.endian()?;
        let sections = header.sections(endian, reading)?;
        let table = sections.symbols(endian, reading, elf::SHT_SYMTAB)?;
        // Read at once, instead of name by name.
        let names = table.string_section();
        let names = sections.section(names)?.data(endian, reading)?;
        let mut found = Vec::new();
        if bounds::SYMBOLS.check(table.len()).is_err() {
            return Ok(found);
        }
        for symbol in table.iter() {
            if symbol.st_type() != elf::STT_OBJECT {
                continue;
            }
            #[allow(clippy::useless_conversion, reason = "the width depends on the target")]
            let place = (
                u64::from(symbol.st_value(endian)),
                u64::from(symbol.st_size(endian)),
            );
            let (Ok(start), Ok(size)) = (usize::try_from(place.0), usize::try_from(place.1)) else {
                continue;
            };
            let name = names
                .get(symbol.st_name(endian) as usize..)
                .unwrap_or_default();
            let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
            let range = start..start.saturating_add(size);
            if is_it(name, &range) {
                found.push((range, String::from_utf8_lossy(name).into_owned()));
            }
        }
        Ok(found)
    };
    find().unwrap_or_default()
}
