//! What is said over the wire between a PCM and its runner: all but calls and their answers.
//!
//! A frame is a kind, a number of words, and these. What a runner says first is older than all
//! versions: see [`Greeting`].

use std::io::{self, Read, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::words::{Put, Take};
use crate::lock::lock;

/// Counts up with each change of what is said or shared.
pub(crate) const PROTOCOL: u32 = 2;
/// Whose protocol it is.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Words that a frame to a runner may have: some times the longest configuration.
pub(crate) const LONGEST: u32 = 8 << 20;
/// Words that one from a runner may have: more than all that an RSVP message has room for takes.
pub(crate) const LONGEST_REPORT: u32 = 1 << 17;

/// What a frame is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Kind {
    // To the runner.
    /// What to run, and how.
    Start = 1,
    /// What the PCM says of a result.
    Taken,
    /// What the PCM wants of `tracing`.
    Level,
    /// The LPM is deinitialized: end.
    End,
    // From the runner.
    /// The LPM is initialized.
    Started,
    /// The library does not load.
    NotLoaded,
    /// `initialize` failed.
    NotInitialized,
    /// An event.
    Event,
    /// A place in the code that logs.
    Site,
    /// What was logged there.
    Log,
    /// Decisions that come later.
    Decisions,
    /// Another number of them than there are flows.
    WrongCount,
    /// Objects that come later.
    Objects,
    /// A result that is none.
    Refused,
    /// The LPM wrote beyond what it was given.
    Overstepped,
    /// A span that was made at a place in the code.
    Span,
    /// Fields of a span.
    SpanFields,
    /// A span that follows from another one.
    SpanFollows,
    /// A span is closed.
    SpanClosed,
    // Where there is no memory to share. To the runner:
    /// A call, in a place.
    Call,
    /// The handle that a place asks for.
    Handle,
    // From the runner:
    /// What a place answers.
    Answer,
    /// A place asks for a handle.
    AsksForHandle,
}

impl Kind {
    const ALL: [Self; 23] = [
        Self::Start,
        Self::Taken,
        Self::Level,
        Self::End,
        Self::Started,
        Self::NotLoaded,
        Self::NotInitialized,
        Self::Event,
        Self::Site,
        Self::Log,
        Self::Decisions,
        Self::WrongCount,
        Self::Objects,
        Self::Refused,
        Self::Overstepped,
        Self::Span,
        Self::SpanFields,
        Self::SpanFollows,
        Self::SpanClosed,
        Self::Call,
        Self::Handle,
        Self::Answer,
        Self::AsksForHandle,
    ];

    fn of(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u32 == number)
    }
}

/// The end of the wire that frames are written to, whole and one after the other.
pub(crate) struct Writer {
    wire: Mutex<Box<dyn Write + Send>>,
    sent: AtomicU64,
    longest: u32,
}

impl Writer {
    /// One for frames of so many words at most.
    pub(crate) fn new(wire: impl Write + Send + 'static, longest: u32) -> Self {
        Self {
            wire: Mutex::new(Box::new(wire)),
            sent: AtomicU64::new(0),
            longest,
        }
    }

    /// Sends a frame; [`FileTooLarge`](io::ErrorKind::FileTooLarge), and nothing of it, where it is
    /// too long.
    pub(crate) fn send(&self, kind: Kind, write: impl FnOnce(Put<'_>)) -> io::Result<()> {
        self.write(kind, write, 1)
    }

    /// The same of one that is about a call, which is not counted.
    #[cfg(any(lpm_pipes, not(target_os = "linux")))]
    pub(crate) fn pass(&self, kind: Kind, write: impl FnOnce(Put<'_>)) -> io::Result<()> {
        self.write(kind, write, 0)
    }

    fn write(&self, kind: Kind, write: impl FnOnce(Put<'_>), counts: u64) -> io::Result<()> {
        let mut words = Vec::new();
        write(Put(&mut words));
        let count = u32::try_from(words.len()).unwrap_or(u32::MAX);
        if count > self.longest {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut bytes = Vec::with_capacity(8 + 8 * words.len());
        bytes.extend((kind as u32).to_ne_bytes());
        bytes.extend(count.to_ne_bytes());
        bytes.extend(words.into_iter().flat_map(u64::to_ne_bytes));
        let mut wire = lock(&self.wire);
        wire.write_all(&bytes)?;
        self.sent.fetch_add(counts, Ordering::AcqRel);
        Ok(())
    }

    /// How many frames were sent that count.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Acquire)
    }
}

/// A frame that was received.
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    words: Vec<u64>,
}

impl Frame {
    /// Receives the next frame, of so many words at most.
    pub(crate) fn receive(from: &mut impl Read, longest: u32) -> io::Result<Self> {
        let mut head = [0; 8];
        from.read_exact(&mut head)?;
        let [a, b, c, d, e, f, g, h] = head;
        let kind = Kind::of(u32::from_ne_bytes([a, b, c, d]));
        let count = u32::from_ne_bytes([e, f, g, h]);
        let kind = kind.filter(|_| count <= longest);
        let kind = kind.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        let length = u64::from(count) * 8;
        let mut bytes = Vec::new();
        // No room is made for what does not come.
        from.take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let word = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().unwrap_or_default());
        let words = bytes.chunks_exact(8).map(word).collect();
        Ok(Self { kind, words })
    }

    pub(crate) fn words(&self) -> Take<'_> {
        Take(&self.words)
    }
}

