//! A look into a library's file before anything of it runs: the format of Windows.

#[cfg(all(test, target_pointer_width = "64"))]
mod tests;

use std::fs::File;
use std::io::{self, Read};

use object::read::pe::{
    DataDirectories, ImageNtHeaders, ImageOptionalHeader, Import, ImportTable, SectionTable,
};
use object::{LittleEndian as LE, ReadRef, pe};

use crate::bounds::{self, Reading};
use crate::error::FormatProblem;
use crate::facts::HinderingFacts;

#[cfg(target_pointer_width = "64")]
type Headers = pe::ImageNtHeaders64;
#[cfg(target_pointer_width = "32")]
type Headers = pe::ImageNtHeaders32;

/// A library for this machine, whole as far as its headers tell.
pub(super) struct Image {
    pub(super) facts: HinderingFacts,
    /// How much memory it takes when it is mapped, in bytes.
    pub(super) size: usize,
    pub(super) slots: Slots,
}

/// Where in the library's memory the loader writes the addresses of certain imports: offsets in
/// bytes.
#[derive(Default)]
pub(super) struct Slots {
    pub(super) tls_alloc: Vec<usize>,
    pub(super) tls_free: Vec<usize>,
}

impl Image {
    /// Reads the headers, the sections and the names of the libraries it needs.
    pub(super) fn read(file: &File) -> Result<Self, FormatProblem> {
        let length = file.metadata().map_err(damaged)?.len();
        check_start(file, length)?;
        let reading = Reading::of(file);
        reading.check(Self::read_from(&reading, length))
    }

    fn read_from(data: &Reading<'_>, length: u64) -> Result<Self, FormatProblem> {
        let dos = pe::ImageDosHeader::parse(data).map_err(damaged)?;
        let mut offset = dos.nt_headers_offset().into();
        let expected = offset + size_of::<Headers>() as u64;
        if expected > length {
            return Err(FormatProblem::Truncated {
                expected,
                found: length,
            });
        }
        check_machine(data, offset)?;
        let (headers, directories) = Headers::parse(data, &mut offset).map_err(damaged)?;
        if !headers
            .file_header()
            .characteristics
            .get(LE)
            .contains(pe::IMAGE_FILE_DLL)
        {
            return Err(FormatProblem::Kind { found: "a program" });
        }
        let sections = headers.sections(data, offset).map_err(damaged)?;
        check_whole(data, headers, &directories, &sections, length)?;
        let imports = directories.import_table(data, &sections).map_err(damaged)?;
        let (mut needed, mut slots) = (Vec::new(), Slots::default());
        if let Some(imports) = imports {
            read_imports(&imports, &mut needed, &mut slots)?;
        }
        Ok(Self {
            facts: HinderingFacts {
                needed,
                ..HinderingFacts::default()
            },
            slots,
            size: usize::try_from(headers.optional_header().size_of_image()).map_err(damaged)?,
        })
    }
}

/// Checks the first bytes and that there are enough for the first header.
fn check_start(mut file: &File, length: u64) -> Result<(), FormatProblem> {
    let mut start = Vec::new();
    io::Seek::rewind(&mut file).map_err(damaged)?;
    file.take(4).read_to_end(&mut start).map_err(damaged)?;
    if start.is_empty() {
        return Err(FormatProblem::Empty);
    }
    if !start.starts_with(b"MZ") {
        return Err(FormatProblem::Magic { found: start });
    }
    let expected = size_of::<pe::ImageDosHeader>() as u64;
    if length < expected {
        return Err(FormatProblem::Truncated {
            expected,
            found: length,
        });
    }
    Ok(())
}

/// Checks that the file is for this machine, before anything is read whose size depends on that.
fn check_machine<'data, R: ReadRef<'data>>(data: R, offset: u64) -> Result<(), FormatProblem> {
    let after_signature = offset + size_of::<u32>() as u64;
    let header = data.read_at::<pe::ImageFileHeader>(after_signature);
    let header = header.map_err(|()| damaged("its header cannot be read"))?;
    let found = match header.machine.get(LE) {
        pe::IMAGE_FILE_MACHINE_AMD64 => "x86-64".to_owned(),
        pe::IMAGE_FILE_MACHINE_ARM64 => "aarch64".to_owned(),
        pe::IMAGE_FILE_MACHINE_I386 => "x86".to_owned(),
        pe::IMAGE_FILE_MACHINE_ARMNT => "ARM".to_owned(),
        other => format!("PE machine {:#06x}", other.0),
    };
    let expected = match std::env::consts::ARCH {
        "x86_64" => "x86-64",
        other => other,
    };
    if found == expected {
        Ok(())
    } else {
        Err(FormatProblem::Machine {
            expected: expected.to_owned(),
            found,
        })
    }
}

