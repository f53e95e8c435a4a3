//! Builds, opens and calls libraries, and runs a test in a process of its own.

use std::ffi::{CStr, CString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::super::{Library, Staging, UnloadOutcome};

/// A library that was built for a test; it is removed when this is dropped.
pub(super) struct Fixture {
    directory: TempDir,
    pub(super) path: PathBuf,
}

impl Fixture {
    /// Builds a library from C.
    pub(super) fn c(source: &str, options: &[&str]) -> Self {
        let options = [&["-shared", "-fPIC", "-O1", "-pthread"], options].concat();
        Self::build("cc", "fixture.c", source, &options)
    }

    /// Builds a library from C++.
    pub(super) fn cpp(source: &str, options: &[&str]) -> Self {
        let options = [&["-shared", "-fPIC", "-O1", "-pthread"], options].concat();
        Self::build("c++", "fixture.cpp", source, &options)
    }

    /// Builds a library from Rust, with nothing but the standard library.
    pub(super) fn rust(source: &str) -> Self {
        let options = ["--edition=2024", "--crate-type=cdylib", "-Cdebuginfo=0", "-Cstrip=symbols"];
        Self::build("rustc", "fixture.rs", source, &options)
    }

    fn build(compiler: &str, name: &str, source: &str, options: &[&str]) -> Self {
        let directory = TempDir::new().expect("a directory for the library");
        let source_path = directory.path().join(name);
        let path = directory.path().join("libfixture.so");
        fs::write(&source_path, source).expect("the source can be written");
        let output = Command::new(compiler)
            .arg(&source_path)
            .args(options)
            .arg("-o")
            .arg(&path)
            .output()
            .expect("the compiler can be run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self { directory, path }
    }

    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Opens it with the usual staging.
    pub(super) fn open(&self) -> Library {
        // SAFETY: the fixture was built from the test's own source.
        unsafe { Library::open(&self.path, &Staging::new()) }.expect("the fixture can be opened")
    }
}

/// Calls a function of the library that takes nothing.
pub(super) fn call(library: &Library, name: &str) -> i32 {
    function(library, name)()
}

/// A function of the library. The tests do not call it once the library is unloaded.
pub(super) fn function(library: &Library, name: &str) -> extern "C" fn() -> i32 {
    let name = CString::new(name).expect("a name");
    let symbol = library.symbol(&name).unwrap_or_else(|| panic!("the fixture exports {name:?}"));
    // SAFETY: the functions that the tests call have this type.
    unsafe { std::mem::transmute(symbol) }
}

/// Unloads the library. The tests let go of it before.
pub(super) fn unload(library: Library) -> UnloadOutcome {
    // SAFETY: the test does not use the library any more.
    unsafe { library.unload() }
}