/// What a runner says first, in every version: eight letters, the number of its protocol, and the
/// version of this crate as so many bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Greeting {
    pub(crate) protocol: u32,
    pub(crate) version: String,
}

impl Greeting {
    const LETTERS: [u8; 8] = *b"lpm-run\n";

    pub(crate) fn own() -> Self {
        Self {
            protocol: PROTOCOL,
            version: VERSION.to_owned(),
        }
    }

    pub(crate) fn send(&self, to: &mut impl Write) -> io::Result<()> {
        let length = u32::try_from(self.version.len()).unwrap_or_default();
        let parts = [
            &Self::LETTERS[..],
            &self.protocol.to_le_bytes(),
            &length.to_le_bytes(),
            self.version.as_bytes(),
        ];
        to.write_all(&parts.concat())
    }

    /// `None`: whoever it is, it is no runner.
    pub(crate) fn receive(from: &mut impl Read) -> Option<Self> {
        const LONGEST: u32 = 100;
        let mut letters = [0; 8];
        from.read_exact(&mut letters).ok()?;
        let mut number = || {
            let mut bytes = [0; 4];
            from.read_exact(&mut bytes).ok()?;
            Some(u32::from_le_bytes(bytes))
        };
        let (protocol, length) = (number()?, number()?);
        if letters != Self::LETTERS || length > LONGEST {
            return None;
        }
        let mut version = String::new();
        from.take(length.into()).read_to_string(&mut version).ok()?;
        let is_text = !version.chars().any(char::is_control);
        is_text.then_some(Self { protocol, version })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    /// The other end of a wire.
    #[derive(Clone, Default)]
    struct Sent(Arc<Mutex<Vec<u8>>>);

    impl Write for Sent {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            lock(&self.0).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_frame_or_an_error(bytes: Vec<u8>) {
            let _ = Frame::receive(&mut &*bytes, LONGEST);
            let _ = Greeting::receive(&mut &*bytes);
        }

        #[test]
        fn what_is_sent_is_received(which in 0..Kind::ALL.len(), words: Vec<u64>) {
            let sent = Sent::default();
            let kind = Kind::ALL[which];
            let writer = Writer::new(sent.clone(), LONGEST);
            writer.send(kind, |put| put.0.extend(&words)).unwrap();
            let frame = Frame::receive(&mut &**lock(&sent.0), LONGEST).unwrap();
            prop_assert_eq!(frame.kind, kind);
            prop_assert_eq!(frame.words().0, words);
        }
    }

    #[test]
    fn a_frame_that_is_too_long_or_unknown_is_none() {
        for (kind, count) in [(1, LONGEST_REPORT + 1), (0, 0), (99, 0)] {
            let head = [u32::to_ne_bytes(kind), u32::to_ne_bytes(count)].concat();
            let error = Frame::receive(&mut &*head, LONGEST_REPORT).err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn a_greeting_is_understood() {
        let mut said = Vec::new();
        Greeting::own().send(&mut said).unwrap();
        assert_eq!(Greeting::receive(&mut &*said), Some(Greeting::own()));
        said[0] ^= 1;
        assert_eq!(Greeting::receive(&mut &*said), None);
    }
}
