//! A lease on a file that is being copied (`fcntl(F_SETLEASE)`): while it is held, nobody has the
//! file open for writing, or mapped so. Whoever opens it for writing waits until the lease is given
//! back.
//!
//! The kernel grants it to the owner of the file, and to whoever has `CAP_LEASE`, on file systems
//! of this machine.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use libc::c_int;

/// As of `<fcntl.h>`; not in libc for every C library.
const F_SETSIG: c_int = 10;

/// A lease, given back when this is dropped.
pub(super) struct Lease<'a>(&'a File);

impl<'a> Lease<'a> {
    /// A lease on this file. `None`: somebody may be writing it, or the kernel grants none.
    pub(super) fn of(file: &'a File) -> Option<Self> {
        // Whoever opens the file for writing is to wait; nobody is to be told so, as a process is
        // by default, whom `SIGIO` ends. Who is told is known only with the lease, so what is sent
        // up to then is a signal that nobody minds.
        set(file, F_SETSIG, libc::SIGURG).ok()?;
        set(file, libc::F_SETLEASE, libc::F_RDLCK).ok()?;
        let lease = Self(file);
        set(file, libc::F_SETOWN, 0).ok()?;
        Some(lease)
    }

    /// Whether it was held all the time: nobody is waiting for it to be given back.
    pub(super) fn is_held(&self) -> bool {
        set(self.0, libc::F_GETLEASE, 0).is_ok_and(|lease| lease == libc::F_RDLCK)
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let _ = set(self.0, libc::F_SETLEASE, libc::F_UNLCK);
    }
}

fn set(file: &File, what: c_int, to: c_int) -> io::Result<c_int> {
    // SAFETY: the descriptor is open, and these commands take a number and touch no memory.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), what, to) };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::os::unix::fs::OpenOptionsExt;
    use std::{fs, thread};

    use super::*;

    #[test]
    fn a_file_is_leased_while_nobody_can_write_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        fs::write(&path, "before").expect("written");
        let file = File::open(&path).expect("the file");
        if set(&file, libc::F_SETLEASE, libc::F_RDLCK).is_err() {
            // This file system grants none.
            return;
        }
        drop(Lease(&file));

        let writer = File::options().append(true).open(&path).expect("the file");
        assert!(Lease::of(&file).is_none(), "somebody may write");
        drop(writer);

        let lease = Lease::of(&file).expect("nobody writes");
        assert!(lease.is_held());
        let at_once = OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&path);
        assert!(at_once.is_err(), "writers wait");
        assert!(!lease.is_held(), "one wants to write");
        let waiting = thread::spawn({
            let path = path.clone();
            move || fs::write(path, "after!")
        });
        assert_eq!(fs::read(&path).expect("read"), b"before");
        drop(lease);
        waiting.join().expect("ends").expect("written");
        assert_eq!(fs::read(&path).expect("read"), b"after!");
    }
}
