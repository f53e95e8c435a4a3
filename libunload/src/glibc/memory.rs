//! Reads memory of this process that may be unmapped at any moment.

use std::io;

/// Copies words from an address on; returns how many there were.
pub(super) fn read(address: usize, words: &mut [usize]) -> io::Result<usize> {
    let local = libc::iovec {
        iov_base: words.as_mut_ptr().cast(),
        iov_len: size_of_val(words),
    };
    let remote = libc::iovec {
        iov_base: address as *mut _,
        iov_len: local.iov_len,
    };
    // SAFETY: `local` is all of `words`, and the kernel checks `remote`.
    let read = unsafe { libc::process_vm_readv(libc::getpid(), &local, 1, &remote, 1, 0) };
    match usize::try_from(read) {
        Ok(bytes) => Ok(bytes / size_of::<usize>()),
        Err(_) => Err(io::Error::last_os_error()),
    }
}
