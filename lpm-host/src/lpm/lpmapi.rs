//! LPMs in C, written against `lpmapi.h` of the Windows SDK: a library that exports its seven
//! functions, behind the same ABI object that a Rust LPM gives.
//!
//! | file | subject |
//! |---|---|
//! | `header` | the types and numbers of the header |
//! | `order` | objects in the host's byte order, and back |
//! | `lent` | memory that is lent for one call, with fences in it |
//! | `message` | a message as the header lays it out |
//! | `memory` | what the LPM allocates with the PCM's functions |
//! | `exports` | the functions, found by name |
//! | `library` | a library with them: who is asked for it, and whether it kept to its memory |
//! | `supplied` | objects that the LPM supplies |
//! | `grouped` | deferred requests about several senders that count as one flow |
//! | `callbacks` | results that come later |
//! | `adapter` | one initialization, as the host calls it |
//!
//! The header's functions take no handle but `LPM_Initialize` and `LPM_Deinitialize`: see `library`
//! for what a library is asked that was initialized several times.

pub(crate) mod adapter;
mod callbacks;
pub(crate) mod conduct;
pub(crate) mod exports;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod grouped;
mod header;
mod lent;
pub(crate) mod library;
mod memory;
mod message;
mod order;
mod supplied;
mod values;
