//! What a library does to its process, and why it stays mapped:
//! `cargo run -p libunload --example why_mapped`, with the path of a library, or with none for one
//! that it builds with `cc`.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use libunload::{Copies, LeftBehind, Library, LibraryFile, UnloadOutcome};

/// Gives the C library a buffer of its own to keep, and says goodbye.
const PLUGIN: &str = r#"
    #include <stdio.h>
    static char buffer[4096];
    __attribute__((constructor)) static void start(void) {
        setvbuf(stdout, buffer, _IOLBF, sizeof buffer);
    }
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let file = match std::env::args_os().nth(1) {
        Some(file) => PathBuf::from(file),
        None => build(directory.path())?,
    };
    let about = LibraryFile::read(&file)?;
    println!(
        "{}: {} bytes, for {}",
        file.display(),
        about.size(),
        about.target()
    );
    println!("needs {}", about.needed().join(", "));
    for hazard in about.hazards() {
        println!("hazard: {hazard}");
    }

    // SAFETY: whoever starts this program vouches for the library whose path is given.
    let library = unsafe { Library::open(&file, &Copies::new()) }?;
    let mut left = LeftBehind::default();
    // SAFETY: nothing of the library was used.
    match unsafe { library.unload(&mut left) } {
        UnloadOutcome::Unmapped => println!("unmapped"),
        UnloadOutcome::Pinned { reasons } => {
            println!("it stays mapped:");
            reasons.iter().for_each(|reason| println!("- {reason}"));
        }
    }
    if !left.is_nothing() {
        println!("taken back for it: {left:?}");
    }
    Ok(())
}

fn build(directory: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let (source, library) = (directory.join("plugin.c"), directory.join("plugin.so"));
    std::fs::write(&source, PLUGIN)?;
    let mut cc = Command::new("cc");
    let status = cc
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source)
        .status()?;
    status
        .success()
        .then_some(library)
        .ok_or("the plugin cannot be built".into())
}
