//! The kernel's view of what is mapped (`/proc/self/maps`).
//!
//! Since Linux 6.11 the kernel answers a question about one address; before, it tells everything.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use super::object::to_usize;

/// The mappings of this process, as they are whenever something is asked.
pub(super) struct Maps {
    file: File,
    answers_questions: bool,
}

/// A mapping of this process.
#[derive(Debug)]
pub(super) struct Mapping {
    pub(super) range: Range<usize>,
    pub(super) executable: bool,
    pub(super) writable: bool,
    /// Of number 0 for plain memory.
    file: FileId,
    /// The path of that, and ` (deleted)` where it is gone; empty where it was not asked for.
    pub(super) path: String,
}

/// Which file it is, whatever its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId {
    device: (u32, u32),
    pub(super) inode: u64,
}

impl Maps {
    pub(super) fn open() -> io::Result<Self> {
        let file = File::open("/proc/self/maps")?;
        let answers_questions = query::first_after(&file, 0, false).is_ok();
        Ok(Self {
            file,
            answers_questions,
        })
    }

    /// The mapping that has this address, perhaps without its path.
    pub(super) fn at(&self, address: usize) -> io::Result<Option<Mapping>> {
        let found = if self.answers_questions {
            query::first_after(&self.file, address, false)?
        } else {
            let mut all = self.all()?.into_iter();
            all.find(|mapping| mapping.range.contains(&address))
        };
        Ok(found.filter(|mapping| mapping.range.contains(&address)))
    }

    /// A mapping of this file in this range.
    pub(super) fn of_file(
        &self,
        file: FileId,
        range: &Range<usize>,
    ) -> io::Result<Option<Mapping>> {
        let is_it = |mapping: &Mapping| {
            mapping.file() == Some(file)
                && mapping.range.start < range.end
                && range.start < mapping.range.end
        };
        if !self.answers_questions {
            return Ok(self.all()?.into_iter().find(is_it));
        }
        let mut next = range.start;
        while let Some(mapping) = query::first_after(&self.file, next, true)? {
            if is_it(&mapping) {
                return Ok(Some(query::with_path(&self.file, mapping)));
            }
            if mapping.range.end >= range.end {
                break;
            }
            next = mapping.range.end;
        }
        Ok(None)
    }

    /// All mappings with code, perhaps without their paths.
    pub(super) fn executable(&self) -> io::Result<Vec<Mapping>> {
        if !self.answers_questions {
            let mut all = self.all()?;
            all.retain(|mapping| mapping.executable);
            return Ok(all);
        }
        let mut found = Vec::new();
        let mut next = 0;
        while let Some(mapping) = query::executable_after(&self.file, next)? {
            next = mapping.range.end;
            found.push(mapping);
        }
        Ok(found)
    }

    /// All mappings, in the order of their addresses.
    fn all(&self) -> io::Result<Vec<Mapping>> {
        let mut text = Vec::new();
        let mut part = vec![0; 64 << 10];
        loop {
            match self.file.read_at(&mut part, text.len() as u64)? {
                0 => break,
                count => text.extend_from_slice(&part[..count]),
            }
        }
        // Paths need not be UTF-8.
        let text = String::from_utf8_lossy(&text);
        text.lines().map(Mapping::parse).collect()
    }
}

impl Mapping {
    /// What is mapped; `None` for plain memory.
    pub(super) fn file(&self) -> Option<FileId> {
        (self.file.inode != 0).then_some(self.file)
    }

    /// `start-end access offset device inode   file`
    fn parse(line: &str) -> io::Result<Self> {
        let unexpected = || {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("/proc/self/maps: {line}"),
            )
        };
        let mut words = line.splitn(6, ' ');
        let mut word = || words.next().ok_or_else(unexpected);
        let (start, end) = word()?.split_once('-').ok_or_else(unexpected)?;
        let address = |text| usize::from_str_radix(text, 16).map_err(|_| unexpected());
        let (access, _offset) = (word()?, word()?);
        let (major, minor) = word()?.split_once(':').ok_or_else(unexpected)?;
        let number = |text| u32::from_str_radix(text, 16).map_err(|_| unexpected());
        let device = (number(major)?, number(minor)?);
        let inode = word()?.parse().map_err(|_| unexpected())?;
        let path = words.next().unwrap_or_default().trim_start().to_owned();
        Ok(Self {
            range: address(start)?..address(end)?,
            executable: access.contains('x'),
            writable: access.contains('w'),
            file: FileId { device, inode },
            path,
        })
    }
}

/// Questions about one address (`PROCMAP_QUERY`).
mod query {
    use super::{AsRawFd, File, FileId, Mapping, io, to_usize};

    /// `_IOWR('f', 17, struct procmap_query)`
    const PROCMAP_QUERY: libc::c_ulong = 0xc068_6611;
    const WRITABLE: u64 = 0x02;
    const EXECUTABLE: u64 = 0x04;
    const COVERING_OR_NEXT: u64 = 0x10;
    const FILE_BACKED: u64 = 0x20;

    /// `struct procmap_query` of `linux/fs.h`.
    #[repr(C)]
    #[derive(Default)]
    struct Query {
        size: u64,
        flags: u64,
        address: u64,
        start: u64,
        end: u64,
        access: u64,
        page_size: u64,
        offset: u64,
        inode: u64,
        major: u32,
        minor: u32,
        path_size: u32,
        build_id_size: u32,
        path: u64,
        build_id: u64,
    }

