//! What the data of libraries that stay leads to on the heap.
//!
//! A library may have callbacks in structures on the heap: OpenSSL does, and C++'s standard
//! library. Each word of its data, and each value that a thread has under one of its keys, that
//! looks like what `malloc` returned is followed, and so on from there. This is done where the
//! leaving library needs another one than the C library and its parts, which then stays, or uses
//! one of the few functions with which the C library keeps an address on the heap; the program's
//! data and that of other plugins are no beginnings, since they lead everywhere.
//!
//! What looks like memory in use: glibc writes the size in front of it, and in front of what comes
//! next that this is in use. Memory that a thread keeps for its next `malloc` is known by a mark.
//! What is free otherwise is not followed, so glibc's own lists of it are no beginnings either.
//! Where something is found in this way, it is looked for once more among what
//! [`heaps`](super::heaps) says that `malloc` has given out: an old address may lead to where
//! memory was divided otherwise.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::super::ledger::{self, Ledger};
use super::super::link_maps;
use super::super::loader;
use super::super::memory::{self, Reader};
use super::super::object::{self, Object};
use super::super::remnants::{Concealed, Wiped};
use super::super::requests;
use super::heaps::Heaps;
use super::objects;
use super::values;
use super::wanted::{Find, Holder, Wanted, is_among};

const WORD: usize = size_of::<usize>();

/// Functions of the C library, and of its parts, that keep an address they are given on the heap,
/// where nothing takes it back.
const KEEP_ON_THE_HEAP: [&[u8]; 8] = [
    b"addseverity",
    b"register_printf_specifier",
    b"register_printf_function",
    b"register_printf_modifier",
    b"register_printf_type",
    b"hsearch",
    b"getaddrinfo_a",
    b"__register_frame",
];

/// Memory of `malloc` that is reached.
#[derive(Clone, Copy)]
struct Chunk {
    start: usize,
    /// In bytes, with the size in front.
    size: usize,
    /// The word in a library's data that leads there.
    root: usize,
}

pub(super) fn search(
    wanted: &Wanted,
    leaving: &[&Object],
    loaded: &[Object],
    finds: &mut Vec<Find>,
) -> io::Result<()> {
    let roots = beginnings(leaving, loaded);
    let keeps = leaving.iter().any(|object| keeps_on_the_heap(object));
    if !keeps && roots.iter().all(|object| is_of_the_c_library(object)) {
        return Ok(());
    }
    let mut found = walk(wanted, leaving, &roots, None)?;
    if !found.is_empty() {
        found = walk(wanted, leaving, &roots, Some(Heaps::new()))?;
    }
    finds.extend(found);
    Ok(())
}

/// Follows the chains from their beginnings, through what is no remnant, if it is known what is.
fn walk(
    wanted: &Wanted,
    leaving: &[&Object],
    roots: &[&Object],
    mut heaps: Option<Heaps>,
) -> io::Result<Vec<Find>> {
    /// More are not followed.
    const MOST: usize = 20_000;
    let mut walk = Walk {
        wanted,
        leaving,
        kept_mark: mark_of_kept(),
        seen: notes_of_objects(leaving),
        requests: places_of_requests(wanted),
        next: Wiped::default(),
        finds: Vec::new(),
    };
    let mut reader = Reader::new();
    for object in roots {
        walk.begin_at(object, &mut reader)?;
    }
    while !walk.next.is_empty() && walk.seen.len() < MOST {
        let mut chunks = chunks(&mut reader, &std::mem::take(&mut walk.next))?;
        if let Some(heaps) = &mut heaps {
            chunks.retain(|chunk| !heaps.is_remnant(chunk.start));
        }
        // So many that they are read at once, and none in parts.
        let mut batch = Wiped::default();
        let mut room = Reader::ROOM;
        for &chunk in chunks.iter() {
            if chunk.size > room || batch.len() == Reader::MOST {
                walk.follow(&batch, &mut reader)?;
                batch.clear();
                room = Reader::ROOM;
            }
            room -= chunk.size;
            batch.push(chunk);
        }
        walk.follow(&batch, &mut reader)?;
    }
    Ok(walk.finds)
}

/// On the way along the chains.
struct Walk<'a> {
    wanted: &'a Wanted,
    leaving: &'a [&'a Object],
    kept_mark: Option<usize>,
    /// What the C library may still have of requests that are done.
    requests: BTreeSet<Concealed>,
    /// What was reached.
    seen: HashSet<Concealed>,
    /// What was reached and not looked at, with the word in a library's data that it was reached
    /// from.
    next: Wiped<(usize, usize)>,
    finds: Vec<Find>,
}

