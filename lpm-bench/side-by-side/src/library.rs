//! Peers that are loaded from shared libraries, and where those are.
//!
//! Foreign code is loaded and called here; everything else is safe.
#![allow(unsafe_code)]

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::error::Error;
use std::path::{Path, PathBuf};

use abi_stable::library::lib_header_from_path;
use lpm_host::LpmLibrary;
use peer_interface::{AdmitFunction, Decision, PeerModuleRef, StabbyObject, StableObject};
use stabby::libloading::StabbyLibrary;

/// The file of a library that was built together with this program.
pub(crate) fn built(name: &str) -> PathBuf {
    let this = std::env::current_exe().unwrap_or_default();
    let folder = this.parent().unwrap_or(Path::new(""));
    let file = format!("{DLL_PREFIX}{name}{DLL_SUFFIX}");
    // What cargo has put next to the program may be older.
    let folders = [folder.join("deps"), folder.to_path_buf()];
    let files = folders.map(|folder| folder.join(&file));
    let found = files.iter().find(|file| file.is_file());
    found.unwrap_or(&files[0]).clone()
}

/// The LPM that accepts everything.
pub(crate) fn accepts() -> LpmLibrary {
    trusted(&lpm_fixtures::library("accepts"))
}

/// A library of this project's own.
pub(crate) fn trusted(path: &Path) -> LpmLibrary {
    // SAFETY: the caller names this project's own libraries, and copies of them.
    unsafe { LpmLibrary::trust(path) }
}

/// An abi_stable object of a library. The library stays loaded for good, since abi_stable remembers
/// its layouts.
pub(crate) struct Stable {
    pub(crate) object: StableObject,
}

impl Stable {
    pub(crate) fn load() -> Result<Self, Box<dyn Error>> {
        let object = load_for_good(&built("peer_library"))?;
        Ok(Self { object })
    }
}

/// Loads a library as abi_stable's own loader does, and makes an object: never to be unloaded.
pub(crate) fn load_for_good(path: &Path) -> Result<StableObject, Box<dyn Error>> {
    let header = lib_header_from_path(path)?;
    let module = header.init_root_module::<PeerModuleRef>()?;
    Ok(module.new()())
}

/// A stabby object of a library, which stays loaded as long.
pub(crate) struct StabbyPeer {
    // Dropped first.
    pub(crate) object: StabbyObject,
    _library: libloading::Library,
}

impl StabbyPeer {
    pub(crate) fn load() -> Result<Self, Box<dyn Error>> {
        let library = open(&built("peer_library"))?;
        // SAFETY: stabby checks the type; the library goes after the object.
        let object = unsafe {
            let new = library
                .get_stabbied::<extern "C" fn() -> StabbyObject>(b"new_stabby")
                .map_err(|error| error.to_string())?;
            new()
        };
        Ok(Self {
            object,
            _library: library,
        })
    }
}

/// A function with a C interface, whose library stays loaded as long.
pub(crate) struct CFunction {
    admit: AdmitFunction,
    _library: libloading::Library,
}

impl CFunction {
    pub(crate) fn load() -> Result<Self, Box<dyn Error>> {
        let library = open(&built("peer_library"))?;
        // SAFETY: it has this type there.
        let admit = unsafe { *library.get::<AdmitFunction>(b"admit\0")? };
        Ok(Self {
            admit,
            _library: library,
        })
    }

    pub(crate) fn admit(&self, message: &[u8], decisions: &mut [Decision]) -> u32 {
        // SAFETY: pointers and lengths are those of slices.
        unsafe {
            (self.admit)(
                message.as_ptr(),
                message.len(),
                decisions.as_mut_ptr(),
                decisions.len(),
            )
        }
    }
}

/// `dlopen`.
pub(crate) fn open(path: &Path) -> Result<libloading::Library, Box<dyn Error>> {
    // SAFETY: the libraries are this project's own.
    Ok(unsafe { libloading::Library::new(path) }?)
}

/// Loads a module with relib, calls it, and unloads it.
pub(crate) fn relib_cycle(path: &Path) -> Result<(), Box<dyn Error>> {
    // SAFETY: for Linux there are no conditions.
    let module = unsafe { relib_host::load_module::<()>(path, ()) }?;
    // SAFETY: this is the type it has there.
    let answer = unsafe { module.call_main::<u32>() };
    if answer != Some(1) {
        return Err("the module did not answer".into());
    }
    module.unload().map_err(|error| error.to_string())?;
    Ok(())
}

/// What crossbeam-epoch published.
pub(crate) fn pinned<T>(shared: crossbeam_epoch::Shared<'_, T>) -> Option<&T> {
    // SAFETY: it is null, or was made with a value; nothing is ever retired.
    unsafe { shared.as_ref() }
}
