//! What the threads have: thread-locals, what the C library keeps of each, system calls that they
//! wait in.
//!
//! glibc lays out a thread's memory so (x86-64; on aarch64 the control block comes first):
//!
//! ```text
//!  thread-locals of objects loaded at the start …│ control block (struct pthread) … │
//!                                  thread pointer ┘        └ head of the robust list
//! ```
//!
//! The kernel tells where the head of another thread's robust list is, and from there it is as far
//! to the thread pointer as in one's own. Sizes are told by symbols that are there for debuggers.
//! Thread-locals of other objects lie on the heap, and a table (`dtv`) says where.
//!
//! Left out are thread-locals of objects that leave, and values under keys that were deleted, or
//! that such an object made. Where the C library does not tell all this, and of threads that it did
//! not start, thread-locals are not looked at.

use std::fs;
use std::io;
use std::ops::Range;
use std::sync::OnceLock;

use super::super::ledger;
use super::super::memory::{self, Reader};
use super::super::object::{Object, ThreadLocals};
use super::super::remnants::{Concealed, Wiped};
use super::super::tasks::{current_id, label};
use super::objects::KEYS;
use super::wanted::{Find, Holder, Wanted, symbol};

const WORD: usize = size_of::<usize>();

/// Where things are around a thread pointer; distances wrap.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    robust_list: usize,
    /// Of a thread's block, and of its control block.
    block: (usize, usize),
    control: (usize, usize),
    /// Of the address of the table.
    table: usize,
    /// Of the addresses of values under keys.
    values: usize,
}

/// Values under keys come in groups of so many, and there are as many groups.
pub(super) const GROUP: usize = 32;

pub(super) fn search_thread_locals<'o>(
    wanted: &Wanted,
    threads: &[libc::pid_t],
    leaving: &[&Object],
    staying: impl Iterator<Item = &'o Object>,
    reader: &mut Reader,
    finds: &mut Vec<Find>,
) -> io::Result<()> {
    let Some(layout) = Layout::of_process() else {
        return Ok(());
    };
    let leaving: Vec<_> = leaving
        .iter()
        .filter_map(|object| object.thread_locals())
        .collect();
    let staying: Vec<_> = staying
        .filter_map(|object| object.thread_locals())
        .collect();
    let threads: Vec<_> = threads
        .iter()
        .filter_map(|&thread| Some((thread, layout.pointer_of(thread)?)))
        .collect();
    let blocks: Vec<_> = threads
        .iter()
        .map(|&(_, pointer)| layout.block_of(pointer))
        .collect();
    let copies = Copies::read(&blocks, reader)?;
    let modules = leaving.iter().chain(&staying).map(|locals| locals.module);
    let modules = modules.max().unwrap_or(0);
    let tables = threads.iter().enumerate().map(|(index, &(_, pointer))| {
        let words = copies.of(index);
        let place = layout.table.wrapping_sub(layout.block.0) / WORD;
        let table = words.get(place).filter(|_| layout.is_one(pointer, words));
        // In front of it stands how many entries there are.
        let start = table.and_then(|table| table.checked_sub(2 * WORD));
        let end = |start: usize| start.checked_add(2 * WORD * (modules + 2));
        start
            .and_then(|start| Some(start..end(start)?))
            .unwrap_or_default()
    });
    let tables: Vec<_> = tables.collect();
    let tables = Copies::read(&tables, reader)?;

    let mut elsewhere = Vec::new();
    for (index, &(thread, pointer)) in threads.iter().enumerate() {
        let (block, words) = (&blocks[index], copies.of(index));
        if !layout.is_one(pointer, words) {
            continue;
        }
        let table = Table(tables.of(index));
        // What lies in the block, too, and is looked at in other ways or not at all.
        let values = pointer.wrapping_add(layout.values);
        let first_values = values.wrapping_sub(GROUP * 2 * WORD)..values;
        let theirs = leaving.iter().filter_map(|locals| table.place_of(locals));
        let left_out: Vec<_> = theirs.chain([first_values]).collect();
        let mut found = |place: usize, word: usize| {
            finds.push(Find {
                place,
                word: Concealed::new(word),
                holder: Holder::Thread(thread),
            });
        };
        wanted.find_in(words, |index| {
            let place = block.start + index * WORD;
            if !left_out.iter().any(|range| range.contains(&place)) {
                found(place, words[index]);
            }
        });
        let groups = words.get(values.wrapping_sub(block.start) / WORD..);
        let groups = groups
            .and_then(|rest| rest.get(..GROUP))
            .unwrap_or_default();
        find_values(wanted, groups, (block.start, words), &mut found)?;
        let places = staying.iter().filter_map(|locals| table.place_of(locals));
        let places = places.filter(|place| !block.contains(&place.start));
        elsewhere.extend(places.map(|place| (place, thread)));
    }
    elsewhere.sort_by_key(|(place, _)| place.start);
    let ranges: Vec<_> = elsewhere.iter().map(|(place, _)| place.clone()).collect();
    reader.read(&ranges, |start, words| {
        wanted.find_in(words, |index| {
            let place = start + index * WORD;
            let after = elsewhere.partition_point(|(other, _)| other.start <= place);
            finds.push(Find {
                place,
                word: Concealed::new(words[index]),
                holder: Holder::Thread(elsewhere[after - 1].1),
            });
        });
    })
}

