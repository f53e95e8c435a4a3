//! What has to hold of a library's file before it is loaded; signatures are made by the tool
//! `minisign`.
#![forbid(unsafe_code)]
#![cfg(unix)]

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use lpm_host::event::EventId;
use lpm_host::trust::Requirements;
use lpm_host::{LpmConfig, Outcome, Pcm};
use lpm_tests::messages::{admit, path};
use lpm_tests::{RecordedEvents, fixture_stripped, trusted};
use tempfile::TempDir;

/// A library in a folder of its own: the fixture that accepts around the clock.
struct Fixture {
    folder: TempDir,
    library: PathBuf,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let library = folder.path().join("libpolicy.so");
        small_copy("office-hours", &library);
        fs::set_permissions(&library, fs::Permissions::from_mode(0o644)).expect("the owner");
        Self { folder, library }
    }

    fn sum(&self) -> [u8; 32] {
        sum(&self.library)
    }
}

/// A fixture without debugging information: sums and signatures take their time in a test.
fn small_copy(fixture: &str, to: &Path) {
    let folder = tempfile::tempdir().expect("a folder");
    let stripped = fixture_stripped(fixture, folder.path());
    fs::copy(stripped.source().path().expect("a library"), to).expect("a copy");
}

fn sum(file: &Path) -> [u8; 32] {
    let sum = Command::new("sha256sum")
        .arg(file)
        .output()
        .expect("coreutils");
    let text = String::from_utf8(sum.stdout).expect("a line");
    std::array::from_fn(|byte| {
        u8::from_str_radix(&text[2 * byte..2 * byte + 2], 16).expect("digits")
    })
}

/// What the PCM says when it loads the library: nothing, and then that it accepts; or why not.
fn loaded(library: &Path, requirements: Requirements) -> Result<(), String> {
    let events = RecordedEvents::default();
    let source = trusted(library).require(requirements);
    let lpm = LpmConfig::new("policy", source).config("0-24");
    let pcm = Pcm::builder()
        .lpm(lpm)
        .event_log(events.clone())
        .build()
        .expect("builds");
    match pcm.become_dsbm() {
        Ok(_) => {
            assert_eq!(
                admit(&pcm, &path(4000)).expect("in charge").outcome(),
                Outcome::Accept
            );
            Ok(())
        }
        Err(_) => {
            let all = events.all();
            let failed = all.iter().find(|event| event.id == EventId::LpmLoadFailed);
            Err(failed.expect("an event").detail.clone())
        }
    }
}

fn assert_refused(library: &Path, requirements: Requirements, why: &str) {
    let said = loaded(library, requirements).expect_err(why);
    assert!(said.contains(why), "{said}");
    assert!(said.contains("libpolicy.so"), "{said}");
}

#[test]
fn another_file_is_not_loaded() {
    let fixture = Fixture::new();
    let required = Requirements::default().sha256(fixture.sum());
    loaded(&fixture.library, required.clone()).expect("this very file");
    // One byte of what is not even mapped.
    let mut contents = fs::read(&fixture.library).expect("read");
    let last = contents.len() - 1;
    contents[last] ^= 1;
    fs::write(&fixture.library, contents).expect("written");
    assert_refused(&fixture.library, required.clone(), "SHA-256");
    fs::remove_file(&fixture.library).expect("gone");
    symlink(lpm_fixtures::library("thread-current"), &fixture.library).expect("a link");
    assert_refused(&fixture.library, required, "SHA-256");
}

#[test]
fn what_others_can_write_is_not_loaded() {
    let fixture = Fixture::new();
    let safe = || Requirements::default().kept_safe();
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the owner");
    };
    loaded(&fixture.library, safe()).expect("ours alone");
    mode(&fixture.library, 0o646);
    assert_refused(
        &fixture.library,
        safe(),
        "libpolicy.so can be written by everybody",
    );
    loaded(&fixture.library, Requirements::default()).expect("nobody asks");
    mode(&fixture.library, 0o644);
    mode(fixture.folder.path(), 0o777);
    let folder = fixture.folder.path().display();
    assert_refused(
        &fixture.library,
        safe(),
        &format!("{folder} can be written by everybody"),
    );

    // A safe link leads through the folder that is not.
    let other = tempfile::tempdir().expect("a folder");
    let link = other.path().join("libpolicy.so");
    symlink(&fixture.library, &link).expect("a link");
    assert_refused(
        &link,
        safe(),
        &format!("{folder} can be written by everybody"),
    );
    // As in /tmp, where nobody replaces what is another's.
    mode(fixture.folder.path(), 0o1777);
    loaded(&link, safe()).expect("what is ours stays ours");
}

