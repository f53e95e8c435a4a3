//! How a process ended, in words.

use std::io;
use std::process::ExitStatus;

#[cfg(windows)]
use windows_sys::Win32::Foundation::{
    NTSTATUS, STATUS_ACCESS_VIOLATION, STATUS_BREAKPOINT, STATUS_CONTROL_C_EXIT,
    STATUS_DLL_INIT_FAILED, STATUS_DLL_NOT_FOUND, STATUS_ENTRYPOINT_NOT_FOUND,
    STATUS_HEAP_CORRUPTION, STATUS_ILLEGAL_INSTRUCTION, STATUS_IN_PAGE_ERROR,
    STATUS_INTEGER_DIVIDE_BY_ZERO, STATUS_NO_MEMORY, STATUS_PRIVILEGED_INSTRUCTION,
    STATUS_STACK_BUFFER_OVERRUN, STATUS_STACK_OVERFLOW,
};
#[cfg(windows)]
use windows_sys::Win32::System::Threading::{GetCurrentProcess, TerminateProcess};

/// Ends this process, and runs nothing before that.
pub(super) fn end_this_process() {
    #[cfg(unix)]
    // SAFETY: it ends the process.
    unsafe {
        libc::_exit(1)
    };
    #[cfg(windows)]
    // SAFETY: the handle is that of this process, which is never closed.
    unsafe {
        TerminateProcess(GetCurrentProcess(), 1)
    };
}

/// How a process ended: `killed by signal 11 (SIGSEGV)`, or with which status.
pub(crate) fn describe(status: io::Result<ExitStatus>) -> String {
    let status = match status {
        Ok(status) => status,
        Err(error) => return format!("nobody knows how: {error}"),
    };
    match (status.code(), signal(status)) {
        #[cfg(windows)]
        (Some(code), _) if code < 0 => {
            let name = CODES.iter().find(|(number, _)| *number == code);
            let name = name.map_or_else(String::new, |(_, name)| format!(" ({name})"));
            format!("it exited with status {code:#010x}{name}")
        }
        (Some(code), _) => format!("it exited with status {code}"),
        (None, Some(signal)) => {
            let name = SIGNALS.iter().find(|(number, _)| *number == signal);
            let name = name.map_or_else(String::new, |(_, name)| format!(" ({name})"));
            format!("killed by signal {signal}{name}")
        }
        (None, None) => status.to_string(),
    }
}

#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<i32> {
    use std::os::unix::process::ExitStatusExt;

    status.signal()
}

#[cfg(not(unix))]
const fn signal(_: ExitStatus) -> Option<i32> {
    None
}

/// With what status Windows ends processes that are at fault, or that cannot begin.
#[cfg(windows)]
const CODES: [(NTSTATUS, &str); 14] = [
    (STATUS_ACCESS_VIOLATION, "access violation"),
    (STATUS_IN_PAGE_ERROR, "a file that is mapped cannot be read"),
    (STATUS_ILLEGAL_INSTRUCTION, "illegal instruction"),
    (STATUS_PRIVILEGED_INSTRUCTION, "privileged instruction"),
    (STATUS_BREAKPOINT, "breakpoint"),
    (STATUS_INTEGER_DIVIDE_BY_ZERO, "division by zero"),
    (STATUS_NO_MEMORY, "out of memory"),
    (STATUS_STACK_OVERFLOW, "stack overflow"),
    (STATUS_HEAP_CORRUPTION, "heap corruption"),
    // What `abort` comes to, and a guard of the stack that was written over.
    (STATUS_STACK_BUFFER_OVERRUN, "abort"),
    (STATUS_CONTROL_C_EXIT, "Ctrl+C"),
    (STATUS_DLL_NOT_FOUND, "a DLL that it needs is missing"),
    (
        STATUS_ENTRYPOINT_NOT_FOUND,
        "a DLL that it needs lacks a function",
    ),
    (
        STATUS_DLL_INIT_FAILED,
        "a DLL that it needs failed to start",
    ),
];

/// What ends processes, most of all those that are at fault.
#[cfg(unix)]
const SIGNALS: [(i32, &str); 16] = [
    (libc::SIGABRT, "SIGABRT"),
    (libc::SIGALRM, "SIGALRM"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGHUP, "SIGHUP"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGINT, "SIGINT"),
    (libc::SIGKILL, "SIGKILL"),
    (libc::SIGPIPE, "SIGPIPE"),
    (libc::SIGQUIT, "SIGQUIT"),
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGSYS, "SIGSYS"),
    (libc::SIGTERM, "SIGTERM"),
    (libc::SIGTRAP, "SIGTRAP"),
    (libc::SIGXCPU, "SIGXCPU"),
    (libc::SIGXFSZ, "SIGXFSZ"),
];

/// There are none.
#[cfg(not(unix))]
const SIGNALS: [(i32, &str); 0] = [];

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[cfg(windows)]
    #[test]
    fn how_a_process_ended_is_told_in_words() {
        use std::os::windows::process::ExitStatusExt;

        let told = |raw| describe(Ok(ExitStatus::from_raw(raw)));
        assert_eq!(told(3), "it exited with status 3");
        let fault = "it exited with status 0xc0000005 (access violation)";
        assert_eq!(told(0xc000_0005), fault);
        assert_eq!(told(0xffff_ffff), "it exited with status 0xffffffff");
    }

    #[cfg(unix)]
    #[test]
    fn how_a_process_ended_is_told_in_words() {
        use std::os::unix::process::ExitStatusExt;

        let told = |raw| describe(Ok(ExitStatus::from_raw(raw)));
        assert_eq!(told(3 << 8), "it exited with status 3");
        assert_eq!(told(libc::SIGSEGV), "killed by signal 11 (SIGSEGV)");
        // With a core, and one without a name.
        assert_eq!(told(libc::SIGABRT | 0x80), "killed by signal 6 (SIGABRT)");
        assert_eq!(told(40), "killed by signal 40");
    }
}
