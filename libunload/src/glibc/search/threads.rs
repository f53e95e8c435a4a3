//! What the threads have: thread-locals, what the C library keeps of each, system calls that they wait in.
//!
//! glibc lays out a thread's memory so (x86-64; on aarch64 the control block comes first):
//!
//! ```text
//!  thread-locals of objects loaded at the start …│ control block (struct pthread) … │
//!                                  thread pointer ┘        └ head of the robust list
//! ```
//!
//! The kernel tells where the head of another thread's robust list is, and from there it is as far to the
//! thread pointer as in one's own. Sizes are told by symbols that are there for debuggers. Thread-locals of
//! other objects lie on the heap, and a table (`dtv`) says where.
//!
//! Left out are thread-locals of objects that leave, and values under keys that were deleted, or that such
//! an object made. Where the C library does not tell all this, and of threads that it did not start, thread-locals are
//! not looked at.

use std::fs;
use std::io;
use std::ops::Range;
use std::sync::OnceLock;

use super::super::ledger;
use super::super::memory::{self, Reader};
use super::super::object::{Object, ThreadLocals};
use super::super::tasks::{current_id, label};
use super::wanted::{Find, Wanted, symbol};

const WORD: usize = size_of::<usize>();

/// Where things are around a thread pointer; distances wrap.
#[derive(Clone, Copy)]
struct Layout {
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
const GROUP: usize = 32;

pub(super) fn search_thread_locals<'o>(
    wanted: &Wanted,
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
        .filter_map(|object| object.thread_locals)
        .collect();
    let staying: Vec<_> = staying.filter_map(|object| object.thread_locals).collect();
    for thread in numbers()? {
        let Some(pointer) = layout.pointer_of(thread) else {
            continue;
        };
        let mut places = Vec::new();
        let mut note = |start: usize, words: &[usize]| {
            wanted.find_in(words, |index| {
                places.push((start + index * WORD, words[index]));
            });
        };
        let at = |offset: usize| pointer.wrapping_add(offset);
        let block = at(layout.block.0)..at(layout.block.1);
        let table = Table::read(memory::word(at(layout.table)).unwrap_or(0));
        // What lies in the block, too, and is looked at in other ways or not at all.
        let first_values = at(layout.values) - GROUP * 2 * WORD..at(layout.values);
        let theirs = leaving.iter().filter_map(|locals| table.place_of(locals));
        let left_out: Vec<_> = theirs.chain([first_values]).collect();
        reader.read(std::slice::from_ref(&block), &mut note)?;
        let elsewhere = staying.iter().filter_map(|locals| table.place_of(locals));
        let elsewhere: Vec<_> = elsewhere
            .filter(|place| !block.contains(&place.start))
            .collect();
        reader.read(&elsewhere, &mut note)?;
        places.retain(|(place, _)| !left_out.iter().any(|range| range.contains(place)));
        find_values(wanted, at(layout.values), &mut places)?;
        finds.extend(places.into_iter().map(|(place, word)| Find {
            place,
            word,
            of: pointer,
            holder: format!("a thread-local of {}", label(thread)),
        }));
    }
    Ok(())
}

/// Values under keys that exist and are not made by what leaves.
fn find_values(wanted: &Wanted, groups: usize, places: &mut Vec<(usize, usize)>) -> io::Result<()> {
    let Some(keys) = symbol(c"__pthread_keys") else {
        return Ok(());
    };
    let mut addresses = [0; GROUP];
    let read = memory::read(groups, &mut addresses)?;
    for (number, &group) in addresses[..read].iter().enumerate() {
        let mut values = [0; 2 * GROUP];
        if group == 0 || memory::read(group, &mut values)? < values.len() {
            continue;
        }
        for (index, value) in values.chunks_exact(2).enumerate() {
            let key = number * GROUP + index;
            if wanted.has(value[1])
                && value[0] % 2 == 1
                && memory::word(keys + key * 2 * WORD) == Some(value[0])
                && !is_key_of(wanted, key)
            {
                places.push((group + (2 * index + 1) * WORD, value[1]));
            }
        }
    }
    Ok(())
}

/// Whether an object that leaves made this key, which is deleted with it.
fn is_key_of(wanted: &Wanted, key: usize) -> bool {
    let ledgers = ledger::all().into_iter();
    let mut leaving = ledgers.filter(|ledger| wanted.has(ledger.object.dynamic));
    leaving.any(|ledger| ledger.with(|entries| entries.keys.iter().any(|own| own.is(key))))
}

/// Where a thread has the thread-locals of each object.
struct Table(Vec<usize>);

impl Table {
    /// Reads the table at this address: in front of it stands how many entries there are.
    fn read(address: usize) -> Self {
        /// More are not looked at.
        const MOST: usize = 4096;
        let length = address.checked_sub(2 * WORD).and_then(memory::word);
        let mut entries = vec![0; 2 * (length.unwrap_or(0).min(MOST) + 1)];
        let read = memory::read(address, &mut entries).unwrap_or(0);
        entries.truncate(read);
        Self(entries)
    }

    fn place_of(&self, locals: &ThreadLocals) -> Option<Range<usize>> {
        // Where the thread has not used them yet, this is an odd number.
        let start = *self.0.get(2 * locals.module)?;
        (start != 0 && start % 2 == 0).then_some(start..start.checked_add(locals.size)?)
    }
}

impl Layout {
    fn of_process() -> Option<Self> {
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
    fn pointer_of(&self, thread: libc::pid_t) -> Option<usize> {
        let pointer = robust_list_of(thread)?.wrapping_sub(self.robust_list);
        let control = pointer.wrapping_add(self.control.0);
        // x86-64: it begins with its own address.
        let is_one = !cfg!(target_arch = "x86_64") || memory::word(control) == Some(pointer);
        is_one.then_some(pointer)
    }
}

fn own_pointer() -> Option<usize> {
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
pub(super) fn search_system_calls(wanted: &Wanted, finds: &mut Vec<Find>) {
    let own = current_id();
    for thread in numbers()
        .unwrap_or_default()
        .into_iter()
        .filter(|&thread| thread != own)
    {
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
                word,
                of: word,
                holder: format!("system call {number} that {} waits in", label(thread)),
            });
        }
    }
}

/// The threads of this process.
fn numbers() -> io::Result<Vec<libc::pid_t>> {
    let entries = fs::read_dir("/proc/self/task")?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter_map(|name| name.parse().ok()).collect())
}
