//! What the book says is what the code does.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};

use lpm_host::LpmStatus;
use lpm_host::event::EventId;

#[test]
fn the_book_lists_every_event() {
    let rows: Vec<String> = include_str!("../../docs/src/events.md")
        .lines()
        .filter_map(|line| {
            line.split(" | ")
                .collect::<Vec<_>>()
                .get(..3)
                .map(|row| row.join(" | "))
        })
        .filter(|row| row.contains('`') && !row.contains("0x"))
        .collect();
    let events: Vec<String> = EventId::ALL
        .iter()
        .map(|id| format!("| {} | `{}` | {}", id.number(), id.name(), id.severity()))
        .collect();
    assert_eq!(rows, events);
}

/// Those of the host have texts of their own; of others only the number shows.
#[test]
fn the_book_lists_every_status_value_of_the_host() {
    let first = 0xFFFF_FF01;
    let rows: Vec<u32> = include_str!("../../docs/src/events.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `0x")?.split_once('`'))
        .map(|(digits, _)| u32::from_str_radix(digits, 16).expect("a status value"))
        .collect();
    let is_named = |value: &u32| !LpmStatus(*value).to_string().starts_with("status ");
    let values: Vec<u32> = (first..=u32::MAX).filter(is_named).collect();
    assert_eq!(rows, values);
}

/// A page of the book.
struct Page {
    name: String,
    text: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src")
}

fn pages() -> Vec<Page> {
    let entries = fs::read_dir(folder()).expect("the book");
    let page = |entry: fs::DirEntry| Page {
        name: entry.file_name().to_string_lossy().into_owned(),
        text: fs::read_to_string(entry.path()).expect("a page"),
    };
    // Folders hold what pages include.
    let entries = entries.map(|entry| entry.expect("an entry"));
    let files = entries.filter(|entry| entry.path().is_file());
    let pages: Vec<_> = files.map(page).collect();
    assert!(pages.len() > 10);
    pages
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let summary = include_str!("../../docs/src/SUMMARY.md");
    for Page { name, .. } in pages() {
        let link = format!("({name})");
        assert!(name == "SUMMARY.md" || summary.contains(&link), "{name}");
    }
}

/// The code of the pages named in `src/lib.rs` is compiled and run as documentation tests.
#[test]
fn all_code_in_the_book_is_compiled() {
    let compiled = include_str!("../src/lib.rs");
    for Page { name, text } in pages() {
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(kind) = line.strip_prefix("```rust") else {
                continue;
            };
            let first = lines.peek().copied().unwrap_or_default();
            if kind.contains("ignore") {
                // What is included is compiled where it stands; the first LPM is built and run,
                // test and all, by the tutorial's test.
                let is_tutorial = name == "first-lpm.md";
                assert!(
                    is_tutorial || first.starts_with("{{#include"),
                    "{name}: {first}"
                );
            } else {
                assert!(
                    compiled.contains(&format!("\"{name}\";")),
                    "{name}: {first}"
                );
            }
        }
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    let pages = pages();
    for Page { name, text } in &pages {
        for link in text.split("](").skip(1) {
            let (link, _) = link.split_once(')').expect("the end of the link");
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            if file.contains("://") {
                continue;
            }
            if !file.is_empty() && !file.ends_with(".md") {
                assert!(folder().join(file).is_file(), "{name}: {link}");
                continue;
            }
            let to = pages.iter().find(|page| match file {
                "" => page.name == *name,
                file => page.name == file,
            });
            let to = to.unwrap_or_else(|| panic!("{name}: {link}"));
            let mut headings = to.text.lines().filter(|line| line.starts_with('#'));
            let is_there =
                anchor.is_empty() || headings.any(|heading| self::anchor(heading) == anchor);
            assert!(is_there, "{name}: {link}");
        }
    }
}

/// What a heading is linked by.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim();
    let kept = text
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| {
        if c == ' ' {
            '-'
        } else {
            c.to_ascii_lowercase()
        }
    })
    .collect()
}
