//! Programs in the place of a runner, which say what no runner says.
//!
//! On Linux they are scripts, which may speak on the socket or over the pipes, whichever there is;
//! elsewhere a program of this package, which knows what to say only.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

/// The protocol of this version.
pub const PROTOCOL: u32 = 2;

/// What a runner says first that has this protocol and is of this version.
#[must_use]
pub fn greeting(protocol: u32, version: &str) -> Vec<u8> {
    let length = u32::try_from(version.len()).expect("a short one");
    let numbers = [protocol.to_le_bytes(), length.to_le_bytes()].concat();
    [b"lpm-run\n", &*numbers, version.as_bytes()].concat()
}

/// A frame of this kind.
///
/// # Panics
///
/// When it is too long.
#[must_use]
pub fn frame(kind: u32, words: &[u64]) -> Vec<u8> {
    let count = u32::try_from(words.len()).expect("a short one");
    let head = [kind.to_ne_bytes(), count.to_ne_bytes()].concat();
    let words: Vec<_> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    [head, words].concat()
}

/// The frame that says that an LPM is initialized.
#[must_use]
pub fn started() -> Vec<u8> {
    frame(5, &[0; 7])
}

/// A program that says this, and stays until it is killed.
///
/// # Panics
///
/// When it cannot be made.
#[cfg(target_os = "linux")]
#[must_use]
pub fn says(bytes: &[u8]) -> (TempDir, PathBuf) {
    script(&format!("say(bytes({bytes:?})); time.sleep(600)"))
}

/// The same.
///
/// # Panics
///
/// When it cannot be made.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn says(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let name = format!("lpm-stranger{}", std::env::consts::EXE_SUFFIX);
    let program = folder.path().join(&name);
    fs::copy(crate::runner().with_file_name(name), &program).expect("a copy");
    fs::write(folder.path().join("says"), bytes).expect("a file");
    (folder, program)
}

/// A program in Python that does this with the wire, which it speaks on with `say`, and with the
/// shared memory `memory`; or over pipes, where it reads what it is told with `hear`.
///
/// # Panics
///
/// When it cannot be made.
#[cfg(target_os = "linux")]
#[must_use]
pub fn script(does: &str) -> (TempDir, PathBuf) {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("runner");
    let version = env!("CARGO_PKG_VERSION");
    let head = format!(
        "#!/usr/bin/env python3
import ctypes, mmap, os, random, struct, sys, time
files = os.environ['LPM_RUNNER']
wire, memory = (1, None) if files == 'pipes' else (int(file) for file in files.split(','))
def say(what):
    while what: what = what[os.write(wire, what):]
def hear():
    kind, count = struct.unpack('=II', sys.stdin.buffer.read(8))
    return kind, struct.unpack('=%dQ' % count, sys.stdin.buffer.read(8 * count))
def greet(): say(b'lpm-run\\n' + struct.pack('<II', {PROTOCOL}, len(b'{version}')) + b'{version}')
def frame(kind, *words): say(struct.pack('=II', kind, len(words)) + struct.pack('=%dQ' % len(words), *words))
def text(text): return [len(text), *struct.unpack('=%dQ' % ((len(text) + 7) // 8), text + bytes(-len(text) % 8))]
def started(): frame(5, 0, 0, 0, 0, 0, 0, *text(b''))
def share(): return mmap.mmap(memory, os.fstat(memory).st_size)
futex = 202 if os.uname().machine == 'x86_64' else 98
def give(shared, at, turn):
    struct.pack_into('=I', shared, at, turn)
    ctypes.CDLL(None).syscall(futex, ctypes.byref(ctypes.c_uint32.from_buffer(shared, at)), 1, 1)
"
    );
    let mut made = fs::File::create(&file).expect("a file");
    made.write_all(format!("{head}{does}\n").as_bytes())
        .expect("room");
    let executable = fs::Permissions::from_mode(0o755);
    made.set_permissions(executable).expect("its owner");
    drop(made);
    (folder, file)
}
