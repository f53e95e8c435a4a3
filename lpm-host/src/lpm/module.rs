//! A loaded LPM library: opened, checked for its ABI, attached to this host.

use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::Arc;

use abi_stable::library::{AbiHeaderRef, LibraryError, ROOT_MODULE_LOADER_NAME_WITH_NUL};
use libunload::{Copies, Hazard, LeftBehind, Library, OpenError, PrivateCopy};
use lpm_abi::{API_VERSION, AbiInit, AbiInitialized, AbiLpmModuleRef};

use super::compatibility::{self, Incompatibility};
use super::error::LpmError;
use super::lpmapi::adapter;
use super::lpmapi::conduct::Conduct;
use super::lpmapi::exports::{Exports, NotExported};
use super::lpmapi::library::CLibrary;
use super::panics::{self, Attachment};
use super::trace::{self, TraceLimit};
use super::trust::LpmLibrary;
use super::trust::error::TrustError;
use super::trust::requirements::Requirements;
use super::visits::VisitLimit;
use crate::event::EventLog;
use crate::pin_reason::{PinReason, UnloadOutcome};

/// Why a library cannot serve as an LPM.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be loaded at all.
    #[error(transparent)]
    Open(#[from] OpenError),

    /// The process that was to run the LPM says why it cannot.
    #[error("{reason}")]
    InItsProcess {
        /// What it says.
        reason: String,
    },

    /// The file is not what it has to be.
    #[error(transparent)]
    NotTrusted(#[from] TrustError),

    /// A shared library, but no LPM: it has neither the symbol that every LPM in Rust exports nor a
    /// function of `lpmapi.h`.
    #[error(
        "{} is not an LPM: it does not export what `export_lpm!` exports; build it as a `cdylib` with `lpm_api::export_lpm!`. \
         An LPM in C exports the functions of lpmapi.h",
        path.display()
    )]
    NotAnLpm {
        /// The library.
        path: PathBuf,
    },

    /// An LPM against `lpmapi.h` that has not all of its functions.
    #[error("{} exports functions of lpmapi.h, but not {}; an LPM exports all seven", path.display(), missing.join(", "))]
    LacksFunctions {
        /// The library.
        path: PathBuf,
        /// Their names.
        missing: Vec<&'static str>,
    },

    /// An LPM against `lpmapi.h`, where a pointer has no room for a handle.
    #[error("{} is an LPM against lpmapi.h; such LPMs run in programs of 64 bits", path.display())]
    NarrowPointers {
        /// The library.
        path: PathBuf,
    },

    /// The library was built with another ABI of abi_stable.
    #[error(
        "{} was built with another abi_stable ABI: expected {expected}, found {found}; {}",
        path.display(), rebuild()
    )]
    ForeignAbiStable {
        /// The library.
        path: PathBuf,
        /// The version of abi_stable's ABI in this host.
        expected: String,
        /// That in the library.
        found: String,
    },

    /// The library's C calling convention differs, or its module cannot be made.
    #[error("{}: {reason}; {}", path.display(), rebuild())]
    BrokenModule {
        /// The library.
        path: PathBuf,
        /// What abi_stable says.
        reason: String,
    },

    /// The library was built against an incompatible `lpm-api`.
    #[error("{} was built against an incompatible lpm-api: {difference}; {}", path.display(), rebuild())]
    IncompatibleApi {
        /// The library.
        path: PathBuf,
        /// How they differ.
        difference: Box<Incompatibility>,
    },

    /// The library speaks another version of the LPM API.
    #[error("{} speaks version {found} of the LPM API, this host version {expected}; {}", path.display(), rebuild())]
    ApiVersion {
        /// The library.
        path: PathBuf,
        /// The version this host speaks.
        expected: u32,
        /// That of the library.
        found: u32,
    },
}

/// What its code is called through.
enum Code {
    /// In Rust, exported by `export_lpm!`.
    Rust {
        module: AbiLpmModuleRef,
        /// The version of `lpm-api` it was built with.
        lpm_api: String,
        attachment: Attachment,
    },
    /// Against `lpmapi.h`.
    C(Arc<CLibrary>),
}

/// Opens a library, once its file is what it has to be.
fn open(library: &LpmLibrary, copies: &Copies) -> Result<Library, LoadError> {
    let (path, requirements) = (library.path(), library.requirements());
    if *requirements == Requirements::default() {
        // SAFETY: whoever made the `LpmLibrary` vouches for the file's code.
        return Ok(unsafe { Library::open(path, copies) }?);
    }
    let copies = match requirements.of_contents() {
        true => copies.clone().whole(),
        false => copies.clone(),
    };
    let copy = PrivateCopy::of(path, &copies)?;
    requirements.check(path, copy.original(), copy.file())?;
    // SAFETY: as above.
    Ok(unsafe { copy.load() }?)
}

