//! What the book says about events is what the code does.
#![forbid(unsafe_code)]

use lpm_host::EventId;

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
