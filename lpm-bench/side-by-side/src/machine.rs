//! On what it was measured.

use std::process::Command;

use serde::{Deserialize, Serialize};
use sysinfo::System;

/// The machine, and what was built how.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: u64,
    pub(crate) system: String,
    pub(crate) compiler: String,
    /// How many were running or waiting to run when the run began, over a minute.
    pub(crate) load: f64,
    /// The day, in UTC.
    pub(crate) began: String,
    pub(crate) peers: Vec<Peer>,
}

/// What is measured next to the project.
#[derive(Debug, Serialize)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// The peers that are packages.
const PACKAGES: [&str; 11] = [
    "abi_stable",
    "arc-swap",
    "cedar-policy",
    "crossbeam-epoch",
    "dashmap",
    "libloading",
    "relib_host",
    "sharded-slab",
    "stabby",
    "tokio-util",
    "wasmtime",
];

impl Machine {
    pub(crate) fn here() -> Self {
        let system = System::new_all();
        let processor = system
            .cpus()
            .first()
            .map(|cpu| cpu.brand().trim().to_owned());
        let unknown = || "unknown".to_owned();
        Self {
            processor: processor.unwrap_or_else(unknown),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: system.total_memory() >> 30,
            system: format!(
                "{}, kernel {}, {}",
                System::long_os_version().unwrap_or_else(unknown),
                System::kernel_version().unwrap_or_else(unknown),
                std::env::consts::ARCH,
            ),
            compiler: first_line("rustc", "--version").unwrap_or_else(unknown),
            load: System::load_average().one,
            began: jiff::Timestamp::now().strftime("%F").to_string(),
            peers: packages().chain(programs()).collect(),
        }
    }
}

/// As locked.
fn packages() -> impl Iterator<Item = Peer> {
    #[derive(Deserialize)]
    struct Lock {
        package: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        version: String,
    }
    let lock: Lock = toml::from_str(include_str!("../Cargo.lock")).expect("cargo wrote it");
    let is_peer = |package: &Package| PACKAGES.contains(&package.name.as_str());
    let packages = lock.package.into_iter().filter(is_peer);
    packages.map(|Package { name, version }| Peer { name, version })
}

/// As installed.
fn programs() -> impl Iterator<Item = Peer> {
    let tshark = first_line("tshark", "--version").map(|line| Peer {
        name: "tshark".to_owned(),
        version: line
            .split_whitespace()
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
            .unwrap_or(&line)
            .to_owned(),
    });
    let scapy = crate::sections::parse::scapy_version().map(|version| Peer {
        name: "scapy".to_owned(),
        version,
    });
    tshark.into_iter().chain(scapy)
}

fn first_line(program: &str, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().map(str::to_owned)
}