/// A private copy of a library whose file is what it has to be, for who maps it later.
pub(crate) fn stage(library: &LpmLibrary) -> Result<PrivateCopy, LoadError> {
    let copy = PrivateCopy::of(library.path(), &Copies::new().whole())?;
    let requirements = library.requirements();
    requirements.check(library.path(), copy.original(), copy.file())?;
    Ok(copy)
}

impl LoadError {
    /// What to do about an LPM that was built for another host:
    /// `rebuild it with lpm-api 0.1.0, which this host has`. None where that is no help.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::ForeignAbiStable { .. }
            | Self::BrokenModule { .. }
            | Self::IncompatibleApi { .. }
            | Self::ApiVersion { .. } => Some(rebuild()),
            Self::Open(_)
            | Self::InItsProcess { .. }
            | Self::NotTrusted(_)
            | Self::NotAnLpm { .. }
            | Self::LacksFunctions { .. }
            | Self::NarrowPointers { .. } => None,
        }
    }
}

fn rebuild() -> String {
    let version = lpm_api::abi::LPM_API_VERSION;
    format!("rebuild it with lpm-api {version}, which this host has")
}

/// A loaded LPM library. Whoever uses anything of it holds this; the library stays mapped until
/// [`unload`](Self::unload) gets the last one.
pub(crate) struct LoadedModule {
    /// Refers into `library`.
    code: Code,
    visit_limit: VisitLimit,
    library: Library,
    /// What was vouched for.
    trusted: LpmLibrary,
}

impl LoadedModule {
    /// Loads a library and checks that it speaks this host's ABI.
    pub(crate) fn load(
        library: &LpmLibrary,
        copies: &Copies,
        trace_limit: TraceLimit,
        visit_limit: VisitLimit,
        events: &Arc<dyn EventLog>,
    ) -> Result<Arc<Self>, LoadError> {
        let opened = open(library, copies)?;
        Self::of(opened, library, trace_limit, visit_limit, events)
    }

    /// Loads what [`stage`] made of a library, and checks that it speaks this host's ABI.
    pub(crate) fn load_staged(
        copy: PrivateCopy,
        library: &LpmLibrary,
        events: &Arc<dyn EventLog>,
    ) -> Result<Arc<Self>, LoadError> {
        // SAFETY: whoever made the `LpmLibrary` vouches for the file's code.
        let opened = unsafe { copy.load() }?;
        // Another process counts what is logged.
        let logs = TraceLimit::new(u32::MAX, u32::MAX);
        Self::of(opened, library, logs, VisitLimit::default(), events)
    }

    fn of(
        mut opened: Library,
        library: &LpmLibrary,
        trace_limit: TraceLimit,
        visit_limit: VisitLimit,
        events: &Arc<dyn EventLog>,
    ) -> Result<Arc<Self>, LoadError> {
        compatibility::keep_no_state();
        let code = match code(&mut opened, trace_limit, events) {
            Ok(code) => code,
            Err(error) => {
                // SAFETY: nothing of the library is used any more; `error` owns its parts.
                let outcome = unsafe { opened.unload(&mut LeftBehind::default()) }.into();
                if let pinned @ UnloadOutcome::Pinned { .. } = outcome {
                    events.record(&pinned.event(library.path()));
                }
                return Err(error);
            }
        };
        Ok(Arc::new(Self {
            code,
            visit_limit,
            library: opened,
            trusted: library.clone(),
        }))
    }

    /// The library, as configured where it was first named.
    pub(crate) const fn trusted(&self) -> &LpmLibrary {
        &self.trusted
    }

    /// The library's path, as configured.
    pub(crate) fn path(&self) -> &Path {
        self.library.path()
    }

    /// What about the library could hinder unloading it.
    pub(crate) fn hazards(&self) -> Vec<Hazard> {
        self.library.hazards()
    }

    /// Initializes the LPM once more.
    pub(crate) fn initialize(
        &self,
        name: &Arc<str>,
        init: AbiInit<'_>,
    ) -> Result<AbiInitialized, LpmError> {
        match &self.code {
            Code::Rust {
                module, attachment, ..
            } => {
                trace::note_lpm(attachment.number(), name);
                let initialized = panics::during(Some(name), || module.initialize()(init));
                initialized.into_result().map_err(LpmError::from)
            }
            Code::C(library) => {
                panics::during(Some(name), || adapter::initialize(library, name, &init))
            }
        }
    }

    /// Tells the library if the host's `tracing` filters have changed; cheap where they have not.
    pub(crate) fn refresh_level(&self) {
        if let Code::Rust {
            module, attachment, ..
        } = &self.code
        {
            trace::refresh(attachment.number(), |level| {
                panics::during(None, || module.set_level()(level));
            });
        }
    }

    /// The version of the package it was built from; one in C does not tell.
    pub(crate) fn version(&self) -> Option<String> {
        let (module, _) = self.module()?;
        // Copied, since the text is the library's memory.
        Some(module.package().version.as_str().to_owned())
    }

