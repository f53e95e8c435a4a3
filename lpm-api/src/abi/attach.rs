//! The connection between a library and the PCM that loaded it.

use std::io::{self, Write};

use lpm_abi::AbiHost;

use super::caught::caught;
use super::{panic_report, trace};

/// [`AbiLpmModule::attach`](lpm_abi::AbiLpmModule::attach).
pub(super) extern "C" fn attach(host: AbiHost) {
    let _ = caught(|| {
        panic_report::attach(host);
        trace::attach(host);
    });
}

/// [`AbiLpmModule::detach`](lpm_abi::AbiLpmModule::detach).
pub(super) extern "C" fn detach() {
    let _ = caught(|| {
        trace::detach();
        panic_report::detach();
        // What the library printed must not vanish with its buffers.
        let _ = io::stdout().flush();
    });
}
