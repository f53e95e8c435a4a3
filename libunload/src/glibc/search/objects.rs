//! The data of the objects that stay.
//!
//! What the loader made read-only once it had written it holds nothing of others. Of the C
//! library's data, some slots are left out that it has given up and not cleared, or that its
//! finalizers will:
//!
//! - a function for the exit whose slot is free, or that belongs to an object that leaves;
//! - functions around `fork` that belong to an object that leaves;
//! - the destructor of a key that was deleted.
//!
//! Left out as well is where the host itself lends memory to libraries, and notes where they are;
//! and the table with which Rust's standard library names the functions of a backtrace, which is
//! known by its name: it is written together with the room between its fields, where remnants of
//! calls are.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::OnceLock;

use super::super::files;
use super::super::heap;
use super::super::lent;
use super::super::memory::{self, Reader};
use super::super::object::Object;
use super::super::owners;
use super::super::remnants::Concealed;
use super::super::signals::{in_force, trampolines};
use super::wanted::{FOR_DEBUGGERS, Find, Holder, Known, STREAMS, Wanted};
use crate::elf::variables::variables;

const WORD: usize = size_of::<usize>();

/// Numbers and destructors of keys.
pub(super) static KEYS: Known = Known::new(c"__pthread_keys");

pub(super) fn search<'o>(
    wanted: &Wanted,
    staying: impl Iterator<Item = &'o Object>,
    reader: &mut Reader,
    finds: &mut Vec<Find>,
) -> io::Result<()> {
    let staying: Vec<_> = staying.collect();
    let ranges: Vec<_> = staying.iter().copied().flat_map(data).collect();
    let is_remnant = |place: usize| {
        let mut staying = staying.iter();
        let object = staying.find(|object| object.range().contains(&place));
        object.is_some_and(|object| is_in_table_of_backtraces(object, place - object.base()))
    };
    let mut places = Vec::new();
    reader.read(&ranges, |start, words| {
        wanted.find_in(words, |index| {
            places.push((start + index * WORD, Concealed::new(words[index])));
        });
    })?;
    for (place, word) in places {
        if !is_given_up(wanted, place) && !is_remnant(place) {
            finds.push(Find {
                place,
                word,
                holder: Holder::Data(place),
            });
        }
    }
    Ok(())
}

/// What is written to in an object's life.
pub(super) fn data(object: &Object) -> impl Iterator<Item = Range<usize>> {
    let mut parts: Vec<_> = object.writable().collect();
    let [live, handed] = trampolines::places();
    for other in [
        object.read_only_after_relocation(),
        heap::places(),
        owners::place(),
        in_force::place(),
        lent::places(),
        files::place(),
        live,
        handed,
    ] {
        let rest = parts.iter().flat_map(|part| without(part, &other));
        parts = rest.filter(|part| !part.is_empty()).collect();
    }
    parts.into_iter()
}

/// A range without another.
fn without(range: &Range<usize>, other: &Range<usize>) -> [Range<usize>; 2] {
    [
        range.start..other.start.clamp(range.start, range.end),
        other.end.clamp(range.start, range.end)..range.end,
    ]
}

/// Whether a virtual address of an object is in what std, or the crate `backtrace`, keeps of the
/// files that it read.
fn is_in_table_of_backtraces(object: &Object, address: usize) -> bool {
    static OF_PROGRAM: OnceLock<Vec<Range<usize>>> = OnceLock::new();
    let is_in = |tables: &[Range<usize>]| tables.iter().any(|table| table.contains(&address));
    if object.path.is_empty() {
        return is_in(OF_PROGRAM.get_or_init(|| tables_of_backtraces(PROGRAM)));
    }
    let path = object.path.to_str();
    path.is_ok_and(|path| is_in(&tables_of_backtraces(path)))
}

fn tables_of_backtraces(path: &str) -> Vec<Range<usize>> {
    let Ok(file) = File::open(path) else {
        return Vec::new();
    };
    let has = |name: &[u8], part: &[u8]| name.windows(part.len()).any(|at| at == part);
    let tables = variables(&file, |name, _| {
        has(name, b"MAPPINGS_CACHE") && has(name, b"symbolize") && has(name, b"gimli")
    });
    tables.into_iter().map(|(range, _)| range).collect()
}

/// The program's file.
const PROGRAM: &str = "/proc/self/exe";

/// Whether the C library will not use what it has there.
fn is_given_up(wanted: &Wanted, place: usize) -> bool {
    let libc = STREAMS
        .address()
        .and_then(|list| Some(object_of(list)?.dli_fbase));
    libc.is_some()
        && object_of(place).map(|info| info.dli_fbase) == libc
        && (is_destructor_of_no_key(place) || is_registration_given_up(wanted, place))
}

