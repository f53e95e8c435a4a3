//! What is done in this repository, by name. `cargo xtask` lists it.
#![forbid(unsafe_code)]

mod columns;
mod layers;
mod tasks;

use std::env;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use tasks::{TASKS, Task};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Some((name, more)) = arguments.split_first() else {
        print!("{}", list());
        return ExitCode::SUCCESS;
    };
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        eprint!("there is no task {name}; there are:\n\n{}", list());
        return ExitCode::from(2);
    };
    match run(task, more) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: &Task, more: &[String]) -> Result<bool, Box<dyn Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.parent().ok_or("the repository has a root")?;
    task.run(root, more)
}

fn list() -> String {
    let row = |task: &Task| format!("cargo xtask {:<13} {}\n", task.name, task.about);
    TASKS.iter().map(row).collect()
}
