//! What has to hold of a library's file before it is loaded, on Windows: its SHA-256 and its
//! signature. Who may write it is not looked at there.
#![forbid(unsafe_code)]
#![cfg(windows)]

use std::fs;
use std::path::{Path, PathBuf};

use lpm_host::event::EventId;
use lpm_host::trust::Requirements;
use lpm_host::{LpmConfig, Pcm};
use lpm_tests::{RecordedEvents, library, trusted};

/// A copy of a library in a folder of its own.
fn copied(folder: &Path) -> PathBuf {
    let copy = folder.join("policy.dll");
    let original = library("office-hours");
    fs::copy(original.path(), &copy).expect("a copy");
    copy
}

/// What the PCM says when it loads the library: nothing, or why not.
fn loaded(library: &Path, requirements: Requirements) -> Result<(), String> {
    let events = RecordedEvents::default();
    let source = trusted(library).require(requirements);
    let lpm = LpmConfig::new("policy", source).config("0-24");
    let pcm = Pcm::builder().lpm(lpm).event_log(events.clone());
    let pcm = pcm.build().expect("builds");
    match pcm.become_dsbm() {
        Ok(_) => Ok(()),
        Err(_) => Err(events.of(EventId::LpmLoadFailed)[0].detail.clone()),
    }
}

/// The sum that the refusal names: there is nothing else inside wine that says it.
fn sum(said: &str) -> [u8; 32] {
    let text = said.split("SHA-256 is ").nth(1).expect("the sum");
    std::array::from_fn(|byte| {
        u8::from_str_radix(&text[2 * byte..2 * byte + 2], 16).expect("digits")
    })
}

#[test]
fn another_file_is_not_loaded() {
    let folder = tempfile::tempdir().expect("a folder");
    let library = copied(folder.path());
    let other = Requirements::default().sha256([7; 32]);
    let said = loaded(&library, other).expect_err("another sum");
    let this = Requirements::default().sha256(sum(&said));
    loaded(&library, this.clone()).expect("this very file");
    let mut contents = fs::read(&library).expect("read");
    contents.push(0);
    fs::write(&library, contents).expect("written");
    let said = loaded(&library, this).expect_err("another file");
    assert!(said.contains("policy.dll"), "{said}");
    loaded(&library, Requirements::default().kept_safe()).expect("it always holds");
}

/// Signed before, outside of wine, where there is the tool `minisign`.
#[test]
fn a_signature_has_to_be_of_the_file_and_by_a_key() {
    let Some(folder) = std::env::var_os("LPM_IN_C").map(PathBuf::from) else {
        return;
    };
    let Ok(public) = fs::read_to_string(folder.join("accepts.pub")) else {
        eprintln!("not checked: nothing was signed");
        return;
    };
    let key = public.lines().nth(1).expect("the key");
    let by = |key: &str| Requirements::default().signed_by(&[key]).expect("a key");
    let signed = folder.join("accepts.dll");
    let load = |library: &Path, requirements| {
        let events = RecordedEvents::default();
        let source = trusted(library).require(requirements);
        let pcm = Pcm::builder().lpm(LpmConfig::new("policy", source));
        let pcm = pcm.event_log(events.clone()).build().expect("builds");
        let started = pcm.become_dsbm().is_ok();
        (started, events.of(EventId::LpmLoadFailed))
    };
    assert!(load(&signed, by(key)).0);
    let another = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    let (started, why) = load(&signed, by(another));
    assert!(
        !started && why[0].detail.contains("is not a signature of it"),
        "{why:?}"
    );
    let (started, why) = load(&folder.join("twin.dll"), by(key));
    assert!(
        !started && why[0].detail.contains("cannot be read"),
        "{why:?}"
    );
}