/// Copies of ranges of memory, with zeros where there was none.
struct Copies {
    /// Where each begins among the words.
    starts: Vec<usize>,
    words: Wiped<usize>,
}

impl Copies {
    fn read(ranges: &[Range<usize>], reader: &mut Reader) -> io::Result<Self> {
        let mut starts = vec![0];
        for range in ranges {
            starts.push(starts[starts.len() - 1] + range.len() / WORD);
        }
        let mut words = Wiped::zeros(starts[ranges.len()]);
        reader.read(ranges, |start, part| {
            let has = |range: &Range<usize>| range.contains(&start);
            if let Some(index) = ranges.iter().position(has) {
                let first = starts[index] + (start - ranges[index].start) / WORD;
                let length = part.len().min(starts[index + 1] - first);
                words[first..first + length].copy_from_slice(&part[..length]);
            }
        })?;
        Ok(Self { starts, words })
    }

    /// The words of the range of this index.
    fn of(&self, index: usize) -> &[usize] {
        &self.words[self.starts[index]..self.starts[index + 1]]
    }
}

/// Values under keys that exist and are not made by what leaves. `groups` is where they are, the
/// first in the thread's block, of which there is a copy.
fn find_values(
    wanted: &Wanted,
    groups: &[usize],
    (start, block): (usize, &[usize]),
    mut found: impl FnMut(usize, usize),
) -> io::Result<()> {
    let Some(keys) = KEYS.address() else {
        return Ok(());
    };
    for (number, &group) in groups.iter().enumerate() {
        let copy = block.get(group.wrapping_sub(start) / WORD..);
        let copy = copy.and_then(|rest| rest.first_chunk::<{ 2 * GROUP }>());
        let mut values = copy.copied().unwrap_or([0; 2 * GROUP]);
        if group == 0 || copy.is_none() && memory::read(group, &mut values)? < values.len() {
            continue;
        }
        for (index, value) in values.chunks_exact(2).enumerate() {
            let key = number * GROUP + index;
            if wanted.has(value[1])
                && value[0] % 2 == 1
                && memory::word(keys + key * 2 * WORD) == Some(value[0])
                && !is_key_of(wanted, key)
            {
                found(group + (2 * index + 1) * WORD, value[1]);
            }
        }
    }
    Ok(())
}

/// Whether an object that leaves made this key, which is deleted with it.
fn is_key_of(wanted: &Wanted, key: usize) -> bool {
    let ledgers = ledger::all().into_iter();
    let mut leaving = ledgers.filter(|ledger| wanted.has(ledger.object.dynamic()));
    leaving.any(|ledger| ledger.with(|entries| entries.keys.iter().any(|own| own.is(key))))
}

/// Where a thread has the thread-locals of each object, after how many entries there are.
struct Table<'a>(&'a [usize]);

impl Table<'_> {
    fn place_of(&self, locals: &ThreadLocals) -> Option<Range<usize>> {
        let count = *self.0.first()?;
        // Where the thread has not used them yet, this is an odd number.
        let start = *self.0.get(2 * (locals.module + 1))?;
        let is_there = locals.module <= count && start != 0 && start % 2 == 0;
        is_there.then_some(start..start.checked_add(locals.size)?)
    }
}

impl Layout {
    pub(super) fn of_process() -> Option<Self> {
        static LAYOUT: OnceLock<Option<Layout>> = OnceLock::new();
        *LAYOUT.get_or_init(Self::find)
    }