    /// Its functions, which say what it is, and the version of `lpm-api` it was built with; `None`
    /// for one in C.
    pub(super) fn module(&self) -> Option<(AbiLpmModuleRef, &str)> {
        match &self.code {
            Code::Rust {
                module, lpm_api, ..
            } => Some((*module, lpm_api)),
            Code::C(_) => None,
        }
    }

    /// For one in C: whether it kept to its memory.
    pub(crate) fn conduct(&self) -> Option<&Arc<Conduct>> {
        match &self.code {
            Code::Rust { .. } => None,
            Code::C(library) => Some(library.conduct()),
        }
    }

    /// Unloads the library, if nothing of it is in use, and notes what it left behind.
    pub(crate) fn unload(self: Arc<Self>, left: &mut LeftBehind) -> UnloadOutcome {
        let holders = Arc::strong_count(&self) - 1;
        match Arc::into_inner(self) {
            Some(last) => {
                let VisitLimit { longest, idle } = last.visit_limit;
                last.library.await_threads(longest, idle);
                match last.code {
                    Code::Rust {
                        module, attachment, ..
                    } => {
                        last.library
                            .last_call(|| panics::during(None, || module.detach()()));
                        drop(attachment);
                    }
                    Code::C(library) => drop(library),
                }
                // SAFETY: every object and reference of the library is held together with an `Arc`
                // of this module, and this was the last.
                unsafe { last.library.unload(left) }.into()
            }
            // The holders keep it alive, and dropping a `Library` does not unmap it.
            None => UnloadOutcome::pinned(PinReason::ObjectsHeld { count: holders }),
        }
    }
}

/// Finds what the library is called through, and connects it to this host.
fn code(
    library: &mut Library,
    trace_limit: TraceLimit,
    events: &Arc<dyn EventLog>,
) -> Result<Code, LoadError> {
    let path = library.path().to_path_buf();
    match root_module(library) {
        Ok((module, lpm_api)) => {
            library.set_note(&lpm_api);
            let attachment = Attachment::new(&path, trace_limit, Arc::clone(events));
            let host = attachment.host();
            library.first_call(|| panics::during(None, || module.attach()(host)));
            Ok(Code::Rust {
                module,
                lpm_api,
                attachment,
            })
        }
        Err(error @ LoadError::NotAnLpm { .. }) => match Exports::of(library) {
            Ok(_) if size_of::<usize>() < size_of::<u64>() => {
                Err(LoadError::NarrowPointers { path })
            }
            Ok(exports) => Ok(Code::C(CLibrary::new(&path, exports, Arc::clone(events)))),
            Err(NotExported::All) => Err(error),
            Err(NotExported::Some(missing)) => Err(LoadError::LacksFunctions { path, missing }),
        },
        Err(error) => Err(error),
    }
}

/// Finds the library's module, with the version of `lpm-api` it is from, and checks it; of the
/// library, nothing runs but its initializers, abi_stable's test of the C calling convention, and
/// the constructor that `export_lpm!` made.
fn root_module(library: &Library) -> Result<(AbiLpmModuleRef, String), LoadError> {
    let path = || library.path().to_path_buf();
    let broken = |error: LibraryError| LoadError::BrokenModule {
        path: path(),
        reason: error
            .to_string()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" "),
    };
    let name =
        CStr::from_bytes_with_nul(ROOT_MODULE_LOADER_NAME_WITH_NUL.as_bytes()).unwrap_or_default();
    let symbol = library
        .symbol(name)
        .ok_or_else(|| LoadError::NotAnLpm { path: path() })?;
    let header = header(symbol).upgrade().map_err(|error| match error {
        LibraryError::InvalidAbiHeader(found) => {
            let expected = abi_stable::library::AbiHeader::VALUE;
            LoadError::ForeignAbiStable {
                path: path(),
                expected: format!("{}.{}", expected.abi_major, expected.abi_minor),
                found: format!("{}.{}", found.abi_major, found.abi_minor),
            }
        }
        error => broken(error),
    })?;
    if library.note().is_none() {
        compatibility::check(header).map_err(|difference| LoadError::IncompatibleApi {
            path: path(),
            difference: Box::new(difference),
        })?;
    }
    // SAFETY: `compatibility::check` compared the layouts of the module, now or when this very code
    // was loaded before.
    let module = unsafe { header.init_root_module_with_unchecked_layout::<AbiLpmModuleRef>() };
    let module = module.map_err(broken)?;
    match module.api_version() {
        API_VERSION => Ok((module, module.package().lpm_api.as_str().to_owned())),
        found => Err(LoadError::ApiVersion {
            path: path(),
            expected: API_VERSION,
            found,
        }),
    }
}

fn header(symbol: NonNull<std::ffi::c_void>) -> AbiHeaderRef {
    // SAFETY: the symbol of this name is, in every library the caller vouches for, abi_stable's
    // header, and `AbiHeaderRef` is a transparent pointer to it.
    unsafe { std::mem::transmute::<NonNull<std::ffi::c_void>, AbiHeaderRef>(symbol) }
}
