//! Builds the loop, with the compiler's OpenMP.

fn main() {
    println!("cargo::rerun-if-changed=src/sum.c");
    cc::Build::new()
        .file("src/sum.c")
        .flag("-fopenmp")
        .compile("sum");
    println!("cargo::rustc-link-lib=gomp");
}
