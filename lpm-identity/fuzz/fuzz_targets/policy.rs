//! Any text is a policy or has an error on one of its lines.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lpm_identity::policy::Policy;

fuzz_target!(|text: &str| {
    if let Err(error) = Policy::parse("fuzz", text) {
        let lines = 1 + text.matches('\n').count();
        assert!((1..=lines).contains(&error.line), "{error}");
    }
});
