//! A plugin that is rebuilt and exchanged while the program runs:
//! `cargo run -p libunload --example hot_reload`.
//!
//! It builds its plugin itself, with `rustc`, twice.

use std::error::Error;
use std::path::Path;
use std::process::Command;

use libunload::gate::Gate;
use libunload::{Copies, LeftBehind, Library, UnloadOutcome};

type Greet = extern "C" fn(u32) -> u32;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("plugin.so");
    let copies = Copies::new();
    build(&file, "n + 1")?;
    let gate = Gate::new(Box::new(open(&file, &copies)?));
    println!("version 1 answers {}", ask(&gate, 41)?);

    // The file is overwritten while the plugin in it runs: what runs is a private copy.
    build(&file, "n * 2")?;
    let former = gate.replace(Box::new(open(&file, &copies)?));
    println!("version 2 answers {}", ask(&gate, 41)?);
    // Who was inside the former one has left it now, and nobody gets there any more.
    let former = former.drain(std::time::Duration::from_secs(1))?;
    // SAFETY: it has left the gate, and the program keeps nothing else of it.
    match unsafe { former.unload(&mut LeftBehind::default()) } {
        UnloadOutcome::Unmapped => println!("nothing of version 1 is mapped any more"),
        pinned @ UnloadOutcome::Pinned { .. } => println!("version 1 {pinned}"),
    }
    Ok(())
}

fn open(file: &Path, copies: &Copies) -> Result<Library, libunload::OpenError> {
    // SAFETY: the plugin is the one that `build` makes.
    unsafe { Library::open(file, copies) }
}

fn ask(gate: &Gate<Library>, n: u32) -> Result<u32, Box<dyn Error>> {
    let library = gate.enter();
    // SAFETY: the plugin's function has this type, and is called inside the gate.
    let greet = unsafe { library.function::<Greet>(c"greet") }.ok_or("no function `greet`")?;
    Ok(greet(n))
}

fn build(file: &Path, answer: &str) -> Result<(), Box<dyn Error>> {
    let source = file.with_extension("rs");
    let code = format!("#[unsafe(no_mangle)] extern \"C\" fn greet(n: u32) -> u32 {{ {answer} }}");
    std::fs::write(&source, code)?;
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition=2024", "--crate-type=cdylib", "-o"]);
    let status = rustc.arg(file).arg(&source).status()?;
    status
        .success()
        .then_some(())
        .ok_or("the plugin cannot be built".into())
}
