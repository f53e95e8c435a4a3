//! The book's table of both ways, and what must be so in every row of it.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

use std::path::Path;
use std::{env, fs};

use lpm_compared::table::{self, Row};

const BEGIN: &str = "<!-- compared: `cargo run -p lpm-compared` -->\n";
const END: &str = "<!-- compared: end -->\n";

/// Which leave an address behind for somebody to follow: no clean libraries, however lucky plain
/// `dlclose` is.
const LEAVE_AN_ADDRESS: &[&str] = &[
    "aio",
    "another_namespace",
    "argp_hook",
    "atexit_of_nobody",
    "cout_buffer",
    "environment_replaced",
    "error_at_line",
    "error_function",
    "fopencookie",
    "getopt",
    "glib_source",
    "handler_of_the_host_after",
    "hsearch",
    "locale_facet",
    "made_code",
    "made_code_handler",
    "memory_resource",
    "name_of_the_program",
    "names_of_the_time_zone",
    "new_handler",
    "notify_at_thread_exit",
    "obstack_handler",
    "openssl_callback",
    "printf_specifier",
    "printf_type",
    "process_of_the_same_memory",
    "profile",
    "random_state",
    "robust_mutex",
    "seccomp",
    "setvbuf",
    "severity",
    "signal_stack_of_the_caller",
    "stack_of_a_thread",
    "stream_callback",
    "system_calls_dispatched",
    "terminate_handler",
    "timer_unseen",
    "unwind_tables",
    "waits_in_the_c_library",
];

/// One test, since making the libraries takes most of the time.
#[test]
fn both_ways() {
    let rows = table::results(Path::new(env!("CARGO_BIN_EXE_compared")));
    let told = table::of(&rows);
    let wrong: Vec<_> = rows.iter().flat_map(broken_promises).collect();
    assert!(wrong.is_empty(), "{}\n{told}", wrong.join("\n"));
    is_in_the_book(&told);
}

/// What is promised at the head of `libunload`.
fn broken_promises(row: &Row) -> Vec<String> {
    let Row {
        scenario,
        plain,
        ours,
    } = row;
    let mut broken = Vec::new();
    let mut check = |kept: bool, promise: &str| {
        if !kept {
            broken.push(format!("{}: {promise}: {plain} | {ours}", scenario.name));
        }
    };
    let leaves_an_address = LEAVE_AN_ADDRESS.contains(&scenario.name.as_str());
    let is_clean = plain.works() && plain.is_unmapped() && !leaves_an_address;
    check(ours.works() || !plain.works(), "never worse than dlopen");
    check(
        ours.is_unmapped() || !is_clean,
        "a clean library is unmapped",
    );
    check(
        ours.works(),
        "what is unmapped is gone, and the process goes on",
    );
    broken
}

/// Whether two rows agree in all but what came of plain `dlopen`, which may be lucky.
fn is_same(one: &str, other: &str) -> bool {
    let cells = |row: &str| {
        let cells = row
            .split(" | ")
            .enumerate()
            .filter(|(index, _)| *index != 1);
        cells.map(|(_, cell)| cell.to_owned()).collect::<Vec<_>>()
    };
    cells(one) == cells(other)
}

/// Where a compiler is missing, the rows that are there are compared. Set `UPDATE_BOOK` to write
/// them instead.
fn is_in_the_book(told: &str) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/unloading-compared.md");
    let book = fs::read_to_string(&page).expect("the page");
    let (before, rest) = book.split_once(BEGIN).expect("where the table begins");
    let (table, after) = rest.split_once(END).expect("where the table ends");
    if env::var_os("UPDATE_BOOK").is_some() {
        return fs::write(page, format!("{before}{BEGIN}{told}{END}{after}")).expect("written");
    }
    for row in told.lines() {
        assert!(
            table.lines().any(|known| is_same(known, row)),
            "the book lacks this row; `UPDATE_BOOK=1 cargo test -p lpm-compared` writes it:\n{row}"
        );
    }
    let scenarios = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios"));
    assert_eq!(
        scenarios.expect("the scenarios").count() + 2,
        table.lines().count()
    );
}
