//! LPMs and PCMs built with different compilers, for different purposes, work together. See
//! `tests/compat`.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

use std::path::Path;

use lpm_tests::compat::{Built, Compiler, Profile, Workspace};

#[test]
#[ignore = "builds two or three times with each compiler, for some minutes"]
fn each_lpm_works_in_each_pcm() {
    let compilers = Compiler::all();
    for compiler in &compilers {
        println!("{}: {}", compiler.version, compiler.rustc.display());
    }
    assert!(
        compilers.len() >= 2,
        "one compiler tells nothing about two: install another (Debian: `rustc-web`), or name it in LPM_COMPAT_RUSTC"
    );
    let workspace = Workspace::today(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let mut built: Vec<Built> = Vec::new();
    for (place, compiler) in compilers.iter().enumerate() {
        built.push(workspace.build(compiler, Profile::Debug, false));
        built.push(workspace.build(compiler, Profile::Release, true));
        // What lies between the two takes as long again: one compiler stands for all.
        if place == 0 {
            built.push(workspace.build(compiler, Profile::Release, false));
        }
    }
    for host in &built {
        if let Err(difference) = host.load(&built) {
            panic!("in the PCM ({}): {difference}", host.how);
        }
    }
    println!("{} LPMs in each of {} PCMs", built.len(), built.len());
}
