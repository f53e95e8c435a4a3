//! What a library's file tells before anything of it runs: seen, on record, and dealt with as the
//! policy says.
#![forbid(unsafe_code)]
#![cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]

use std::path::{Path, PathBuf};
use std::process::Command;

use lpm_fixtures::file_name;
use lpm_host::error::StartError;
use lpm_host::event::{Event, EventId};
use lpm_host::libunload::NoDelete;
use lpm_host::{LpmConfig, Pcm, PinReason, UnloadedLibrary, libunload};
use lpm_tests::callers::Callers;
use lpm_tests::platform::{assert_gone, unmaps};
use lpm_tests::process::in_own_process;
use lpm_tests::unloading::{Others, ask_and_unload, reasons};
use lpm_tests::{RecordedEvents, fixture, mappings_of, trusted};

/// Has the LPM asked and unloads it; another LPM goes on meanwhile and afterwards, when the callers
/// have ended.
fn unload(lpm: LpmConfig, no_delete: NoDelete, events: &RecordedEvents) -> UnloadedLibrary {
    let others = Others::start();
    let callers = Callers::start(3);
    let pcm = Pcm::builder().lpm(lpm).no_delete(no_delete);
    let unloaded = ask_and_unload(pcm, &callers, events);
    others.go_on(&callers);
    callers.end();
    others.end();
    unloaded
}

/// The one warning about the library, given before it was initialized.
fn warning(events: &RecordedEvents) -> Event {
    let all = events.all();
    assert_eq!(all[0].id, EventId::LibraryHindersUnloading, "{all:?}");
    assert_eq!(events.of(EventId::LibraryHindersUnloading).len(), 1);
    all[0].clone()
}

#[test]
fn no_delete_kept() {
    in_own_process("no_delete_kept", || {
        let events = RecordedEvents::default();
        let unloaded = unload(fixture("no-delete"), NoDelete::Keep, &events);
        assert_eq!(
            reasons(&unloaded.outcome),
            [libunload::PinReason::NoDelete.into()]
        );
        assert!(warning(&events).detail.contains("it stays mapped"));
        assert_ne!(mappings_of(&file_name("no-delete")), 0);
    });
}

#[test]
fn no_delete_cleared() {
    in_own_process("no_delete_cleared", || {
        for _ in 0..2 {
            let events = RecordedEvents::default();
            let unloaded = unload(fixture("no-delete"), NoDelete::Clear, &events);
            assert_gone(&unloaded.outcome);
            assert!(warning(&events).detail.contains("ignored"));
            assert_eq!(mappings_of(&file_name("no-delete")) == 0, unmaps());
        }
    });
}

#[test]
fn no_delete_refused() {
    let pcm = Pcm::builder()
        .lpm(fixture("no-delete"))
        .no_delete(NoDelete::Refuse)
        .build()
        .expect("builds");
    let error = pcm.become_dsbm().expect_err("must not start");
    assert!(matches!(error, StartError::Lpms { .. }), "{error}");
    assert!(error.to_string().contains("DF_1_NODELETE"), "{error}");
}

/// An LPM that is part of a C++ library, whose templates have symbols that are unique in the
/// process.
#[test]
fn unique_symbol() {
    in_own_process("unique_symbol", || {
        let directory = tempfile::tempdir().expect("a directory");
        let library = directory.path().join("libunique_symbol.so");
        run(Command::new("c++")
            .args(["-shared", "-fPIC", "-o"])
            .arg(&library)
            .arg(lpm_fixtures::native_source("unique-symbol.cpp"))
            .arg("-Wl,--whole-archive")
            .arg(lpm_fixtures::library("unique-symbol").with_extension("a"))
            .arg("-Wl,--no-whole-archive"));
        let events = RecordedEvents::default();
        let lpm = LpmConfig::new("unique-symbol", trusted(&library));
        let unloaded = unload(lpm, NoDelete::Clear, &events);
        let reasons = reasons(&unloaded.outcome);
        assert!(
            matches!(reasons[..], [PinReason::Library(libunload::PinReason::UniqueSymbols { count })] if count > 0),
            "{reasons:?}"
        );
        assert!(warning(&events).detail.contains("GNU_UNIQUE"));
        assert_ne!(mappings_of("libunique_symbol"), 0);
    });
}

/// The same code as another fixture, built so that its panics end the process.
#[test]
fn panic_abort() {
    in_own_process("panic_abort", || {
        let directory = tempfile::tempdir().expect("a directory");
        let library = build_with_panic_abort("thread-local-const", directory.path());
        let events = RecordedEvents::default();
        let lpm = LpmConfig::new("panic-abort", trusted(&library));
        let unloaded = unload(lpm, NoDelete::Keep, &events);
        assert_gone(&unloaded.outcome);
        assert!(warning(&events).detail.contains("panic=abort"));
    });
}

/// Cargo chooses the panic strategy for a whole workspace, so the compiler is called here.
fn build_with_panic_abort(fixture: &str, directory: &Path) -> PathBuf {
    let rlib = lpm_fixtures::library(fixture).with_extension("rlib");
    let crate_name = fixture.replace('-', "_");
    let library = directory.join("libpanic_abort.so");
    let source = directory.join("panic_abort.rs");
    std::fs::write(&source, format!("extern crate {crate_name};")).expect("written");
    let mut dependencies = std::ffi::OsString::from("dependency=");
    dependencies.push(rlib.with_file_name("../deps"));
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    run(Command::new(compiler)
        .args(["--edition=2024", "--crate-type=cdylib", "-Cpanic=abort"])
        .arg("-L")
        .arg(dependencies)
        .arg("--extern")
        .arg(format!("{crate_name}={}", rlib.display()))
        .arg("-o")
        .arg(&library)
        .arg(source));
    library
}

fn run(command: &mut Command) {
    let output = command.output().expect("the compiler can be run");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
}
