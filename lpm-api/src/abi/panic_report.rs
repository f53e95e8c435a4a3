//! Panics of the library, reported to the PCM.
//!
//! The library has a standard library of its own, whose panic hook would print to the PCM's
//! stderr and, asked for a backtrace, allocate tens of megabytes of symbols that outlive an
//! unload. The hook set here sends message and place to the PCM instead.

use std::panic::{self, PanicHookInfo};
use std::sync::{PoisonError, RwLock};
use std::thread;

use abi_stable::std_types::RStr;
use lpm_abi::{AbiHost, AbiPanic};

/// The PCM, between `attach` and `detach`.
static HOST: RwLock<Option<AbiHost>> = RwLock::new(None);

/// Reports to this PCM from now on.
pub(super) fn attach(host: AbiHost) {
    *HOST.write().unwrap_or_else(PoisonError::into_inner) = Some(host);
    panic::set_hook(Box::new(report));
}

/// Reports to nobody any more; returns after the last report.
pub(super) fn detach() {
    drop(panic::take_hook());
    *HOST.write().unwrap_or_else(PoisonError::into_inner) = None;
}

fn report(info: &PanicHookInfo<'_>) {
    // Held during the call, so that `detach` returns only after the last report.
    let host = HOST.read().unwrap_or_else(PoisonError::into_inner);
    let Some(host) = host.as_ref() else {
        return;
    };
    let payload = info.payload();
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a payload that is not text");
    let (file, line) = info.location().map_or(("", 0), |at| (at.file(), at.line()));
    let thread = thread::current();
    (host.report_panic)(
        host.library,
        AbiPanic {
            message: RStr::from_str(message),
            file: RStr::from_str(file),
            line,
            thread: RStr::from_str(thread.name().unwrap_or_default()),
        },
    );
}
