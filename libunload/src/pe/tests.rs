//! Files made to keep their reader busy, or to have it take all memory.

use std::io::Write;

use proptest::prelude::*;

use super::Image;
use crate::bounds;
use crate::error::FormatProblem;

/// Where the headers end, and the section begins, in the file and in memory.
const HEADERS: u32 = 0x400;
const SECTION: u32 = 0x1000;

/// A row of the import table: where the names of the symbols are, the name of the library, and
/// where the addresses go.
type Row = [u32; 3];

/// A file whose only section has these rows, and then `data`.
fn dll(rows: &[Row], data: &[u8]) -> Vec<u8> {
    let machine: u16 = match cfg!(target_arch = "aarch64") {
        true => 0xaa64,
        false => 0x8664,
    };
    let rows = rows
        .iter()
        .flat_map(|[names, library, addresses]| [*names, 0, 0, *library, *addresses])
        .chain([0; 5]);
    let mut section: Vec<u8> = rows.flat_map(u32::to_le_bytes).collect();
    section.extend(data);
    let length = u32::try_from(section.len()).unwrap();

    let mut file = vec![0; HEADERS as usize];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(0x3c, &0x40_u32.to_le_bytes());
    put(0x40, b"PE\0\0");
    put(0x44, &machine.to_le_bytes());
    put(0x46, &1_u16.to_le_bytes()); // sections
    put(0x54, &240_u16.to_le_bytes()); // size of the next header
    put(0x56, &0x2022_u16.to_le_bytes()); // a DLL
    put(0x58, &0x20b_u16.to_le_bytes());
    put(0x58 + 56, &(SECTION + length).to_le_bytes());
    put(0x58 + 108, &16_u32.to_le_bytes()); // directories
    put(0x58 + 120, &SECTION.to_le_bytes()); // imports
    put(0x58 + 124, &length.to_le_bytes());
    let header = 0x58 + 240;
    put(header, b".idata");
    for (place, value) in [length, SECTION, length, HEADERS].into_iter().enumerate() {
        put(header + 8 + 4 * place, &value.to_le_bytes());
    }
    file.extend(section);
    file
}

/// Where `data` begins in memory, behind so many rows.
fn data_behind(rows: usize) -> u32 {
    SECTION + 20 * (u32::try_from(rows).unwrap() + 1)
}

/// Reads a file of these bytes, and of so many zeros behind them.
fn read_with_hole(bytes: &[u8], length: u64) -> Result<Image, FormatProblem> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.set_len(length.max(bytes.len() as u64)).unwrap();
    Image::read(&file)
}

fn read(bytes: &[u8]) -> Result<Image, FormatProblem> {
    read_with_hole(bytes, 0)
}

fn too_much(bytes: &[u8], of: &str) {
    match read(bytes) {
        Err(FormatProblem::TooMuch { what, .. }) => assert_eq!(what, of),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("too many {of}"),
    }
}

/// Names of a library, of symbols, and a table of symbols.
fn usual() -> (Vec<Row>, Vec<u8>) {
    let start = data_behind(1);
    let mut data = b"KERNEL32.dll\0\0\0\0".to_vec();
    let mut thunks = Vec::new();
    for name in ["TlsFree", "CreateFileW", "TlsAlloc"] {
        thunks.push(u64::from(start) + data.len() as u64);
        data.extend([0, 0]);
        data.extend(name.as_bytes());
        data.push(0);
    }
    thunks.extend([1 << 63 | 7, 0]);
    data.resize(data.len().next_multiple_of(8), 0);
    let table = start + u32::try_from(data.len()).unwrap();
    data.extend(thunks.iter().flat_map(|it| it.to_le_bytes()));
    (vec![[table, start, 0x9000]], data)
}

#[test]
fn libraries_and_slots_are_found() {
    let (rows, data) = usual();
    let image = read(&dll(&rows, &data)).unwrap();
    assert_eq!(image.facts.needed, ["KERNEL32.dll"]);
    assert_eq!(image.slots.tls_free, [0x9000]);
    assert_eq!(image.slots.tls_alloc, [0x9010]);
    assert_eq!(image.size, SECTION as usize + 40 + data.len());
}