/// Whether the place is part of what the C library knows of a function for the exit or around
/// `fork`, and will not use any more.
pub(super) fn is_registration_given_up(wanted: &Wanted, place: usize) -> bool {
    (0..3).any(|index| is_exit_function(wanted, place, index))
        || (0..4).any(|index| is_fork_function(wanted, place, index))
}

/// Whether the place is the one of a destructor (`__pthread_keys`) whose key was deleted.
fn is_destructor_of_no_key(place: usize) -> bool {
    /// `PTHREAD_KEYS_MAX`
    const COUNT: usize = 1024;
    let Some(keys) = KEYS.address() else {
        return false;
    };
    // Each is a number, which is odd while the key exists, and a destructor.
    let offset = place.wrapping_sub(keys);
    let is_one = offset < COUNT * 2 * WORD;
    is_one && memory::word(place & !(2 * WORD - 1)).is_some_and(|number| number % 2 == 0)
}

/// Whether the place, as the one of this index after the kind, belongs to a function for the exit
/// (kind, encoded function, argument, handle) that is free or goes with an object that leaves.
fn is_exit_function(wanted: &Wanted, place: usize, index: usize) -> bool {
    const FREE: usize = 0;
    const OF_AN_OBJECT: usize = 4;
    let mut words = [0; 4];
    let start = place - (index + 1) * WORD;
    if !memory::read(start, &mut words).is_ok_and(|read| read == words.len()) {
        return false;
    }
    let [kind, function, _, handle] = words;
    let goes = kind == FREE || kind == OF_AN_OBJECT && wanted.has(handle);
    goes && is_code(wanted.decode(function))
}

/// Whether the place, as the one of this index, belongs to functions around `fork` (before, after
/// in the parent and in the child, handle) of an object that leaves: they are taken back with it.
fn is_fork_function(wanted: &Wanted, place: usize, index: usize) -> bool {
    let mut words = [0; 4];
    let start = place - index * WORD;
    if !memory::read(start, &mut words).is_ok_and(|read| read == words.len()) {
        return false;
    }
    let [functions @ .., handle] = words;
    let is_function =
        |&function: &usize| function == 0 || wanted.has(function) && is_code(function);
    wanted.has(handle)
        && !is_code(handle)
        && functions.iter().all(is_function)
        && functions.iter().any(|&function| function != 0)
}

/// Whether an object has code at this address.
fn is_code(address: usize) -> bool {
    super::super::loader::has_code(address)
}

/// What the loader knows of an address in something that is loaded.
pub(super) fn object_of(address: usize) -> Option<libc::Dl_info> {
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: the loader looks the address up, and writes what it finds.
    let found = unsafe { libc::dladdr(address as *const _, info.as_mut_ptr()) } != 0;
    // SAFETY: it was written, or is all zeros, a value of this plain structure.
    found.then(|| unsafe { info.assume_init() })
}

/// Whether the loader has data at this place.
pub(super) fn is_of_loader(place: usize) -> bool {
    let base = |place| Some(object_of(place)?.dli_fbase);
    FOR_DEBUGGERS.address().and_then(base) == base(place)
}

/// Who has data at this place, `libc.so.6 (stdout+0x8)`, and where that begins.
pub(super) fn holder(place: usize) -> (usize, String) {
    let Some(info) = object_of(place) else {
        return (place, format!("memory at {place:#x}"));
    };
    // Whoever else has the object may have it unmapped by now.
    let text = |name: *const libc::c_char| memory::text(name as usize);
    let path = text(info.dli_fname).unwrap_or_default();
    let file = path.rsplit('/').next().unwrap_or(&path);
    let base = info.dli_fbase as usize;
    let exported = text(info.dli_sname).map(|name| (info.dli_saddr as usize, name));
    let Some((start, name)) = exported.or_else(|| variable(&path, base, place)) else {
        return (place, format!("{file} (+{:#x})", place.wrapping_sub(base)));
    };
    match place.wrapping_sub(start) {
        0 => (start, format!("{file} ({name})")),
        offset => (start, format!("{file} ({name}+{offset:#x})")),
    }
}

/// Where the variable at this place begins that is not exported, and what it is called.
fn variable(path: &str, base: usize, place: usize) -> Option<(usize, String)> {
    let program = object_of(holder as *const () as usize).map(|info| info.dli_fbase as usize);
    let path = if program == Some(base) { PROGRAM } else { path };
    let place = place.checked_sub(base)?;
    let is_it = |_: &[u8], range: &Range<usize>| range.contains(&place);
    let (range, name) = variables(&File::open(path).ok()?, is_it).pop()?;
    Some((base + range.start, name))
}
