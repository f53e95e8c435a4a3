//! Requests that LPMs put off, many at a time: `cargo bench -p lpm-host --bench requests`.
//!
//! What one takes in time and memory on the table of an LPM alone, and in a PCM with everything
//! besides: the copy of the message, and what wakes the caller. `cargo bench … -- <count>` takes
//! another number of them.

// Vouching for the LPM's library.
#![allow(unsafe_code)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use lpm_host::Admission;
use lpm_rsvp::{Message, ObjectIndex};

#[allow(dead_code, unused_imports)]
#[path = "../src/requests/shard.rs"]
mod shard;
#[allow(dead_code, unused_imports)]
#[path = "../src/requests/table.rs"]
mod table;

mod asked;

use asked::{path, pcm, received};
use table::Table;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    // `cargo test --benches` comes without the flag and only wants to see it run.
    let all = match arguments.iter().any(|argument| argument == "--bench") {
        true => 1_000_000,
        false => 1_000,
    };
    let count = arguments.iter().find_map(|argument| argument.parse().ok());
    let count = count.unwrap_or(all);
    println!("{count} requests outstanding; for each of them:");
    alone(count);
    in_a_pcm(count);
}

fn alone(count: u32) {
    let mut handles = Vec::with_capacity(count as usize);
    let table = Table::new();
    let issued = measure(count, || {
        handles.extend((0..count).map(|_| table.issue(request(), 1).ok()));
    });
    let taken = measure(count, || {
        for handle in handles.drain(..).flatten() {
            let _ = black_box(table.take(handle));
        }
    });
    for _ in 0..count {
        let _ = table.issue(request(), 1);
    }
    let closed = measure(count, || {
        table.close(|request| {
            black_box(request);
        });
    });
    println!("  table: issue      {issued}");
    println!("  table: take       {taken}");
    println!("  table: close      {closed}");
}

/// As large as what an LPM is asked.
fn request() -> [u64; 2] {
    black_box([1, 2])
}

fn in_a_pcm(count: u32) {
    let bytes = path();
    let mut index = ObjectIndex::new();
    let received = received(Message::parse(&bytes, &mut index).expect("well-formed"));
    let pcm = pcm(1, "kept");
    let mut admissions = Vec::with_capacity(count as usize);
    let asked = measure(count, || {
        admissions.extend((0..count).map(|_| pcm.admit_later(&received).expect("in charge")));
    });
    assert!(!admissions.iter().any(Admission::is_decided));
    let demoted = measure(count, || drop(pcm.demote().expect("in charge")));
    assert!(admissions.iter().all(Admission::is_decided));
    println!("  PCM: admit_later  {asked}");
    println!("  PCM: demote       {demoted}");
}

/// What each of so many takes.
struct Each {
    time: Duration,
    bytes: i64,
}

impl std::fmt::Display for Each {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:>10.1?} {:>6} bytes", self.time, self.bytes)
    }
}

fn measure(count: u32, run: impl FnOnce()) -> Each {
    let mut time = Duration::ZERO;
    let allocated = allocation_counter::measure(|| {
        let begun = Instant::now();
        run();
        time = begun.elapsed();
    });
    Each {
        time: time / count,
        bytes: allocated.bytes_current / i64::from(count),
    }
}
