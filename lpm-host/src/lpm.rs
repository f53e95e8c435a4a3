//! The LPM in a library: checked, called, listened to.
//!
//! This folder is the only place of the crate with `unsafe` code.
//!
//! | file | subject |
//! |---|---|
//! | `trust` | what the embedder vouches for |
//! | `module`, `compatibility` | the library's module, and whether it fits |
//! | `instance` | one initialization of the LPM |
//! | `built_in` | an LPM that is no library but a type of this program |
//! | `lpmapi` | an LPM in C, against `lpmapi.h` |
//! | `isolated` | an LPM in a process of its own |
//! | `loaded` | a loaded library, and its file |
//! | `calls` | answers that LPMs put off |
//! | `panics`, `trace` | what it reports |
//! | `under_way` | the calls on a thread that are under way |
//! | `wiped` | addresses in it that leave nothing behind |
//! | `describe` | what it says about itself |

pub(crate) mod built_in;
pub(crate) mod calls;
pub(crate) mod compatibility;
pub(crate) mod describe;
pub(crate) mod error;
pub(crate) mod instance;
pub(crate) mod isolated;
pub(crate) mod loaded;
pub(crate) mod lpmapi;
pub(crate) mod module;
pub(crate) mod panics;
pub(crate) mod trace;
pub(crate) mod trust;
pub(crate) mod under_way;
pub(crate) mod visits;
mod wiped;
