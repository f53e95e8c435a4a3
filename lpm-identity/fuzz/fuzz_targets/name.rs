//! A canonical name stays as it is when it is read again, and every rate is a legal one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lpm_api::{Name, Rate};

fuzz_target!(|text: &str| {
    if let Ok(name) = Name::dn(text) {
        assert_eq!(Name::dn(&name.to_string()), Ok(name));
    }
    let name = Name::id(text);
    assert_eq!(Name::id(&name.to_string()), name);
    if let Ok(rate) = text.parse::<Rate>() {
        assert!(rate >= Rate::default() && rate <= Rate::MAX);
    }
    let _ = lpm_sample::policy::Policy::parse("fuzz", text);
});
