//! The LPM in a library: checked, called, listened to.
//!
//! This folder is the only place of the crate with `unsafe` code.
//!
//! | file | subject |
//! |---|---|
//! | `trust` | what the embedder vouches for |
//! | `module`, `compatibility` | the library's module, and whether it fits |
//! | `instance` | one initialization of the LPM |
//! | `calls` | answers that LPMs put off |
//! | `panics`, `trace` | what it reports |
//! | `describe` | what it says about itself |

mod calls;
mod compatibility;
mod describe;
mod instance;
mod module;
mod panics;
mod trace;
mod trust;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use self::calls::{AdmitCall, CALLBACKS, Call};
pub use self::compatibility::Incompatibility;
pub use self::describe::LpmDescription;
pub(crate) use self::instance::Instance;
pub use self::module::LoadError;
pub(crate) use self::module::LoadedModule;
pub use self::trace::TraceLimit;
pub use self::trust::LpmLibrary;

/// Locks; what another thread did before it panicked is taken as it is, since no lock here is held
/// across a call of foreign code.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
