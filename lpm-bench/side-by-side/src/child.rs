//! The peer in a process of its own: this program again, asked over a unix socket.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitCode, Stdio};

use peer_interface::GRANTED;

/// Set for the child alone.
const MARK: &str = "LPM_BENCH_CHILD";

/// A child that decides.
pub(crate) struct Decider {
    child: Child,
    socket: UnixStream,
    question: Vec<u8>,
}

/// Whether this process is the child.
pub(crate) fn is_wanted() -> bool {
    std::env::var_os(MARK).is_some()
}

/// What the child does: a length and a message come, a decision goes, until nobody asks any more.
pub(crate) fn run() -> ExitCode {
    match answer() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lpm-bench: the child: {error}");
            ExitCode::FAILURE
        }
    }
}

fn answer() -> io::Result<()> {
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut message = vec![0; 1 << 16];
    loop {
        let mut length = [0; 4];
        socket.read_exact(&mut length)?;
        let length = u32::from_ne_bytes(length) as usize;
        socket.read_exact(&mut message[..length])?;
        let mut decision = [0; 8];
        decision[..4].copy_from_slice(&GRANTED.to_ne_bytes());
        socket.write_all(&decision)?;
    }
}

impl Decider {
    pub(crate) fn start() -> io::Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        let child = Command::new(std::env::current_exe()?)
            .env(MARK, "1")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()?;
        let question = Vec::new();
        Ok(Self {
            child,
            socket,
            question,
        })
    }

    /// Has it decide on a message.
    pub(crate) fn ask(&mut self, message: &[u8]) -> io::Result<u32> {
        let length = u32::try_from(message.len()).map_err(io::Error::other)?;
        self.question.clear();
        self.question.extend(length.to_ne_bytes());
        self.question.extend(message);
        self.socket.write_all(&self.question)?;
        let mut decision = [0; 8];
        self.socket.read_exact(&mut decision)?;
        let [a, b, c, d, ..] = decision;
        Ok(u32::from_ne_bytes([a, b, c, d]))
    }
}

impl Drop for Decider {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        let _ = self.child.wait();
    }
}
