//! A library with the functions of `lpmapi.h`.
//!
//! `LPM_AdmitRsvpMsg` and most other functions name no handle. So a library that was initialized
//! several times is asked and told once, in the name of the first of its initializations that is
//! not deinitialized; the others have no opinion. It may answer under any of its handles.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};

use super::super::under_way;
use super::super::wiped::Wiped;
use super::conduct::Conduct;
use super::exports::Exports;
use super::grouped::Grouped;
use crate::event::{Event, EventId, EventLog};
use crate::lock::lock;

/// A loaded library. It holds addresses in it, and is dropped before that is unloaded.
pub(crate) struct CLibrary {
    path: PathBuf,
    pub(super) exports: Wiped<Exports>,
    pub(super) events: Arc<dyn EventLog>,
    pub(super) conduct: Arc<Conduct>,
    pub(super) grouped: Grouped,
    /// The handles of those that are initialized, in order.
    handles: Mutex<Vec<u64>>,
}

static LIBRARIES: Mutex<Vec<Weak<CLibrary>>> = Mutex::new(Vec::new());

thread_local! {
    /// Whose code this thread is in.
    static UNDER_WAY: RefCell<Option<Weak<CLibrary>>> = const { RefCell::new(None) };
}

impl CLibrary {
    /// The library at this path with these functions.
    pub(crate) fn new(path: &Path, exports: Exports, events: Arc<dyn EventLog>) -> Arc<Self> {
        let library = Arc::new(Self {
            path: path.to_path_buf(),
            exports: Wiped::new(exports),
            events,
            conduct: Arc::default(),
            grouped: Grouped::default(),
            handles: Mutex::default(),
        });
        let mut libraries = lock(&LIBRARIES);
        libraries.retain(|other| other.strong_count() > 0);
        libraries.push(Arc::downgrade(&library));
        library
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether its LPMs kept to the memory that they were given.
    pub(crate) const fn conduct(&self) -> &Arc<Conduct> {
        &self.conduct
    }

    /// An initialization more.
    pub(super) fn add(&self, handle: u64) {
        lock(&self.handles).push(handle);
    }

    /// An initialization less.
    pub(super) fn remove(&self, handle: u64) {
        lock(&self.handles).retain(|other| *other != handle);
    }

    /// The handle in whose name the library is asked.
    pub(super) fn speaker(&self) -> Option<u64> {
        lock(&self.handles).first().copied()
    }

    /// Makes a call into the library.
    pub(super) fn during<R>(self: &Arc<Self>, call: impl FnOnce() -> R) -> R {
        let outer = UNDER_WAY.replace(Some(Arc::downgrade(self)));
        let result = call();
        UNDER_WAY.set(outer);
        result
    }
}

/// The library that was initialized with this handle.
pub(super) fn of(handle: u64) -> Option<Arc<CLibrary>> {
    let libraries = lock(&LIBRARIES);
    let mut libraries = libraries.iter().filter_map(Weak::upgrade);
    libraries.find(|library| lock(&library.handles).contains(&handle))
}

/// The library whose code this thread is in.
pub(super) fn under_way() -> Option<Weak<CLibrary>> {
    UNDER_WAY.with_borrow(Clone::clone)
}

/// Notes that code of a library, which may not be known, wrote beyond what it was given.
pub(super) fn overstep(library: Option<&Weak<CLibrary>>, what: String) {
    match library.and_then(Weak::upgrade) {
        Some(library) => library.conduct.note(what),
        None => complain(None, &format!("an LPM {what}")),
    }
}

/// Puts on record what code of a library, which may not be known, did to no harm.
pub(super) fn complain(library: Option<&Weak<CLibrary>>, what: &str) {
    let event = Event::new(EventId::LpmCallFailed, what);
    let event = match under_way::lpm_on_this_thread() {
        Some(lpm) => event.lpm(lpm),
        None => event,
    };
    if let Some(library) = library.and_then(Weak::upgrade) {
        library.events.record(&event.library(&library.path));
        return;
    }
    let any = lock(&LIBRARIES).iter().find_map(Weak::upgrade);
    if let Some(any) = any {
        any.events.record(&event);
    }
}
