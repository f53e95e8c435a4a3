//! What an embedder's program has to do to run LPMs in processes of their own, and nothing else.
#![forbid(unsafe_code)]

fn main() {
    lpm_host::isolated::run_if_asked();
    eprintln!("this program runs LPMs for the tests");
    std::process::exit(2);
}
