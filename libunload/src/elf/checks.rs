//! Whether a file is a library that this host can map: of its machine, whole, a library, and for
//! its C library.

use std::fs::File;
use std::io::{self, Read};

use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, ProgramHeader};

use super::layout::{Header, Section, Segment, damaged};
use crate::error::FormatProblem;

/// Checks that this is an ELF file of the machine this host was built for.
pub(super) fn check_identification(mut file: &File, length: u64) -> Result<(), FormatProblem> {
    // Magic number, class, byte order; type and machine follow at 16 and 18.
    let mut start = Vec::new();
    io::Seek::rewind(&mut file).map_err(damaged)?;
    file.take(20).read_to_end(&mut start).map_err(damaged)?;
    if start.is_empty() {
        return Err(FormatProblem::Empty);
    }
    if !start.starts_with(&elf::ELFMAG) {
        start.truncate(4);
        return Err(FormatProblem::Magic { found: start });
    }
    let Some(&[class, order, .., low, high]) = start.get(4..20) else {
        let expected = size_of::<Header>() as u64;
        return Err(FormatProblem::Truncated {
            expected,
            found: length,
        });
    };
    let number = if order == elf::ELFDATA2MSB.0 {
        u16::from_be_bytes([low, high])
    } else {
        u16::from_le_bytes([low, high])
    };
    let bits = if class == elf::ELFCLASS64.0 { 64 } else { 32 };
    let order = if order == elf::ELFDATA2MSB.0 {
        "big"
    } else {
        "little"
    };
    let describe = |machine: u16, bits: u32, order: &str| {
        let name = match elf::Machine(machine) {
            elf::EM_X86_64 => "x86-64".to_owned(),
            elf::EM_AARCH64 => "aarch64".to_owned(),
            elf::EM_386 => "x86".to_owned(),
            elf::EM_ARM => "ARM".to_owned(),
            elf::EM_RISCV => "RISC-V".to_owned(),
            elf::Machine(number) => format!("ELF machine {number}"),
        };
        format!("{name}, {bits} bits, {order}-endian")
    };
    let here = host_machine().unwrap_or(number);
    let host_order = if cfg!(target_endian = "big") {
        "big"
    } else {
        "little"
    };
    let expected = describe(here, usize::BITS, host_order);
    let found = describe(number, bits, order);
    if expected == found {
        Ok(())
    } else {
        Err(FormatProblem::Machine { expected, found })
    }
}

/// The number that ELF gives the machine this host was built for, where this file knows it; the
/// loader checks it once more.
fn host_machine() -> Option<u16> {
    let machine = match std::env::consts::ARCH {
        "x86_64" => elf::EM_X86_64,
        "aarch64" => elf::EM_AARCH64,
        "x86" => elf::EM_386,
        "arm" => elf::EM_ARM,
        "riscv64" | "riscv32" => elf::EM_RISCV,
        _ => return None,
    };
    Some(machine.0)
}

/// Checks that everything to be mapped is in the file: what is missing would crash the process when
/// it is touched, long after loading.
pub(super) fn check_whole(
    header: &Header,
    segments: &[Segment],
    endian: Endianness,
    length: u64,
) -> Result<(), FormatProblem> {
    let end = |segment: &Segment| {
        let (offset, size) = segment.file_range(endian);
        offset.saturating_add(size)
    };
    // The headers of the sections usually stand last.
    #[allow(clippy::useless_conversion, reason = "the width depends on the target")]
    let sections: u64 = header.e_shoff(endian).into();
    let section_headers = u64::from(header.e_shnum(endian)) * size_of::<Section>() as u64;
    let expected = segments.iter().map(end).max().unwrap_or(0);
    let expected = expected.max(sections.saturating_add(section_headers));
    if expected > length {
        return Err(FormatProblem::Truncated {
            expected,
            found: length,
        });
    }
    Ok(())
}

/// Tells shared libraries from everything else that is linked.
pub(super) fn check_kind(
    header: &Header,
    segments: &[Segment],
    endian: Endianness,
    has_name: bool,
    pie: bool,
) -> Result<(), FormatProblem> {
    let program = segments.iter().any(|s| s.p_type(endian) == elf::PT_INTERP) && !has_name;
    let found = match header.e_type(endian) {
        elf::ET_DYN if pie || program => "a program",
        elf::ET_DYN => return Ok(()),
        elf::ET_EXEC => "a program",
        elf::ET_REL => "an object file that is not linked yet",
        elf::ET_CORE => "a core dump",
        _ => "of an unknown kind",
    };
    Err(FormatProblem::Kind { found })
}

/// A process has one C library; loading a second one for a plugin crashes sooner or later.
pub(super) fn check_libc(needed: &[String]) -> Result<(), FormatProblem> {
    let glibc = |name: &&String| name.as_str() == "libc.so.6";
    let musl = |name: &&String| name.starts_with("libc.musl-") || name.as_str() == "libc.so";
    let (expected, foreign) = if cfg!(all(target_os = "linux", target_env = "gnu")) {
        ("glibc (libc.so.6)", needed.iter().find(musl))
    } else if cfg!(all(target_os = "linux", target_env = "musl")) {
        ("musl (libc.so)", needed.iter().find(glibc))
    } else {
        return Ok(());
    };
    match foreign {
        Some(found) => Err(FormatProblem::ForeignLibc {
            expected,
            found: found.clone(),
        }),
        None => Ok(()),
    }
}
