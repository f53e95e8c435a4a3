//! What a signal did that no library handled: that can be put back as long as its handler is there.

use std::ffi::c_int;

use super::super::loader;
use super::super::maps::Maps;
use super::super::object::Object;
use super::action::Noted;

/// Such an action.
#[derive(Clone)]
pub(in super::super) struct Former {
    pub(super) action: Noted,
    /// Whose handler it is: the program's, or that of a library of its own. Without an object it is
    /// code that was made at run time, or nobody's.
    object: Option<Box<Object>>,
}

/// Such actions, by the signals.
pub(in super::super) type Formers = Vec<(c_int, Former)>;

impl Former {
    /// `loaded` are the objects that are loaded.
    pub(super) fn new(action: libc::sigaction, loaded: &[Object]) -> Self {
        let action = Noted::new(action);
        let has_handler = |object: &&Object| object.range().contains(&action.handler());
        let object = loaded.iter().find(has_handler);
        Self {
            action,
            object: object.cloned().map(Box::new),
        }
    }

    /// Whether its handler may still be called.
    pub(super) fn is_there(&self) -> bool {
        match (self.action.handler(), &self.object) {
            (libc::SIG_DFL | libc::SIG_IGN, _) => true,
            (_, Some(object)) => loader::loaded().contains(object),
            (handler, None) => {
                let mapping = Maps::open().and_then(|maps| maps.at(handler));
                mapping.is_ok_and(|mapping| mapping.is_some_and(|mapping| mapping.executable))
            }
        }
    }
}
