//! Links of the book, of READMEs and of the other pages lead to a file that is there, and to a
//! heading in it.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders with pages, from the repository's root; those that begin with a dot have none.
fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" {
                pages(&path, found);
            }
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

/// The lines of a page that are no code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        is_code ^= fence;
        !is_code && !fence
    })
}

/// What the headings of a page are called in links: `## What it costs` is `what-it-costs`, and
/// where there is another one of that name the second is `what-it-costs-1`.
fn anchors(text: &str) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let headings = prose(text).filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
            let name: String = heading.chars().filter(kept).collect();
            let name = name.replace(' ', "-");
            let count = seen.entry(name.clone()).or_default();
            *count += 1;
            match *count {
                1 => name,
                count => format!("{name}-{}", count - 1),
            }
        })
        .collect()
}

/// The targets of a page's links and pictures.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    let text = prose(text).collect::<Vec<_>>().join("\n");
    for (number, part) in text.split("](").enumerate() {
        if number > 0 {
            links.extend(part.split(')').next().map(str::to_owned));
        }
    }
    links
}

#[test]
fn links_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the repository");
    let mut all = Vec::new();
    pages(root, &mut all);
    assert!(all.len() > 30, "{all:?}");
    let (mut checked, mut broken) = (0, Vec::new());
    for page in &all {
        let text = fs::read_to_string(page).expect("readable");
        for link in links(&text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            checked += 1;
            let (file, anchor) = match link.split_once('#') {
                Some((file, anchor)) => (file, Some(anchor)),
                None => (&*link, None),
            };
            let folder = page.parent().expect("a folder");
            let target = match file {
                "" => page.clone(),
                // It is a part of a page of the book.
                _ if folder.ends_with("docs/src/benchmarks") => folder.with_file_name(file),
                _ => folder.join(file),
            };
            let is_there = target.exists()
                && anchor.is_none_or(|anchor| {
                    let text = fs::read_to_string(&target).unwrap_or_default();
                    anchors(&text).iter().any(|name| name == anchor)
                });
            if !is_there {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(checked > 100, "{checked}");
}

#[test]
fn every_page_of_the_book_is_in_its_contents() {
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src");
    let contents = fs::read_to_string(book.join("SUMMARY.md")).expect("readable");
    let mut all = Vec::new();
    pages(&book, &mut all);
    let listed = links(&contents);
    for page in all {
        let name = page
            .strip_prefix(&book)
            .expect("below it")
            .to_string_lossy()
            .into_owned();
        let text = fs::read_to_string(&page).expect("readable");
        // Those of a folder are parts of a page.
        let is_part = name.contains(['/', '\\']);
        assert!(
            name == "SUMMARY.md" || is_part || listed.contains(&name),
            "{name} is in no list: {}",
            text.lines().next().unwrap_or_default()
        );
    }
}
