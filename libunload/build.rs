//! There for `links = "unload"` alone, which takes a build script: one ledger a process.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
