//! The file on disk may change at any moment: what runs is a private copy, and reloading gets what
//! is there then.
#![forbid(unsafe_code)]
#![cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lpm_host::{LpmConfig, Outcome, Pcm};
use lpm_tests::messages::{admit, path};
use lpm_tests::platform::{assert_gone, unmaps};
use lpm_tests::process::{child, in_own_process, is_own_process, told};
use lpm_tests::{fixture, fixture_copied, mappings_of, trusted};

/// Accepts, around the clock.
fn accepting(library: &Path) -> Pcm {
    pcm(fixture_copied("office-hours", library).config("0-24"))
}

fn pcm(lpm: LpmConfig) -> Pcm {
    Pcm::builder().lpm(lpm).build().expect("builds")
}

fn outcome(pcm: &Pcm) -> Outcome {
    admit(pcm, &path(4000)).expect("in charge").outcome()
}

fn demote(pcm: &Pcm) {
    for library in pcm.demote().expect("in charge").libraries {
        assert_gone(&library.outcome);
    }
}

/// Loads an LPM that accepts, does something to its file, and checks that it goes on. Then the file
/// is one that rejects, which reloading notices.
fn file_changes(name: &str, change: impl FnOnce(&Path)) {
    in_own_process(name, || {
        let directory = tempfile::tempdir().expect("a directory");
        let library = directory.path().join("libchanging.so");
        let pcm = accepting(&library);
        pcm.become_dsbm().expect("starts");
        assert_eq!(outcome(&pcm), Outcome::Accept);
        change(&library);
        assert_eq!(outcome(&pcm), Outcome::Accept);
        demote(&pcm);
        assert_eq!(mappings_of("libchanging") == 0, unmaps());

        fs::copy(lpm_fixtures::library("thread-current"), &library).expect("replaced");
        pcm.become_dsbm().expect("starts again");
        assert_eq!(outcome(&pcm), Outcome::Reject);
        demote(&pcm);
    });
}

#[test]
fn overwritten() {
    file_changes("overwritten", |library| {
        let length = fs::metadata(library).expect("the library").len();
        let garbage = vec![0xff; usize::try_from(length).expect("fits")];
        // In place: the same inode, which a plain `dlopen` would have mapped.
        fs::write(library, garbage).expect("overwritten");
    });
}

#[test]
fn truncated() {
    file_changes("truncated", |library| {
        fs::File::create(library).expect("truncated");
    });
}

#[test]
fn deleted() {
    file_changes("deleted", |library| {
        fs::remove_file(library).expect("deleted");
    });
}

#[test]
fn replaced() {
    file_changes("replaced", |library| {
        let other = library.with_extension("new");
        fs::copy(lpm_fixtures::library("thread-current"), &other).expect("a copy");
        fs::rename(other, library).expect("replaced");
    });
}

#[test]
fn gone_when_it_is_to_be_reloaded() {
    let directory = tempfile::tempdir().expect("a directory");
    let library = directory.path().join("libgone.so");
    let pcm = accepting(&library);
    pcm.become_dsbm().expect("starts");
    fs::remove_file(&library).expect("deleted");
    demote(&pcm);
    let error = pcm
        .become_dsbm()
        .expect_err("there is no library")
        .to_string();
    assert!(error.contains("libgone.so"), "{error}");
}

/// What was found out about a library, its ABI too, is not taken for true of another in its place.
#[test]
fn incompatible_when_it_is_to_be_reloaded() {
    in_own_process("incompatible_when_it_is_to_be_reloaded", || {
        let directory = tempfile::tempdir().expect("a directory");
        let library = directory.path().join("libchanging.so");
        let pcm = accepting(&library);
        let [mut compatible, mut other] = [
            lpm_fixtures::library("office-hours"),
            lpm_fixtures::library("incompatible-api"),
        ]
        .map(|path| fs::read(path).expect("the fixture"));
        // Of the same size, so that only the contents tell.
        let size = compatible.len().max(other.len());
        compatible.resize(size, 0);
        other.resize(size, 0);
        for _ in 0..2 {
            fs::write(&library, &compatible).expect("overwritten");
            for _ in 0..2 {
                pcm.become_dsbm().expect("starts");
                assert_eq!(outcome(&pcm), Outcome::Accept);
                demote(&pcm);
            }
            fs::write(&library, &other).expect("overwritten");
            let error = pcm.become_dsbm().expect_err("incompatible").to_string();
            assert!(error.contains("incompatible lpm-api"), "{error}");
            assert_eq!(mappings_of("libchanging") == 0, unmaps());
        }
    });
}