impl Walk<'_> {
    /// Notes where an object's data leads to.
    fn begin_at(&mut self, object: &Object, reader: &mut Reader) -> io::Result<()> {
        let mut words = Wiped::default();
        let data: Vec<_> = objects::data(object).collect();
        reader.read(&data, |start, part| {
            let places = part.iter().enumerate();
            words.extend(places.map(|(index, &word)| (start + index * WORD, word)));
        })?;
        let values = values::under_keys_of(object).into_iter();
        for (value, destructor) in values {
            if self.may_lead_on(value) && self.seen.insert(Concealed::new(value)) {
                self.next.push((value, destructor));
            }
        }
        let lists = lists_of_free(&words);
        for &(place, word) in words.iter() {
            if !lists.contains(&place)
                && self.may_lead_on(word)
                && self.seen.insert(Concealed::new(word))
            {
                self.next.push((word, place));
            }
        }
        Ok(())
    }

    /// Whether this leads to the heap. An address in a library that leaves does not, nor the one
    /// after its last. They must not be noted here: what looks like an address of this very memory
    /// may lead to the notes, and memory that was freed may become anybody's.
    fn may_lead_on(&self, word: usize) -> bool {
        let is_inside = || {
            self.leaving
                .iter()
                .any(|object| word.wrapping_sub(object.range().start) <= object.range().len())
        };
        may_be_of_malloc(word) && !is_inside()
    }

    /// Looks into chunks, and notes where they lead to.
    fn follow(&mut self, batch: &[Chunk], reader: &mut Reader) -> io::Result<()> {
        const IN_USE: usize = 1;
        let range = |chunk: &Chunk| chunk.start..chunk.start + chunk.size;
        let ranges: Wiped<_> = batch.iter().map(range).collect();
        let mut places = Vec::new();
        reader.read(&ranges, |start, words| {
            let is_whole =
                |chunk: &&Chunk| chunk.start == start && chunk.size == words.len() * WORD;
            let (Some(chunk), Some((after, content))) =
                (batch.iter().find(is_whole), words.split_last())
            else {
                return;
            };
            let is_kept = self.kept_mark.is_some() && content.get(1).copied() == self.kept_mark;
            if after & IN_USE == 0 || is_kept {
                return;
            }
            self.wanted.find_in(content, |index| {
                let word = content[index];
                if is_bound_of(word, self.leaving) || self.requests.contains(&Concealed::new(word))
                {
                    return;
                }
                places.push((start + index * WORD, Concealed::new(word), chunk.root));
            });
            for &word in content {
                if self.may_lead_on(word) && self.seen.insert(Concealed::new(word)) {
                    self.next.push((word, chunk.root));
                }
            }
        })?;
        for (place, word, root) in places {
            if objects::is_registration_given_up(self.wanted, place) {
                continue;
            }
            self.finds.push(Find {
                place,
                word,
                holder: Holder::Heap(root),
            });
        }
        Ok(())
    }
}

/// The libraries that stay and that the leaving ones need.
fn beginnings<'o>(leaving: &[&Object], loaded: &'o [Object]) -> Vec<&'o Object> {
    let needed: HashSet<usize> = leaving
        .iter()
        .flat_map(|library| loader::closure(library))
        .map(|object| object.dynamic())
        .collect();
    let stays = |object: &&Object| !is_among(object, leaving) && needed.contains(&object.dynamic());
    let is_loader = |object: &Object| file_name(object).starts_with(b"ld-linux");
    let staying = loaded.iter().filter(stays);
    staying.filter(|object| !is_loader(object)).collect()
}

fn file_name(object: &Object) -> &[u8] {
    let path = object.path.to_bytes();
    path.rsplit(|&byte| byte == b'/').next().unwrap_or_default()
}

fn is_of_the_c_library(object: &Object) -> bool {
    const PARTS: [&[u8]; 8] = [
        b"libc.so",
        b"libm.so",
        b"libgcc_s.so",
        b"libpthread.so",
        b"libdl.so",
        b"librt.so",
        b"libutil.so",
        b"libanl.so",
    ];
    PARTS.iter().any(|part| file_name(object).starts_with(part))
}

fn keeps_on_the_heap(object: &Object) -> bool {
    let mut relocations = object.relocations();
    // What names are looked up is known where that is stood in for, and what the C library has of
    // it is remnants.
    let is_known = |name: &[u8]| name == b"getaddrinfo_a" && requests::can_look_up();
    let keeps = |name: &[u8]| KEEP_ON_THE_HEAP.contains(&name) && !is_known(name);
    relocations.any(|relocation| object.import_name(relocation).is_some_and(keeps))
}

