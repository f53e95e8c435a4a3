//! What a signal did that no library handled: that can be put back as long as its handler is there.

use std::ffi::c_int;

use super::super::maps::Maps;
use super::super::object::{self, Object};

/// Such an action.
#[derive(Clone)]
pub(in super::super) struct Former {
    pub(super) action: libc::sigaction,
    owner: Owner,
}

/// Such actions, by the signals.
pub(in super::super) type Formers = Vec<(c_int, Former)>;

/// Whose handler it is.
#[derive(Clone)]
enum Owner {
    /// Nobody's: the signal is ignored, or does what it does by default.
    Nobody,
    /// The program, or a library of its own.
    Object(Object),
    /// Code that was made at run time.
    Memory,
}

impl Former {
    /// `loaded` are the objects that are loaded.
    pub(super) fn new(action: libc::sigaction, loaded: &[Object]) -> Self {
        let handler = action.sa_sigaction;
        let object = || loaded.iter().find(|object| object.range.contains(&handler));
        let owner = match handler {
            libc::SIG_DFL | libc::SIG_IGN => Owner::Nobody,
            _ => object().map_or(Owner::Memory, |object| Owner::Object(object.clone())),
        };
        Self { action, owner }
    }

    /// Whether its handler may still be called.
    pub(super) fn is_there(&self) -> bool {
        match &self.owner {
            Owner::Nobody => true,
            Owner::Object(object) => object::loaded().contains(object),
            Owner::Memory => {
                let mapping = Maps::open().and_then(|maps| maps.at(self.action.sa_sigaction));
                mapping.is_ok_and(|mapping| mapping.is_some_and(|mapping| mapping.executable))
            }
        }
    }
}
