//! What outstanding requests take in memory: each contender in a process of its own, this program
//! again, so that none is given what another has freed.

use std::error::Error;
use std::process::{Command, ExitCode};

use dashmap::DashMap;
use sharded_slab::Slab;

use crate::host_table::Table;
use crate::report::{Comparison, Quartiles, Row, figure};
use crate::sections::deferral::{MAP, SLAB, TABLE};

/// Set for the process alone: the number of the contender, and how many requests.
const MARK: &str = "LPM_BENCH_MEMORY";

/// Keeps so many requests; nothing of it is freed.
type Fill = fn(u64);

const CONTENDERS: [(&str, Fill); 3] = [
    (TABLE, |count| {
        let table = Box::leak(Box::new(Table::new()));
        for i in 0..count {
            table.issue([i, i], 1).expect("open");
        }
    }),
    (SLAB, |count| {
        let slab = Box::leak(Box::new(Slab::new()));
        for i in 0..count {
            slab.insert([i, i]).expect("room");
        }
    }),
    (MAP, |count| {
        let map = Box::leak(Box::new(DashMap::new()));
        for i in 0..count {
            map.insert(i, ([i, i], 1_u32));
        }
    }),
];

/// How many bytes one of so many requests takes.
pub(crate) fn of_requests(count: u64) -> Result<Comparison, Box<dyn Error>> {
    let row = |(number, (what, _)): (usize, &(&str, Fill))| {
        let output = Command::new(std::env::current_exe()?)
            .env(MARK, format!("{number} {count}"))
            .output()?;
        let bytes = String::from_utf8(output.stdout)?.trim().parse::<f64>()?;
        Ok(Row {
            what: (*what).to_owned(),
            value: Quartiles::only(bytes),
            ratio: None,
            samples: Vec::new(),
        })
    };
    let rows = CONTENDERS.iter().enumerate().map(row);
    Ok(Comparison {
        case: format!("memory of one of {}", figure(count as f64)),
        unit: "bytes",
        rows: rows.collect::<Result<_, Box<dyn Error>>>()?,
    })
}

/// What such a process does, if this is one: prints the bytes of one request.
pub(crate) fn run_if_wanted() -> Option<ExitCode> {
    let wanted = std::env::var(MARK).ok()?;
    let (number, count) = wanted.split_once(' ')?;
    let (_, fill) = CONTENDERS.get(number.parse::<usize>().ok()?)?;
    let count = count.parse().ok()?;
    let before = resident();
    fill(count);
    println!("{}", (resident() - before) / count as f64);
    Some(ExitCode::SUCCESS)
}

/// Bytes that this process has in memory.
fn resident() -> f64 {
    let pid = sysinfo::get_current_pid().expect("it has one");
    let mut system = sysinfo::System::new();
    system.refresh_processes(sysinfo::ProcessesToUpdate::Some(&[pid]), true);
    system
        .process(pid)
        .map_or(0.0, |process| process.memory() as f64)
}