    /// The first mapping that ends after this address, without its path.
    pub(super) fn first_after(
        maps: &File,
        address: usize,
        of_a_file: bool,
    ) -> io::Result<Option<Mapping>> {
        let kind = if of_a_file { FILE_BACKED } else { 0 };
        ask(maps, address, kind, &mut [])
    }

    /// The first mapping with code that ends after this address, without its path.
    pub(super) fn executable_after(maps: &File, address: usize) -> io::Result<Option<Mapping>> {
        ask(maps, address, EXECUTABLE, &mut [])
    }

    /// The same mapping with its path; without, if that is long.
    pub(super) fn with_path(maps: &File, mapping: Mapping) -> Mapping {
        let mut path = [0_u8; 512];
        match ask(maps, mapping.range.start, 0, &mut path) {
            Ok(Some(told)) => told,
            _ => mapping,
        }
    }

    fn ask(maps: &File, address: usize, kind: u64, path: &mut [u8]) -> io::Result<Option<Mapping>> {
        let mut query = Query {
            size: size_of::<Query>() as u64,
            flags: COVERING_OR_NEXT | kind,
            address: address as u64,
            path_size: u32::try_from(path.len()).unwrap_or(0),
            path: if path.is_empty() {
                0
            } else {
                path.as_mut_ptr() as u64
            },
            ..Query::default()
        };
        // SAFETY: the kernel writes into `query`, whose size it is told, and into `path`, whose
        // size it is told as well; files that do not know the request refuse it.
        let failed = unsafe { libc::ioctl(maps.as_raw_fd(), PROCMAP_QUERY as _, &raw mut query) };
        if failed != 0 {
            return match io::Error::last_os_error() {
                none if none.raw_os_error() == Some(libc::ENOENT) => Ok(None),
                error => Err(error),
            };
        }
        let path = path.split(|&byte| byte == 0).next().unwrap_or_default();
        Ok(Some(Mapping {
            range: to_usize(query.start)..to_usize(query.end),
            executable: query.access & EXECUTABLE != 0,
            writable: query.access & WRITABLE != 0,
            file: FileId {
                device: (query.major, query.minor),
                inode: query.inode,
            },
            path: String::from_utf8_lossy(path).into_owned(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_that_is_gone() {
        let line =
            "7f00-8f00 r-xp 00001000 fe:01 42                         /tmp/my lib.so (deleted)";
        let mapping = Mapping::parse(line).expect("a line of the kernel");
        assert_eq!(mapping.range, 0x7f00..0x8f00);
        assert_eq!(mapping.path, "/tmp/my lib.so (deleted)");
        let device = (0xfe, 1);
        assert_eq!(mapping.file(), Some(FileId { device, inode: 42 }));
        assert!(mapping.executable);
    }

    #[test]
    fn memory_without_a_file() {
        let mapping =
            Mapping::parse("0-1000 rw-p 00000000 00:00 0 ").expect("a line of the kernel");
        assert_eq!(mapping.file(), None);
        assert!(!mapping.executable);
    }

    /// Both ways to ask give the same answers about code, memory and what is not mapped.
    #[test]
    fn questions_and_text_agree() {
        let asking = Maps::open().expect("the mappings");
        let reading = Maps {
            file: File::open("/proc/self/maps").expect("the mappings"),
            answers_questions: false,
        };
        let local = 0;
        for address in [
            questions_and_text_agree as *const () as usize,
            &raw const local as usize,
            0,
        ] {
            let [asked, read] =
                [&asking, &reading].map(|maps| maps.at(address).expect("an answer"));
            assert_eq!(asked.is_some(), address != 0);
            if let (Some(asked), Some(read)) = (&asked, &read) {
                assert_eq!(asked.executable, read.executable);
                assert_eq!(asked.file, read.file);
            } else {
                assert!(asked.is_none() && read.is_none());
            }
        }
        let code = asking
            .at(questions_and_text_agree as *const () as usize)
            .expect("an answer")
            .expect("this function is mapped");
        let program = code.file().expect("the program is a file");
        for maps in [asking, reading] {
            let found = maps.of_file(program, &code.range).expect("an answer");
            let found = found.expect("it is mapped");
            assert_eq!(found.file(), Some(program));
            let path = std::env::current_exe().expect("the program's path");
            assert_eq!(found.path, path.to_string_lossy());
            let stack = &raw const local as usize;
            let executable = maps.executable().expect("an answer");
            let has = |address: usize| {
                let mut executable = executable.iter();
                executable.any(|mapping| mapping.range.contains(&address) && !mapping.writable)
            };
            assert!(has(code.range.start) && !has(stack));
            let elsewhere = maps.of_file(program, &(stack..stack + 1));
            assert!(elsewhere.expect("an answer").is_none());
        }
    }

    proptest! {
        #[test]
        fn every_line_is_read_or_refused(line in ".*") {
            let _ = Mapping::parse(&line);
        }

        #[test]
        fn what_the_kernel_prints_is_read(start: usize, end: usize, path in "(/[a-z ]{1,9}){0,3}") {
            let line = format!("{start:x}-{end:x} r--p 00000000 00:00 7    {path}");
            let mapping = Mapping::parse(&line).expect("a line of the kernel");
            prop_assert_eq!(mapping.range, start..end);
            prop_assert_eq!(mapping.path, path);
        }
    }
}