/// Makes a key in the folder; its public half. Without the tool there is none.
fn key(folder: &Path, name: &str) -> Option<String> {
    let public = folder.join(format!("{name}.pub"));
    let made = Command::new("minisign")
        .args(["-G", "-W", "-p"])
        .arg(&public)
        .arg("-s")
        .arg(folder.join(format!("{name}.key")))
        .stdout(Stdio::null())
        .status();
    match made {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("not checked: there is no minisign here");
            return None;
        }
        made => assert!(made.expect("runs").success()),
    }
    let text = fs::read_to_string(public).expect("a public key");
    Some(text.lines().nth(1).expect("the key").to_owned())
}

fn sign(file: &Path, folder: &Path, name: &str) {
    let signed = Command::new("minisign")
        .arg("-Sm")
        .arg(file)
        .arg("-s")
        .arg(folder.join(format!("{name}.key")))
        .stdout(Stdio::null())
        .status();
    assert!(signed.expect("runs").success());
}

#[test]
fn a_signature_has_to_be_of_the_file_and_by_a_key() {
    let fixture = Fixture::new();
    let folder = fixture.folder.path();
    let (Some(ours), Some(theirs)) = (key(folder, "ours"), key(folder, "theirs")) else {
        return;
    };
    let library = &fixture.library;
    let by = |keys: &[&String]| Requirements::default().signed_by(keys).expect("keys");
    let beside = folder.join("libpolicy.so.minisig");

    assert_refused(library, by(&[&ours]), "libpolicy.so.minisig cannot be read");
    sign(library, folder, "ours");
    loaded(library, by(&[&theirs, &ours])).expect("signed by one of them");
    assert_refused(library, by(&[&theirs]), "not a signature of it");
    assert_refused(
        library,
        by(&[]),
        "not a signature of it by one of the 0 keys",
    );

    let signature = fs::read_to_string(&beside).expect("a signature");
    for broken in [
        String::new(),
        signature[..signature.len() / 2].to_owned(),
        "x".repeat(1 << 20),
    ] {
        fs::write(&beside, broken).expect("written");
        assert_refused(library, by(&[&ours]), "not a signature of it");
    }
    fs::write(&beside, [0xff; 40]).expect("written");
    assert_refused(library, by(&[&ours]), "cannot be read");
    fs::remove_file(&beside).expect("gone");
    assert!(
        Command::new("mkfifo")
            .arg(&beside)
            .status()
            .expect("coreutils")
            .success()
    );
    assert_refused(library, by(&[&ours]), "cannot be read");

    // The signature of another file.
    fs::remove_file(&beside).expect("gone");
    fs::write(&beside, &signature).expect("written");
    small_copy("thread-current", library);
    assert_refused(library, by(&[&ours]), "not a signature of it");
    assert!(Requirements::default().signed_by(&["RWQ"]).is_err());
}

/// The file is replaced all the time, by one that is trusted and one that is not.
#[test]
fn what_was_checked_is_what_runs() {
    let fixture = Fixture::new();
    let required = Requirements::default().sha256(fixture.sum());
    let (good, bad) = (
        fixture.folder.path().join("good"),
        fixture.folder.path().join("bad"),
    );
    fs::copy(&fixture.library, &good).expect("a copy");
    // It rejects.
    small_copy("thread-current", &bad);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let aside = fixture.folder.path().join("aside");
            while !over.load(Ordering::Relaxed) {
                for next in [&good, &bad] {
                    fs::copy(next, &aside).expect("a copy");
                    fs::rename(&aside, &fixture.library).expect("replaced");
                }
            }
        });
        for _ in 0..10 {
            // What is loaded accepts; that is looked at inside.
            if let Err(said) = loaded(&fixture.library, required.clone()) {
                assert!(said.contains("SHA-256"), "{said}");
            }
        }
        over.store(true, Ordering::Relaxed);
    });
}