#[test]
fn libraries_and_the_bytes_of_their_names_are_counted() {
    let many = 5_000;
    let name = data_behind(many);
    let rows = vec![[name + 8, name, name + 8]; many];
    too_much(
        &dll(&rows, b"a.dll\0\0\0\0\0\0\0\0\0\0\0"),
        "libraries that it needs",
    );

    let some = 1_000;
    let name = data_behind(some);
    let rows = vec![[name + 2_008, name, name + 2_008]; some];
    let data = [&[b'a'; 2_000][..], &[0; 32]].concat();
    too_much(
        &dll(&rows, &data),
        "bytes of names of libraries and folders",
    );
}

#[test]
fn symbols_and_the_bytes_of_their_names_are_counted() {
    // A thousand libraries that all need the same 10 000 symbols.
    let libraries = 1_000;
    let name = data_behind(libraries);
    let rows = vec![[name + 8, name, name + 8]; libraries];
    let mut data = b"a.dll\0\0\0".to_vec();
    data.extend((1_u64 << 63 | 7).to_le_bytes().repeat(10_000));
    data.extend([0; 8]);
    too_much(&dll(&rows, &data), "symbols");

    // A long name, again and again.
    let (name, symbols) = (data_behind(1), 400);
    let mut data = b"a.dll\0\0\0".to_vec();
    let long = u64::from(name) + 8 + 8 * (symbols + 1);
    data.extend(long.to_le_bytes().repeat(usize::try_from(symbols).unwrap()));
    data.extend([0; 10]);
    data.extend(vec![b'x'; 1 << 20]);
    data.push(0);
    too_much(
        &dll(&[[name + 8, name, name + 8]], &data),
        "bytes of names of symbols",
    );
}

/// Names that never end are no names.
#[test]
fn a_name_ends_before_the_section_does() {
    let name = data_behind(1);
    let data = [b'a'; 4_096];
    let read = read(&dll(&[[name, name, name]], &data)).map(|image| image.size);
    assert!(
        matches!(read, Err(FormatProblem::Damaged { .. })),
        "{read:?}"
    );
}

/// A file that is mostly a hole is not read into memory.
#[test]
fn no_more_is_read_than_any_library_has() {
    let mut bytes = dll(&[], b"");
    let size = u32::MAX - HEADERS;
    for at in [8, 16] {
        let at = 0x58 + 240 + at;
        bytes[at..at + 4].copy_from_slice(&size.to_le_bytes());
    }
    let read = |length| read_with_hole(&bytes, length).map(|image| image.size);
    let read_whole = read(8 << 30);
    assert!(
        matches!(
            read_whole,
            Err(FormatProblem::TooMuch {
                what: "bytes to read",
                ..
            })
        ),
        "{read_whole:?}"
    );
    let cut = read(0);
    assert!(
        matches!(cut, Err(FormatProblem::Truncated { .. })),
        "{cut:?}"
    );
}

proptest! {
    /// Whatever the bytes are, there is an answer, and it is no longer than real libraries make it.
    #[test]
    fn any_file_is_read_or_refused(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        in_headers in prop::collection::vec((0..0x58 + 280_usize, any::<u8>()), 0..4),
        rows in prop::collection::vec(prop::array::uniform3(SECTION..SECTION + 600), 0..20),
        cut in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let (usual, data) = usual();
        let rows = [usual, rows].concat();
        let mut bytes = dll(&rows, &data);
        for (place, value) in damage {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        for (place, value) in in_headers {
            bytes[place] = value;
        }
        if is_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(image) = read(&bytes) {
            let needed = &image.facts.needed;
            prop_assert!(bounds::LIBRARIES.check(needed.len()).is_ok());
            let names: usize = needed.iter().map(String::len).sum();
            // What is no text grows to three bytes a byte.
            prop_assert!(bounds::NAMES_OF_LIBRARIES.check(names / 3).is_ok());
        }
    }
}
