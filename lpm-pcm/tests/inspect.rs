//! `pcm inspect` as its users see it.
#![forbid(unsafe_code)]

mod support;

use std::fs;
use std::path::Path;

use lpm_fixtures::library;
use serde_json::Value;
use support::{Run, no_libraries, pcm};

fn inspect(path: &Path, more: &[&str]) -> Run {
    pcm(&[&["inspect", path.to_str().unwrap()], more].concat())
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}", run.stdout))
}

#[test]
fn an_lpm_is_described() {
    let path = library("counts");
    let run = inspect(&path, &["--format", "json"]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let report = json(&run);
    assert_eq!(report["library"], path.to_str().unwrap());
    assert_eq!(report["size"], fs::metadata(&path).unwrap().len());
    assert_eq!(report["sha256"].as_str().unwrap().len(), 64);
    let lpm = &report["lpm"];
    assert_eq!(lpm["name"], "lpm-fixtures");
    assert_eq!(lpm["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(lpm["lpm_api"], env!("CARGO_PKG_VERSION"));
    assert_eq!(lpm["api_version"], 1);
    assert_eq!(report["initialized"]["pe_type"], 0);
    assert_eq!(report["initialized"]["pe_type_name"], "ALL_TYPES");
    assert_eq!(report["initialized"]["extensions"][0], "Statistics");
    assert_eq!(report["incompatible"], Value::Null);

    let table = inspect(&path, &[]);
    assert_eq!(table.status, 0);
    for row in [
        "LPM         lpm-fixtures ",
        "PE type     0 (ALL_TYPES)",
        "extensions  Statistics",
    ] {
        assert!(table.stdout.contains(row), "{row}: {}", table.stdout);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn what_this_kernel_lacks_to_confine_an_lpm_is_told_as_when_it_runs() {
    let path = library("accepts");
    let report = json(&inspect(&path, &["--format", "json", "--no-load"]));
    let lacks: Vec<String> = serde_json::from_value(report["process"]["lacks"].clone()).unwrap();
    let table = inspect(&path, &["--no-load"]).stdout;
    match lacks.first() {
        Some(first) => assert!(table.contains(&format!("isolation   {first}")), "{table}"),
        None => assert!(
            table.contains("isolation   in a process of its own it can"),
            "{table}"
        ),
    }

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pcm.toml");
    let config = format!(
        "[trust]\nrequire = []\n[[lpm]]\nname = 'a'\nlibrary = '{}'\nisolation = 'process'\n\
         [lpm.confine]\nmemory = '1 GiB'\nnew_processes = false\nnetwork = false\nread = []\nwrite = []\n",
        path.display()
    );
    fs::write(&file, config).unwrap();
    let checked = pcm(&["config", "check", file.to_str().unwrap()]);
    assert_eq!(checked.status, 0, "{}", checked.stderr);
    let line = "  LPM a: in a process of its own: at most 1024 MiB of memory; no new processes; no network; \
                reads nothing; writes nothing";
    assert!(
        checked.stdout.lines().any(|it| it == line),
        "{}",
        checked.stdout
    );
    let told = checked
        .stderr
        .lines()
        .filter(|line| line.contains("lpm_not_confined"));
    let told: Vec<_> = told.collect();
    assert_eq!(told.len(), lacks.len(), "{told:?} {lacks:?}");
    for (told, lacks) in told.iter().zip(&lacks) {
        assert!(told.ends_with(lacks.as_str()), "{told} {lacks}");
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn the_file_tells_who_made_it_and_what_it_needs() {
    use std::process::Command;

    let path = library("accepts");
    let report = json(&inspect(&path, &["--format", "json", "--no-load"]));
    let makers = report["makers"].to_string();
    assert!(makers.contains("rustc version "), "{makers}");
    assert!(report["needed"].to_string().contains("libc.so.6"));
    let target = report["target"].as_str().unwrap();
    assert!(target.ends_with("-linux-gnu"), "{target}");
    assert_eq!(report["exports_lpm"], true);
    assert_eq!(report["hazards"].as_array().unwrap().len(), 0);
    // Nothing was loaded.
    assert_eq!(report["lpm"], Value::Null);
    assert_eq!(report["unloaded"], Value::Null);
    let sum = Command::new("sha256sum").arg(&path).output().unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap();
    assert!(sum.contains(report["sha256"].as_str().unwrap()), "{sum}");
}

#[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
#[test]
fn what_hinders_unloading_is_told() {
    for (fixture, hazard) in [
        ("no-delete", "no_delete"),
        ("static-tls", "static_tls"),
        ("own-allocator", "static_tls"),
    ] {
        let path = library(fixture);
        let report = json(&inspect(&path, &["--format", "json", "--no-load"]));
        assert_eq!(report["hazards"][0]["hazard"], hazard, "{report}");
    }
    let run = inspect(&library("thread-sleeping"), &[]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    // Nobody asked it, so no thread was started.
    assert!(
        run.stdout.contains("unloaded    unmapped"),
        "{}",
        run.stdout
    );
}

#[test]
fn an_lpm_that_does_not_start_is_still_described() {
    let run = inspect(&library("errs"), &["--config", "initialize"]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let out = &run.stdout;
    assert!(out.contains("LPM         lpm-fixtures"), "{out}");
    assert!(
        out.contains("the directory does not answer; is it running?"),
        "{out}"
    );
    assert!(out.contains("--config"), "{out}");

    let run = inspect(&library("panics"), &["--config", "initialize"]);
    assert!(
        run.stdout.contains("panics as it is told to"),
        "{}",
        run.stdout
    );
}

#[test]
fn one_that_hangs_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let config = format!("initialize\n{folder}/inside\n{folder}/go-on");
    let more = ["--config", &config, "--time-limit", "300 ms"];
    let run = inspect(&library("hangs"), &more);
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert!(
        run.stdout.contains("did not return within 300ms"),
        "{}",
        run.stdout
    );
}

#[test]
fn an_incompatible_library_is_explained() {
    let path = library("incompatible-api");
    let run = inspect(&path, &["--format", "json"]);
    assert_eq!(run.status, 1);
    assert!(
        run.stderr.contains("is incompatible with this host"),
        "{}",
        run.stderr
    );
    let difference = json(&run)["incompatible"].clone();
    assert_eq!(difference["what"], "version of lpm-abi");
    for part in ["expected", "found", "advice"] {
        assert!(
            !difference[part].as_str().unwrap().is_empty(),
            "{difference}"
        );
    }
    assert_eq!(difference["report"], Value::Null);
    let full = json(&inspect(&path, &["--format", "json", "--full"]));
    assert!(
        full["incompatible"]["report"]
            .as_str()
            .unwrap()
            .lines()
            .count()
            > 10
    );
    let table = inspect(&path, &[]).stdout;
    for row in ["differs", "expected", "found", "to do       rebuild it"] {
        assert!(table.contains(row), "{row}: {table}");
    }
}

#[test]
fn what_is_no_lpm_is_refused() {
    let run = inspect(&library("no-lpm"), &[]);
    assert_eq!(run.status, 1);
    assert!(run.stderr.contains("is not an LPM"), "{}", run.stderr);

    let folder = tempfile::tempdir().unwrap();
    for (path, complaint) in no_libraries(folder.path()) {
        let run = inspect(&path, &[]);
        assert_eq!(run.status, 1, "{}", path.display());
        assert!(
            run.stderr.contains(complaint),
            "{complaint}: {}",
            run.stderr
        );
        assert_eq!(run.stdout, "");
        let report = json(&inspect(&path, &["--format", "json"]));
        assert!(
            report["problem"].as_str().unwrap().contains(complaint),
            "{report}"
        );
    }
}

#[test]
fn reading_a_file_has_a_time_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("endless.so");
    fs::copy(library("accepts"), &path).unwrap();
    // A hole behind its end, which takes no room, and hours to read.
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_len(1 << 42).unwrap();
    let path = path.to_str().unwrap();
    let run = pcm(&["inspect", path, "--no-load", "--time-limit", "500 ms"]);
    assert_eq!((run.status, run.stdout.as_str()), (1, ""), "{}", run.stderr);
    let expected =
        format!("pcm: {path}: reading it was ended after 500ms; give more with --time-limit\n");
    assert_eq!(run.stderr, expected);

    // Nor is it copied to be loaded.
    let run = pcm(&["check", path, "--only", "lifecycle"]);
    assert_eq!(run.status, 1, "{}", run.stderr);
    assert!(run.stdout.contains("more than 4 GiB"), "{}", run.stdout);
}

#[cfg(unix)]
#[test]
fn what_holds_of_the_file_is_told() {
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Command, Stdio};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libpolicy.so");
    fs::copy(library("accepts"), &path).unwrap();
    let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    let trust = |more: &[&str]| {
        let run = inspect(&path, &[&["--format", "json", "--no-load"], more].concat());
        assert_eq!(run.status, 0, "{}", run.stderr);
        json(&run)["trust"].clone()
    };
    let found = trust(&[]);
    assert_eq!(
        (&found["owner"], &found["others"]),
        (&true.into(), &Value::Null)
    );
    assert_eq!(found["signature"], "none");
    let table = inspect(&path, &["--no-load"]).stdout;
    assert!(
        table.contains("written by  root and this user only"),
        "{table}"
    );

    mode(0o666);
    let found = trust(&[]);
    assert_eq!(found["owner"], false);
    let others = format!("{} can be written by everybody", path.display());
    assert_eq!(found["others"], others);
    let table = inspect(&path, &["--no-load"]).stdout;
    assert!(table.contains(&format!("written by  {others}")), "{table}");

    let key = |name: &str| {
        let public = folder.path().join(format!("{name}.pub"));
        let made = Command::new("minisign")
            .args(["-G", "-W", "-p"])
            .arg(&public)
            .arg("-s")
            .arg(folder.path().join(name))
            .stdout(Stdio::null())
            .status();
        assert!(made.ok()?.success());
        let text = fs::read_to_string(public).unwrap();
        Some(text.lines().nth(1).unwrap().to_owned())
    };
    let (Some(ours), Some(theirs)) = (key("ours"), key("theirs")) else {
        eprintln!("not checked: there is no minisign here");
        return;
    };
    let signed = Command::new("minisign")
        .arg("-Sm")
        .arg(&path)
        .arg("-s")
        .arg(folder.path().join("ours"))
        .stdout(Stdio::null())
        .status();
    assert!(signed.unwrap().success());
    assert_eq!(trust(&[])["signature"], "unchecked");
    assert_eq!(
        trust(&["--key", &theirs, "--key", &ours])["signature"],
        "valid"
    );
    let refused = trust(&["--key", &theirs]);
    assert_eq!(refused["signature"], "refused");
    let why = refused["problem"].as_str().unwrap();
    assert!(
        why.ends_with("is no signature of it by one of the keys given"),
        "{why}"
    );
    let refused = trust(&["--key", "RWQ"]);
    assert!(
        refused["problem"]
            .as_str()
            .unwrap()
            .contains("is not a public key"),
        "{refused}"
    );
}

/// An LPM is loaded, asked and stopped all the same; nobody can tell that unmapping is safe.
#[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
#[test]
fn without_proc_lpms_work() {
    use std::process::Command;

    let without_proc = |arguments: &[&str]| {
        let mut unshare = Command::new("unshare");
        let script = "umount -l /proc && exec \"$@\"";
        unshare.args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            script,
            "sh",
        ]);
        unshare.args(arguments).output()
    };
    if !without_proc(&["true"]).is_ok_and(|output| output.status.success()) {
        eprintln!("not checked: /proc cannot be taken away here");
        return;
    }
    let program = env!("CARGO_BIN_EXE_pcm");
    let path = library("counts");
    let path = path.to_str().unwrap();
    let output = without_proc(&[program, "inspect", path]).unwrap();
    let (out, complaint) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}{complaint}");
    for row in [
        "LPM         lpm-fixtures ",
        "unloaded    cannot verify that unmapping is safe: /proc",
    ] {
        assert!(out.contains(row), "{row}: {out}{complaint}");
    }
    let only = ["--only", "lifecycle", "--format", "json"];
    let output = without_proc(&[&[program, "check", path][..], &only].concat()).unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let is_told = |finding: &Value| finding["what"].as_str().unwrap().contains("cannot verify");
    assert!(
        !findings.is_empty() && findings.iter().all(is_told),
        "{report}"
    );
}
