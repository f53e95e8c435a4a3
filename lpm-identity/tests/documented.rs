//! Each test that the book names for what a server can do is there.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn the_tests_of_the_security_chapter_are_there() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let chapter = fs::read_to_string(package.join("../docs/src/security.md")).unwrap();
    let (_, section) = chapter.split_once("## What servers can do\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let mut files = Vec::new();
    sources(&package.join("src"), &mut files);
    sources(&package.join("tests"), &mut files);
    let text: String = files
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let names = section
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| name.matches('_').count() >= 3);
    let mut count = 0;
    for name in names {
        assert!(
            text.contains(&format!("#[test]\nfn {name}()"))
                || text.contains(&format!("    fn {name}()")),
            "{name}"
        );
        count += 1;
    }
    assert!(count >= 15, "{count}");
}
