//! Unloading that is safe and verified, on Linux with glibc.
//!
//! # Why unloading crashes elsewhere
//!
//! A library leaves traces in threads that are not its own. Rust's standard library inside it
//! registers destructors for its thread-locals with whatever thread calls it, and a `pthread` key
//! with the process; the library may start threads, handle signals, register exit handlers. glibc
//! knows of some of these and silently keeps the library; of others it does not know, unmaps the
//! library, and the process crashes later, when a thread ends or a signal arrives.
//!
//! # What is done about it
//!
//! The host sits between the library and glibc. Loading:
//!
//! 1. The initializers and finalizers are taken away from the loader, in the private copy
//!    ([`elf`](super::elf)), so that nothing of the library runs when the loader maps it.
//! 2. The library's imports of the few functions with which it leaves traces are redirected to the
//!    host's ([`imports`]), which write them into the library's [`ledger`].
//! 3. The initializers run.
//!
//! Unloading ([`unload`]) works through the ledger: thread-local destructors ([`tls`]),
//! [`threads`], [`keys`], [`timers`], [`signals`], [`exits`]. It looks at the stack of every thread
//! ([`scan`]): the caller promises that nobody calls the library any more, so a thread that has
//! left it cannot come back. Only then do the finalizers run and the loader unmaps the library,
//! which is verified ([`object`], [`maps`]).
//!
//! A library's private dependencies are treated like itself: what was mapped for its sake
//! ([`companions`] lie next to it) gets a ledger and redirected imports, and what goes with it has
//! to be as clean as the library.
//!
//! # What the ledger cannot see
//!
//! - Callbacks that the library gave to other libraries or to the host, objects it made, coroutines
//!   it suspended: the caller vouches that none is used any more.
//! - Threads that it had the kernel start (`syscall`). They are seen when their stacks are looked
//!   at, unless they have not yet begun to run the library's code.
//! - Initializers of private dependencies, which run before their imports are redirected.

mod calls;
mod companions;
mod dispatch;
mod entries;
mod exits;
mod files;
mod finalizing;
mod fork;
mod frames;
mod handed_on;
mod heap;
mod imports;
mod keys;
mod leaving;
mod ledger;
mod lent;
mod link_maps;
mod loader;
mod lookups;
mod maps;
mod memory;
mod namespaces;
mod object;
mod opened;
mod origin;
mod owners;
mod patch;
mod places;
mod remnants;
mod requests;
mod routines;
mod scan;
mod search;
mod sequences;
mod signals;
mod tasks;
mod threads;
mod timers;
mod tls;
mod unload;
mod visits;
mod whereabouts;

use std::ffi::{CStr, c_void};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use self::companions::Companions;
use self::heap::Place;
use self::ledger::{Ledger, Opened};
use self::object::Object;
use self::origin::Origin;
use self::places::Occupied;
use self::remnants::wipe_stack;
use self::signals::Actions;
use self::unload::Parting;
use crate::elf::{Image, Routines};
use crate::error::OpenError;
use crate::facts::HinderingFacts;
use crate::lock::lock;
use crate::os::{Handle, LoaderError};
use crate::outcome::{LeftBehind, PinReason, UnloadOutcome};
use crate::stage::{Copies, NoDelete, Staged};

pub(super) use self::heap::last_call;
#[cfg(test)]
pub(super) use self::imports::stood_in_for;
pub(super) use self::visits::visit_thread;

/// A private copy that is ready to be loaded.
#[derive(Clone)]
pub(super) struct Prepared {
    pub(super) facts: HinderingFacts,
    routines: Routines,
    search_path: Vec<String>,
    /// How many bytes of memory it takes.
    memory: usize,
}

/// Checks a private copy, takes its initializers and finalizers from the loader, and clears flags
/// as the policy says. `original` is for error messages.
pub(super) fn prepare(
    original: &Path,
    staged: &mut Staged,
    copies: &Copies,
) -> Result<Prepared, OpenError> {
    let path = || original.to_path_buf();
    let mut image = Image::read(staged.file()).map_err(|problem| OpenError::Format {
        path: path(),
        problem,
    })?;
    let no_delete = copies.no_delete_policy();
    if image.facts().no_delete && no_delete == NoDelete::Refuse {
        return Err(OpenError::NoDelete { path: path() });
    }
    let mut change = || {
        if no_delete == NoDelete::Clear {
            image.clear_no_delete(staged.file())?;
        }
        let routines = image.take_routines(staged.file())?;
        if !copies.is_debuggable() {
            image.hide_debugging_information(staged.file())?;
        }
        staged.seal()?;
        Ok(Prepared {
            facts: image.facts().clone(),
            routines,
            search_path: image.search_path().to_vec(),
            memory: image.memory(),
        })
    };
    change().map_err(|source| OpenError::Staging {
        path: path(),
        directory: staged.path(),
        source,
        memory: None,
    })
}

/// A library that is mapped, with everything that is known of what it does.
pub(super) struct Loaded {
    handle: Handle,
    /// The library's own ledger first, then those of the libraries it needs.
    ledgers: Vec<Arc<Ledger>>,
    object: Object,
    /// What signals did before the library was loaded.
    actions: Actions,
    /// What already stands in the way of ever unmapping it.
    obstacles: Vec<PinReason>,
    /// Where it allocates in its first call.
    place: Option<Place>,
    /// The page below it.
    below: Occupied,
}