    fn find() -> Option<Self> {
        type SizeOfBlock = unsafe extern "C" fn(*mut usize, *mut usize);
        let pointer = own_pointer()?;
        let robust_list = robust_list_of(0)?.wrapping_sub(pointer);
        let size_of_block = symbol(c"_dl_get_tls_static_info")?;
        let (mut size, mut alignment) = (0, 0);
        // SAFETY: the loader's function of this name has this type, and writes two numbers.
        unsafe {
            std::mem::transmute::<usize, SizeOfBlock>(size_of_block)(
                &raw mut size,
                &raw mut alignment,
            );
        }
        // SAFETY: a number for debuggers.
        let control = unsafe { (symbol(c"_thread_db_sizeof_pthread")? as *const u32).read() };
        // SAFETY: three numbers for debuggers: bits of each, how many, how far from the beginning.
        let values = unsafe { (symbol(c"_thread_db_pthread_specific")? as *const [u32; 3]).read() };
        let (control, values) = (control as usize, values[2] as usize);
        if cfg!(target_arch = "x86_64") {
            Some(Self {
                robust_list,
                block: (control.wrapping_sub(size), control),
                control: (0, control),
                table: WORD,
                values,
            })
        } else {
            let start = control.wrapping_neg();
            Some(Self {
                robust_list,
                block: (start, size),
                control: (start, 0),
                table: 0,
                values: start.wrapping_add(values),
            })
        }
    }

    /// Another thread's pointer, if glibc started it.
    pub(super) fn pointer_of(&self, thread: libc::pid_t) -> Option<usize> {
        Some(robust_list_of(thread)?.wrapping_sub(self.robust_list))
    }

    /// Where the address of a group of values is.
    pub(super) fn place_of_group(&self, pointer: usize, group: usize) -> usize {
        pointer.wrapping_add(self.values).wrapping_add(group * WORD)
    }

    /// The memory around a thread pointer.
    fn block_of(&self, pointer: usize) -> Range<usize> {
        pointer.wrapping_add(self.block.0)..pointer.wrapping_add(self.block.1)
    }

    /// Whether this is a thread's block: not of one that glibc did not start, or that has ended.
    fn is_one(&self, pointer: usize, block: &[usize]) -> bool {
        // x86-64: the control block begins with its own address.
        let index = self.control.0.wrapping_sub(self.block.0) / WORD;
        !cfg!(target_arch = "x86_64") || block.get(index) == Some(&pointer)
    }
}

/// The pointer of the thread that asks.
pub(in super::super) fn own_pointer() -> Option<usize> {
    #[cfg(target_arch = "x86_64")]
    {
        let pointer: usize;
        // SAFETY: the thread's control block begins with its own address.
        unsafe {
            std::arch::asm!(
                "mov {}, fs:[0]", out(reg) pointer, options(nostack, preserves_flags, readonly)
            );
        }
        Some(pointer)
    }
    #[cfg(target_arch = "aarch64")]
    {
        let pointer: usize;
        // SAFETY: this reads a register.
        unsafe {
            std::arch::asm!(
                "mrs {}, tpidr_el0", out(reg) pointer, options(nostack, preserves_flags, nomem)
            );
        }
        Some(pointer)
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    None
}

/// Where the head of a thread's robust list is; 0 is the thread that asks.
fn robust_list_of(thread: libc::pid_t) -> Option<usize> {
    let (mut head, mut length) = (0_usize, 0_usize);
    // SAFETY: the kernel writes two words into variables of this function.
    let failed = unsafe {
        libc::syscall(
            libc::SYS_get_robust_list,
            thread,
            &raw mut head,
            &raw mut length,
        )
    };
    (failed == 0 && head != 0).then_some(head)
}

/// The arguments of the system calls that threads wait in: a buffer there will be written to.
pub(super) fn search_system_calls(wanted: &Wanted, threads: &[libc::pid_t], finds: &mut Vec<Find>) {
    let own = current_id();
    for &thread in threads.iter().filter(|&&thread| thread != own) {
        // "number argument… stack-pointer program-counter", or "running".
        let call = fs::read_to_string(format!("/proc/self/task/{thread}/syscall"));
        let call = call.unwrap_or_default();
        let mut words = call.split_ascii_whitespace();
        let number = words.next().unwrap_or_default();
        let arguments = words.take(6).map(|word| word.trim_start_matches("0x"));
        let mut arguments = arguments.filter_map(|word| usize::from_str_radix(word, 16).ok());
        if let Some(word) = arguments.find(|&word| wanted.has(word)) {
            finds.push(Find {
                place: 0,
                word: Concealed::new(word),
                holder: Holder::other(
                    word,
                    format!("system call {number} that {} waits in", label(thread)),
                ),
            });
        }
    }
}