/// Checks that everything the headers speak of is in the file, down to the symbols and signatures
/// at its end: a file that was not copied to its end is not to be trusted with the rest.
fn check_whole<'data, R: ReadRef<'data>>(
    data: R,
    headers: &Headers,
    directories: &DataDirectories<'data>,
    sections: &SectionTable<'data>,
    length: u64,
) -> Result<(), FormatProblem> {
    let end = |offset: u32, size: u32| u64::from(offset) + u64::from(size);
    let of_sections = sections.iter().map(|section| {
        let (offset, size) = (&section.pointer_to_raw_data, &section.size_of_raw_data);
        end(offset.get(LE), size.get(LE))
    });
    // The only directory that stands at an offset of the file.
    let signature = directories.get(pe::IMAGE_DIRECTORY_ENTRY_SECURITY);
    let of_signature = signature.map(pe::ImageDataDirectory::address_range);
    let of_signature = of_signature.map(|(offset, size)| end(offset, size));
    let of_symbols = end_of_symbols(data, headers.file_header());
    let expected = of_sections.chain(of_signature).chain([of_symbols]).max();
    match expected {
        Some(expected) if expected > length => Err(FormatProblem::Truncated {
            expected,
            found: length,
        }),
        _ => Ok(()),
    }
}

/// Where the symbols and the strings behind them end; 0 if there are none.
fn end_of_symbols<'data, R: ReadRef<'data>>(data: R, header: &pe::ImageFileHeader) -> u64 {
    let offset = u64::from(header.pointer_to_symbol_table.get(LE));
    if offset == 0 {
        return 0;
    }
    let size = size_of::<pe::ImageSymbolBytes>() as u64;
    let strings = offset + size * u64::from(header.number_of_symbols.get(LE));
    let length = data.read_at::<object::U32<LE>>(strings);
    // The length counts the four bytes that it is written in.
    strings + u64::from(length.map_or(4, |length| length.get(LE)))
}

fn read_imports(
    imports: &ImportTable<'_>,
    needed: &mut Vec<String>,
    slots: &mut Slots,
) -> Result<(), FormatProblem> {
    let mut libraries = bounds::LIBRARIES.room();
    let mut names_of_libraries = bounds::NAMES_OF_LIBRARIES.room();
    let mut symbols = bounds::SYMBOLS.room();
    let mut names_of_symbols = bounds::NAMES_OF_SYMBOLS.room();
    for descriptor in imports.descriptors().map_err(damaged)? {
        let descriptor = descriptor.map_err(damaged)?;
        let library = imports.name(descriptor.name.get(LE)).map_err(damaged)?;
        libraries.take(1)?;
        names_of_libraries.take(library.len() + 1)?;
        needed.push(String::from_utf8_lossy(library).into_owned());

        let addresses = descriptor.first_thunk.get(LE);
        let names = match descriptor.original_first_thunk.get(LE) {
            // The loader finds the names where it will write the addresses.
            0 => addresses,
            names => names,
        };
        let mut slot = usize::try_from(addresses).map_err(damaged)?;
        let mut thunks = imports.thunks(names).map_err(damaged)?;
        while let Some(thunk) = thunks.next::<Headers>().map_err(damaged)? {
            symbols.take(1)?;
            match imports.import::<Headers>(thunk).map_err(damaged)? {
                Import::Name(_, b"TlsAlloc") => slots.tls_alloc.push(slot),
                Import::Name(_, b"TlsFree") => slots.tls_free.push(slot),
                Import::Name(_, name) => names_of_symbols.take(name.len())?,
                Import::Ordinal(_) => {}
            }
            slot += size_of::<usize>();
        }
    }
    Ok(())
}

fn damaged(error: impl std::fmt::Display) -> FormatProblem {
    FormatProblem::Damaged {
        detail: error.to_string(),
    }
}
