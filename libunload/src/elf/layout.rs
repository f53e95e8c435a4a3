//! The structures of an ELF file on this machine.

use object::Endianness;
use object::elf;
use object::read::elf::FileHeader;

use crate::error::FormatProblem;

#[cfg(target_pointer_width = "64")]
pub(super) type Header = elf::FileHeader64<Endianness>;
#[cfg(target_pointer_width = "32")]
pub(super) type Header = elf::FileHeader32<Endianness>;

pub(super) type Segment = <Header as FileHeader>::ProgramHeader;
pub(super) type Section = <Header as FileHeader>::SectionHeader;
pub(super) type Entry = <Header as FileHeader>::Dyn;

/// What is wrong with a file that contradicts itself.
pub(super) fn damaged(error: impl std::fmt::Display) -> FormatProblem {
    FormatProblem::Damaged {
        detail: error.to_string(),
    }
}
