//! Processes from which the system keeps calls that others have.

use super::fixture::{Fixture, call, in_own_process, reasons_to_pin, unload};
use crate::outcome::{PinReason, UnloadOutcome};

/// Memory is looked at in another way: what leads into a library is found, and what is clean goes.
#[test]
fn memory_cannot_be_copied_by_the_call_for_it() {
    in_own_process(
        "confined::memory_cannot_be_copied_by_the_call_for_it",
        || {
            for denied in [libc::EPERM, libc::ENOSYS] {
                deny(libc::SYS_process_vm_readv, denied);
                let clean = Fixture::c("int run(void) { return 7; }", &[]).open();
                assert_eq!(call(&clean, "run"), 7);
                assert_eq!(unload(clean), UnloadOutcome::Unmapped);
                let leaves = r#"
                #include <stdio.h>
                static char buffer[64];
                int run(void) { return setvbuf(stdin, buffer, _IOFBF, sizeof buffer); }
            "#;
                let leaves = Fixture::c(leaves, &[]).open();
                assert_eq!(call(&leaves, "run"), 0);
                let reasons = reasons_to_pin(leaves);
                assert!(
                    matches!(&reasons[0], PinReason::AddressKept { .. }),
                    "{reasons:?}"
                );
            }
        },
    );
}

/// Has the kernel refuse a call of this process with this error, whatever it refused before.
fn deny(call: libc::c_long, error: libc::c_int) {
    const NUMBER: u32 = 0;
    let [load, compare, answer] = [0x20, 0x15, 0x06];
    let call = u32::try_from(call).expect("a number of a call");
    let instruction = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut filter = [
        instruction(load, 0, 0, NUMBER),
        instruction(compare, 0, 1, call),
        instruction(answer, 0, 0, libc::SECCOMP_RET_ERRNO | error.unsigned_abs()),
        instruction(answer, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).expect("a few"),
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the program is whole, and the kernel copies it.
    let is_set = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const program,
            ) == 0
    };
    assert!(is_set, "{}", std::io::Error::last_os_error());
}