impl Loaded {
    /// Maps the private copy at `path`; the library itself lies at `original`. Nothing of the copy
    /// runs before it is [started](Self::start).
    ///
    /// # Safety
    ///
    /// The caller vouches for the code in the library and in what it needs, and `prepared` is about
    /// this file.
    pub(super) unsafe fn load(
        path: &Path,
        original: &Path,
        prepared: &Prepared,
    ) -> Result<Self, LoaderError> {
        let Prepared {
            facts,
            search_path,
            memory,
            ..
        } = prepared;
        // What has to be opened first.
        let companions = companions::find(original, search_path, &facts.needed);
        fork::prepare_for();
        let locked = lock(&loader::LOADER);
        let before = loader::loaded();
        ledger::close_all_but(&before);
        let actions = Actions::current(&before);
        // SAFETY: the caller vouches for the code in what the library needs.
        let companions = unsafe { Companions::open(&companions) }?;
        let occupied = places::have_a_good_one_offered(*memory);
        // SAFETY: the caller vouches for the code.
        let handle = unsafe { Handle::open(path) };
        drop(occupied);
        // SAFETY: nothing was used of them yet, and the library holds those that it needs.
        unsafe { companions.close() };
        wipe_stack();
        let handle = handle?;
        let now = loader::loaded();
        let Some(main) = Object::of_handle(&handle, &now).cloned() else {
            // SAFETY: nothing of the library has run.
            unsafe { handle.close() }?;
            let unlisted = "the loader does not list the library that it just loaded";
            return Err(LoaderError(unlisted.to_owned()));
        };
        let Opened {
            all: ledgers,
            new,
            of_host,
        } = ledger::open(&main, &before);
        if let (Some(own), Some(origin)) = (new.first(), Origin::new(original, search_path)) {
            // A new one has none.
            let _ = own.origin.set(origin);
        }
        let failed = new
            .iter()
            .flat_map(|ledger| imports::redirect(&ledger.object));
        let failed = failed.chain(of_host.iter().flat_map(imports::redirect_on_behalf));
        let not_redirected = |symbol| PinReason::ImportNotRedirected { symbol };
        let mut obstacles: Vec<_> = failed.map(not_redirected).collect();
        let watched: Vec<_> = new.iter().filter(|ledger| !ledger.is_permanent).collect();
        let objects: Vec<_> = watched.iter().map(|ledger| &ledger.object).collect();
        let baseline = Arc::new(search::baseline(&objects, &now));
        let formers = Arc::new(actions.formers());
        for ledger in watched {
            // New ones have none, and nobody else loads meanwhile.
            let _ = ledger.baseline.set(Arc::clone(&baseline));
            let _ = ledger.formers.set(Arc::clone(&formers));
        }
        // Elsewhere code uses descriptors only where the compiler was told to.
        let goes_with_locals = new
            .iter()
            .any(|ledger| !ledger.is_permanent && ledger.object.thread_locals().is_some());
        if cfg!(target_arch = "aarch64") && goes_with_locals {
            let glibc = handed_on::by_loader();
            obstacles.extend(glibc.map(|glibc| PinReason::ThreadLocalsInherited { glibc }));
        }
        if facts.no_delete && !facts.no_delete_cleared {
            obstacles.push(PinReason::NoDelete);
        } else if ledgers.first().is_some_and(|own| own.is_permanent) {
            obstacles.push(PinReason::StillLoaded);
        }
        let below = places::keep_free_below(&main.range());
        drop(locked);
        wipe_stack();
        Ok(Self {
            handle,
            ledgers,
            object: main,
            actions,
            obstacles,
            place: None,
            below,
        })
    }

    /// Runs the initializers; to be called once.
    ///
    /// # Safety
    ///
    /// The caller vouches for the code in the library, and `prepared` is about it.
    pub(super) unsafe fn start(&mut self, prepared: &Prepared) {
        // SAFETY: the caller vouches that the routines are those of this library.
        let finalizers = unsafe { routines::finalizers(&self.object, prepared.routines) };
        if let Some(own) = self.ledgers.first() {
            own.with(|entries| entries.finalizers = finalizers);
        }
        self.place = Place::take();
        // SAFETY: the imports are redirected; the caller vouches for the code and the routines.
        unsafe { routines::initialize(&self.object, prepared.routines) };
        wipe_stack();
    }

    /// Whether nothing else was mapped for its sake.
    pub(super) fn brings_no_other(&self) -> bool {
        self.ledgers.len() == 1
    }

    /// The address of an exported symbol.
    pub(super) fn symbol(&self, name: &CStr) -> Option<NonNull<c_void>> {
        let symbol = self.handle.symbol(name);
        wipe_stack();
        symbol
    }

    /// Makes the first call into the library.
    pub(super) fn first_call<R>(&self, call: impl FnOnce() -> R) -> R {
        heap::first_call(self.place.as_ref(), call)
    }

    /// Asks the threads that keep values of the library, and of what goes with it, to come by and
    /// destroy them. Returns how many are left.
    pub(super) fn await_threads(&self, limit: Duration, idle: Duration) -> usize {
        if tls::count_elsewhere(&self.ledgers) == 0 {
            return 0;
        }
        let leaving = leaving::of(&self.ledgers);
        visits::wait(&leaving, limit, idle)
    }

    /// Unmaps the library if that is safe.
    ///
    /// # Safety
    ///
    /// Nobody calls the library or uses anything of it any more.
    pub(super) unsafe fn unload(self, left: &mut LeftBehind) -> UnloadOutcome {
        let place = self.place;
        // Until the library is unmapped.
        let _below = self.below;
        let parting = Parting {
            handle: self.handle,
            ledgers: self.ledgers,
            actions: self.actions,
            obstacles: self.obstacles,
        };
        // SAFETY: the caller's promise.
        let outcome = unsafe { unload::unload(parting, left) };
        wipe_stack();
        match outcome {
            UnloadOutcome::Unmapped => {
                heap::give_back();
                if let Some(place) = place {
                    place.give_back();
                }
            }
            UnloadOutcome::Pinned { .. } => heap::keep(),
        }
        outcome
    }
}