/// Where the objects that leave have had requests; none is under way any more.
fn places_of_requests(wanted: &Wanted) -> BTreeSet<Concealed> {
    let ledgers = ledger::all().into_iter();
    let leaving = ledgers.filter(|ledger| wanted.has(ledger.object.dynamic()));
    let places = |ledger: Arc<Ledger>| ledger.with(|entries| entries.places_of_requests.clone());
    leaving.flat_map(places).collect()
}

/// Where the loader and the host note what they know of objects: nobody else uses that, and what
/// looks like an address of it is a remnant.
fn notes_of_objects(leaving: &[&Object]) -> HashSet<Concealed> {
    // Its counts come before a ledger.
    let start = |ledger: &Arc<Ledger>| Arc::as_ptr(ledger) as usize - 2 * WORD;
    let ledgers = ledger::all();
    let mut notes: HashSet<_> = ledgers.iter().map(start).map(Concealed::new).collect();
    for (_, record) in link_maps::of(leaving) {
        // What versions of which libraries it needs, its names, where it looks for symbols.
        notes.extend(record.words().iter().copied().map(Concealed::new));
        notes.insert(Concealed::new(record.place));
    }
    notes
}

/// Whether `malloc` may have returned this.
fn may_be_of_malloc(word: usize) -> bool {
    const LOWEST: usize = 1 << 16;
    const HIGHEST: usize = 1 << 47;
    word % 16 == 0 && (LOWEST..HIGHEST).contains(&word)
}

/// Which of these addresses have a size in front of them.
fn chunks(reader: &mut Reader, addresses: &[(usize, usize)]) -> io::Result<Wiped<Chunk>> {
    const FLAGS: usize = 7;
    const SIZES: Range<usize> = 32..Reader::ROOM;
    let sizes = addresses.iter().map(|&(word, _)| word - WORD..word);
    let sizes: Wiped<_> = sizes.collect();
    let mut found = std::collections::HashMap::new();
    reader.read(&sizes, |place, words| {
        if let [size] = words {
            found.insert(Concealed::new(place + WORD), size & !FLAGS);
        }
    })?;
    let chunk = |&(start, root): &(usize, usize)| {
        let size = *found.get(&Concealed::new(start))?;
        (SIZES.contains(&size) && size % 16 == 0).then_some(Chunk { start, size, root })
    };
    Ok(addresses.iter().filter_map(chunk).collect())
}

/// Whether this is where an object that leaves, or a part of it, begins or ends, or its pages do,
/// or in its dynamic section: what loaders, debuggers and this crate note of objects, remnants of
/// which are all over the heap. Nobody else calls or reads there. So it is with the index of its
/// unwind tables, which `_dl_find_object` tells.
fn is_bound_of(word: usize, leaving: &[&Object]) -> bool {
    let page = object::page_size();
    let is_bound = |range: Range<usize>| {
        let pages = range.start & !(page - 1)..range.end.next_multiple_of(page);
        [range.start, range.end, pages.start, pages.end].contains(&word)
    };
    leaving.iter().any(|object| {
        let parts = object.text().chain(object.writable());
        let mut parts = parts.chain([object.range(), object.read_only_after_relocation()]);
        let entries = object.dynamic_entries().count() + 1;
        let dynamic = object.dynamic()..object.dynamic() + 2 * WORD * entries;
        [object.base(), object.unwind_index()].contains(&word)
            || dynamic.contains(&word)
            || parts.any(is_bound)
    })
}

/// Where glibc's `malloc` has its lists of what is free, if these words are the C library's data:
/// 127 pairs of words, of which empty ones lead to themselves.
fn lists_of_free(words: &[(usize, usize)]) -> Range<usize> {
    /// From the state before the lists to their end.
    const LENGTH: usize = 0x70 + 254 * WORD;
    let is_empty = |pair: &&[(usize, usize)]| {
        let [(place, first), (_, second)] = pair else {
            return false;
        };
        *first == place.wrapping_sub(2 * WORD) && first == second
    };
    let last = words.windows(2).rfind(is_empty);
    last.map_or(0..0, |last| {
        let end = last[0].0 + 2 * WORD;
        end.saturating_sub(LENGTH)..end
    })
}

/// What glibc writes into memory that a thread keeps for its next `malloc`.
fn mark_of_kept() -> Option<usize> {
    // SAFETY: no preconditions.
    let block = unsafe { libc::malloc(24) };
    if block.is_null() {
        return None;
    }
    // SAFETY: allocated above, and not used.
    unsafe { libc::free(block) };
    memory::word(block as usize + WORD).filter(|&mark| mark != 0)
}
