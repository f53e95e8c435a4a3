//! Any text as `pcm.toml`: a configuration, or an error of one line.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use lpm_pcm::config::Config;

fuzz_target!(|text: &str| {
    match Config::parse(Path::new("pcm.toml"), text) {
        Ok(config) => assert!(!config.lpms.is_empty()),
        Err(error) => assert!(error.to_string().starts_with("pcm.toml: ")),
    }
});
