//! What an LPM comes from: a loaded library, and the file it was loaded from.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use crate::lpm::module::LoadedModule;

/// A loaded library, and the file it was loaded from.
#[derive(Clone)]
pub(crate) struct Module {
    pub(crate) loaded: Arc<LoadedModule>,
    pub(crate) stamp: Stamp,
}

/// Tells a file from one that replaced it or was written over it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp(Option<(u64, SystemTime)>);

impl Stamp {
    pub(crate) fn of(path: &Path) -> Self {
        let metadata = path.metadata().ok();
        Self(metadata.and_then(|metadata| Some((metadata.len(), metadata.modified().ok()?))))
    }
}