/// Two paths to one file are one library; a copy is another, with statics of its own.
#[test]
fn one_library_at_several_paths() {
    in_own_process("one_library_at_several_paths", || {
        let directory = tempfile::tempdir().expect("a directory");
        let [library, link, copy] =
            ["libone.so", "liblink.so", "libcopy.so"].map(|name| directory.path().join(name));
        let original = fixture_copied("office-hours", &library).config("0-24");
        std::os::unix::fs::symlink(&library, &link).expect("a link");
        let pcm = Pcm::builder()
            .lpm(original)
            .lpm(LpmConfig::new("again", trusted(&library)).config("0-24"))
            .lpm(LpmConfig::new("link", trusted(&link)).config("0-24"))
            .lpm(
                LpmConfig::new(
                    "copy",
                    fixture_copied("office-hours", &copy).source().clone(),
                )
                .config("0-24"),
            )
            .build()
            .expect("builds");
        pcm.become_dsbm().expect("starts");
        assert_eq!(outcome(&pcm), Outcome::Accept);
        let teardown = pcm.demote().expect("in charge");
        assert_eq!(teardown.lpms.len(), 4);
        let libraries: Vec<_> = teardown
            .libraries
            .iter()
            .map(|unloaded| &unloaded.library)
            .collect();
        assert_eq!(libraries, [&copy, &library]);
        for unloaded in &teardown.libraries {
            assert_gone(&unloaded.outcome);
        }
    });
}

/// Runs the scenario of this test in a process that sees an empty file system, mounted with these
/// options, at the directory that it is told of.
fn on_file_system(options: &str, test: &str, scenario: impl FnOnce(&Path)) {
    const DIRECTORY: &str = "LPM_TEST_DIRECTORY";
    if is_own_process() {
        let directory = std::env::var_os(DIRECTORY).expect("the test sets it");
        return scenario(Path::new(&directory));
    }
    let directory = tempfile::tempdir().expect("a directory");
    let script = format!("mount -t tmpfs -o {options} none \"$1\" || exit 77; shift; exec \"$@\"");
    let test = child(test);
    let mut unshare = Command::new("unshare");
    unshare
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            &script,
            "sh",
        ])
        .arg(directory.path())
        .arg(test.get_program())
        .args(test.get_args())
        .env(DIRECTORY, directory.path());
    for (name, value) in test.get_envs() {
        unshare.env(name, value.expect("the test only sets variables"));
    }
    let output = unshare.output().expect("util-linux is there");
    if matches!(output.status.code(), Some(1 | 77)) {
        // Containers may forbid it.
        eprintln!(
            "NOT TESTED: cannot mount a file system here: {}",
            told(&output)
        );
        return;
    }
    assert!(output.status.success(), "{}", told(&output));
    assert!(told(&output).contains("1 passed"), "{}", told(&output));
}

/// Where the directory for private copies cannot be used, they are kept in memory.
fn staged_in_memory(directory: &Path) {
    let pcm = Pcm::builder()
        .lpm(fixture("office-hours").config("0-24"))
        .staging_dir(directory)
        .build()
        .expect("builds");
    for _ in 0..2 {
        pcm.become_dsbm().expect("starts");
        assert_ne!(mappings_of("/memfd:liboffice_hours.so"), 0);
        assert_eq!(outcome(&pcm), Outcome::Accept);
        demote(&pcm);
        assert_eq!(mappings_of("liboffice_hours") == 0, unmaps());
    }
    let left = fs::read_dir(directory).expect("the directory").count();
    assert_eq!(left, 0, "nothing is left behind");
}

#[test]
fn staging_read_only() {
    on_file_system("ro", "staging_read_only", staged_in_memory);
}

#[test]
fn staging_full() {
    on_file_system("size=64k", "staging_full", staged_in_memory);
}

#[test]
fn staging_noexec() {
    on_file_system("noexec", "staging_noexec", staged_in_memory);
}

/// A host that is killed while it loads and unloads may leave a private copy, which the next
/// removes.
#[test]
fn staging_of_a_killed_host() {
    const DIRECTORY: &str = "LPM_TEST_DIRECTORY";
    let start_and_stop = |directory: &Path| {
        let pcm = Pcm::builder()
            .lpm(fixture("office-hours").config("0-24"))
            .staging_dir(directory)
            .build()
            .expect("builds");
        pcm.become_dsbm().expect("starts");
        demote(&pcm);
    };
    if is_own_process() {
        let directory = std::env::var_os(DIRECTORY).expect("the test sets it");
        loop {
            start_and_stop(Path::new(&directory));
        }
    }
    let directory = tempfile::tempdir().expect("a directory");
    let entries = || {
        fs::read_dir(directory.path())
            .expect("the directory")
            .count()
    };
    // Killed when it has just made something; once in a while it has removed it again by then.
    let mut left = 0;
    for _ in 0..20 {
        let mut host = child("staging_of_a_killed_host");
        let mut host = host
            .env(DIRECTORY, directory.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("a process");
        while entries() == 0 {
            assert_eq!(host.try_wait().expect("its status"), None);
            std::thread::sleep(Duration::from_micros(100));
        }
        host.kill().expect("killed");
        let status = host.wait().expect("its status");
        assert_eq!(status.signal(), Some(9));
        left = entries();
        if left > 0 {
            break;
        }
    }
    assert_ne!(left, 0, "no host was killed at the right moment");
    start_and_stop(directory.path());
    assert_eq!(entries(), 0);
}
