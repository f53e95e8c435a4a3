//! What the book says of security is shown by tests: those that it names are there.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

const CHAPTER: &str = include_str!("../../docs/src/security.md");

/// All files in Rust below a folder, but for what is built.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
            sources(&path, found);
        } else if path.extension() == Some(OsStr::new("rs")) {
            found.push(path);
        }
    }
}

#[test]
fn every_test_that_the_chapter_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut tests = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(file).unwrap_or_default();
        let names = text
            .split("fn ")
            .skip(1)
            .filter_map(|rest| rest.split('(').next());
        tests.extend(names.map(str::to_owned));
    }
    // In the last column of tables, and in parentheses.
    let rows = CHAPTER.lines().filter(|line| line.starts_with("| "));
    let columns = rows.filter_map(|row| row.trim_end_matches(" |").rsplit(" | ").next());
    let parentheses = CHAPTER
        .split("(`")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    let parentheses = parentheses.map(|names| format!("`{names}"));
    let named: Vec<String> = columns.map(str::to_owned).chain(parentheses).collect();
    let mut count = 0;
    for name in named.iter().flat_map(|names| names.split('`')) {
        let is_test = name.matches('_').count() > 1
            && name
                .bytes()
                .all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
        if is_test {
            count += 1;
            assert!(tests.contains(name), "there is no test {name}");
        }
    }
    assert!(count > 30, "{count}");
}
