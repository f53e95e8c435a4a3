//! Completions and manual pages.
#![forbid(unsafe_code)]

mod support;

use std::fs;

use support::pcm;

const COMMANDS: [&str; 18] = [
    "become-dsbm",
    "check",
    "completions",
    "config",
    "demote",
    "diff",
    "explain",
    "inspect",
    "lab",
    "man",
    "metrics",
    "new",
    "policy",
    "reload",
    "replay",
    "run",
    "sessions",
    "status",
];

#[test]
fn each_shell_gets_completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let run = pcm(&["completions", shell]);
        assert_eq!(run.status, 0, "{}", run.stderr);
        for command in COMMANDS {
            assert!(run.stdout.contains(command), "{shell}: {command}");
        }
    }
    assert_eq!(pcm(&["completions", "tcsh"]).status, 2);
}

#[cfg(unix)]
#[test]
fn the_shell_understands_them() {
    let script = pcm(&["completions", "bash"]).stdout;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pcm.bash");
    fs::write(&file, script).unwrap();
    let complete = format!(
        "source {}; COMP_WORDS=(pcm ins); COMP_CWORD=1; _pcm pcm ins pcm; echo \"${{COMPREPLY[@]}}\"",
        file.display()
    );
    let bash = std::process::Command::new("bash")
        .args(["-c", &complete])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&bash.stdout).trim(), "inspect");
}

#[test]
fn each_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man/man1");
    let run = pcm(&["man", "--into", pages.to_str().unwrap()]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let mut names: Vec<_> = fs::read_dir(&pages)
        .unwrap()
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut expected: Vec<_> = COMMANDS
        .iter()
        .map(|name| format!("pcm-{name}.1"))
        .collect();
    let others = [
        "pcm.1",
        "pcm-config-check.1",
        "pcm-policy-check.1",
        "pcm-policy-explain.1",
    ];
    expected.extend(others.map(str::to_owned));
    expected.sort();
    assert_eq!(names, expected);
    let page = fs::read_to_string(pages.join("pcm-check.1")).unwrap();
    assert!(page.contains("pcm\\-check"), "{page}");
    assert!(page.contains("JUnit"), "{page}");

    let first = pcm(&["man"]);
    assert_eq!(
        first.stdout,
        fs::read_to_string(pages.join("pcm.1")).unwrap()
    );
    assert!(!first.stdout.contains("in\\-child"), "{}", first.stdout);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let into = file.join("man");
    let run = pcm(&["man", "--into", into.to_str().unwrap()]);
    assert_eq!(run.status, 1);
    assert!(
        run.stderr.contains(into.to_str().unwrap()),
        "{}",
        run.stderr
    );
}
