//! Builds, opens and calls libraries, and runs a test in a process of its own.

use std::env;
use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::library::Library;
use crate::outcome::{LeftBehind, PinReason, UnloadOutcome};
use crate::stage::Copies;

/// A library that was built for a test; it is removed when this is dropped.
pub(super) struct Fixture {
    directory: TempDir,
    pub(super) path: PathBuf,
}

impl Fixture {
    /// Builds a library from C.
    pub(super) fn c(source: &str, options: &[&str]) -> Self {
        Self::build("cc", "fixture.c", source, &[&SHARED[..], options].concat())
    }

    /// Builds a library from C++.
    pub(super) fn cpp(source: &str, options: &[&str]) -> Self {
        Self::build(
            "c++",
            "fixture.cpp",
            source,
            &[&SHARED[..], options].concat(),
        )
    }

    /// Builds a library from Rust, with nothing but the standard library.
    pub(super) fn rust(source: &str) -> Self {
        let options = ["--edition=2024", "--crate-type=cdylib", "-Cstrip=debuginfo"];
        Self::build("rustc", "fixture.rs", source, &options)
    }

    /// Builds whatever the compiler makes of it.
    pub(super) fn build(compiler: &str, name: &str, source: &str, options: &[&str]) -> Self {
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
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Self { directory, path }
    }

    /// Where it lies, for other files of the test.
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Opens it in the usual way.
    pub(super) fn open(&self) -> Library {
        self.open_with(&Copies::new())
    }

    /// Opens it with this staging.
    pub(super) fn open_with(&self, copies: &Copies) -> Library {
        // SAFETY: the fixture was built from the test's own source.
        unsafe { Library::open(&self.path, copies) }.expect("the fixture can be opened")
    }
}

const SHARED: [&str; 4] = ["-shared", "-fPIC", "-O1", "-pthread"];

/// Calls a function of the library.
pub(super) fn call(library: &Library, name: &str) -> i32 {
    function(library, name)()
}

/// A function of the library. The tests do not call it once the library is unloaded.
pub(super) fn function(library: &Library, name: &str) -> extern "C" fn() -> i32 {
    let symbol = CString::new(name)
        .ok()
        .and_then(|name| library.symbol(&name));
    let symbol = symbol.unwrap_or_else(|| panic!("the fixture exports {name}"));
    // SAFETY: the functions that the tests call have this type.
    unsafe { std::mem::transmute(symbol) }
}

/// Unloads the library, which the test does not use any more.
pub(super) fn unload(library: Library) -> UnloadOutcome {
    // SAFETY: as above.
    unsafe { library.unload(&mut LeftBehind::default()) }
}

/// Unloads the library, which has to stay mapped, and says why.
pub(super) fn reasons_to_pin(library: Library) -> Vec<PinReason> {
    match unload(library) {
        UnloadOutcome::Pinned { reasons } => reasons,
        UnloadOutcome::Unmapped => panic!("the library was unmapped"),
    }
}

/// Whether a mapping of this process has this in its file name.
pub(super) fn is_mapped(name: &str) -> bool {
    fs::read_to_string("/proc/self/maps")
        .expect("the mappings")
        .contains(name)
}

/// Runs the body of the test `name` of this folder ("file::test") in a process of its own, which
/// has to end well.
pub(super) fn in_own_process(name: &str, body: impl FnOnce()) {
    in_process_of(&format!("tests::{name}"), body);
}

/// The same for any test of this crate, under its whole name.
pub(crate) fn in_process_of(test: &str, body: impl FnOnce()) {
    const CHILD: &str = "LIBUNLOAD_TEST_IN_OWN_PROCESS";
    if env::var_os(CHILD).is_some() {
        return body();
    }
    let output = Command::new(env::current_exe().expect("the test's program"))
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .expect("the test's program can be run");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}\n{said}\n{complained}",
        output.status
    );
    assert!(said.contains("1 passed"), "there is no test {test}\n{said}");
    // For measurements.
    for line in complained.lines() {
        eprintln!("{line}");
    }
}
