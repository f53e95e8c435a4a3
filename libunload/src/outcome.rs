//! What became of a library that was to be unloaded.

use std::fmt;
use std::path::PathBuf;

/// What became of a library that was to be unloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnloadOutcome {
    /// Nothing of the library is mapped any more: the loader does not list it, and (on Linux)
    /// neither does the kernel.
    Unmapped,

    /// The library stays mapped until the process ends and is never called again: unmapping it
    /// could have crashed the process, or the platform did not unmap it.
    Pinned {
        /// Everything that was found to stand in the way; never empty.
        reasons: Vec<PinReason>,
    },
}

impl fmt::Display for UnloadOutcome {
    /// "unmapped", or "stays mapped" with all reasons, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmapped => f.write_str("unmapped"),
            Self::Pinned { reasons } => {
                f.write_str("stays mapped: ")?;
                for (index, reason) in reasons.iter().enumerate() {
                    write!(f, "{}{reason}", if index == 0 { "" } else { "; " })?;
                }
                Ok(())
            }
        }
    }
}

/// What a library should have taken back itself, and was taken back for it before it was unmapped.
/// A host that does not do so would crash later on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftBehind {
    /// The numbers of the signals whose handlers were functions of the library, or that it had set
    /// to be ignored or to do what they do by default, and had not put back.
    pub signals: Vec<i32>,
    /// How many timers it had set up and not deleted (`timer_create`).
    pub timers: usize,
    /// How many values of its thread-locals were forgotten in threads that go on, and with them
    /// what they owned. See [`Library::await_threads`](crate::Library::await_threads).
    pub thread_locals: usize,
    /// The names of the variables of the environment whose texts were in the library (`putenv`).
    /// They have copies now.
    pub variables: Vec<String>,
    /// The functions that it had given addresses of its own to, and that have others now, or
    /// nothing more to do with them: `openlog`, `mq_notify`, `sigaltstack` and their like.
    pub lent: Vec<&'static str>,
    /// How many bytes of files it had mapped to read them. A backtrace with names does so, and also
    /// keeps tables on the heap, which are lost: tens of megabytes with the debugging information
    /// of a large program.
    pub files: usize,
}

impl LeftBehind {
    /// Whether it was nothing.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// Something about a library that keeps it mapped. [`Display`](fmt::Display) gives one line for an
/// operator.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PinReason {
    /// A thread that the library started has not ended; nor did finalizers that may stop threads
    /// stop it, if the library has such.
    ThreadRunning(ThreadLabel),

    /// The library has asked for threads that have not got as far as running its code.
    ThreadsStarting {
        /// How many.
        count: usize,
    },

    /// A thread has a function of the library on its stack.
    CodeOnStack(ThreadLabel),

    /// It could not be told whether a thread has a function of the library on its stack.
    StackUnknown(ThreadLabel),

    /// A thread is running the destructor of one of the library's thread-locals.
    DestructorRunning(ThreadLabel),

    /// A thread is running the function of one of the library's timers.
    TimerFunctionRunning(ThreadLabel),

    /// The library has asked for input or output that is not done (`aio_read` and its relatives).
    RequestsUnderWay {
        /// How many.
        count: usize,
    },

    /// The library registered functions that run at exit and that cannot be unregistered.
    ExitHandlers {
        /// How many.
        count: usize,
    },

    /// The unloading was asked for by code of the library itself, which would have to return into
    /// the library afterwards.
    AskedFromInside,

    /// The library bears the flag `DF_1_NODELETE`, with which the loader never unmaps it.
    NoDelete,

    /// The library has `STB_GNU_UNIQUE` symbols, for whose sake the loader never unmaps it.
    UniqueSymbols {
        /// How many.
        count: usize,
    },

    /// One of the library's imports could not be redirected, so that what the library did with it
    /// is unknown.
    ImportNotRedirected {
        /// The imported symbol.
        symbol: String,
    },

    /// The loader kept the library loaded for a reason of its own: somebody else opened it too, or
    /// another library depends on it.
    StillLoaded,

    /// The loader forgot the library, yet the kernel still lists a mapping of it.
    StillMapped {
        /// The file that is mapped.
        file: PathBuf,
    },

    /// The loader may hand the values of the library's thread-locals to the next library: glibc's
    /// bug 29039, on aarch64.
    ThreadLocalsInherited {
        /// The version of glibc.
        glibc: String,
    },

    /// Something that stays has an address in the library, and may follow it. As a rule it was
    /// found after the library's finalizers had run.
    AddressKept {
        /// Who, such as `libc.so.6 (stdout+0x8)`.
        holder: String,
    },

    /// What has to be checked before unmapping cannot be read.
    CannotVerify {
        /// What could not be read, and why.
        what: String,
    },

    /// This platform does not make it possible to tell that unmapping is safe.
    Platform {
        /// What is missing.
        why: &'static str,
    },
}

impl fmt::Display for PinReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ThreadRunning(thread) => {
                write!(f, "{thread}, started by the library, is still running")
            }
            Self::ThreadsStarting { count } => {
                write!(f, "{count} threads of the library are about to start")
            }
            Self::CodeOnStack(thread) => write!(f, "{thread} is inside a function of the library"),
            Self::StackUnknown(thread) => {
                write!(f, "{thread} could not be shown to be outside the library")
            }
            Self::DestructorRunning(thread) => {
                write!(f, "{thread} is running a thread-local destructor of the library")
            }
            Self::TimerFunctionRunning(thread) => {
                write!(f, "{thread} is running a timer's function of the library")
            }
            Self::RequestsUnderWay { count } => {
                write!(f, "{count} requests of the library for input or output are not done")
            }
            Self::ExitHandlers { count } => {
                write!(f, "{count} exit handlers of the library cannot be unregistered")
            }
            Self::AskedFromInside => f.write_str("code of the library itself asked to unload it"),
            Self::NoDelete => {
                f.write_str("the library is linked as not to be unloaded (DF_1_NODELETE)")
            }
            Self::UniqueSymbols { count } => write!(
                f,
                "the library has {count} GNU_UNIQUE symbols, with which the loader never unmaps it; \
                 build it with -fno-gnu-unique"
            ),
            Self::ImportNotRedirected { symbol } => {
                write!(f, "the library's import of {symbol} could not be redirected")
            }
            Self::StillLoaded => f.write_str(
                "the loader keeps the library: somebody else opened it, or another library needs it",
            ),
            Self::StillMapped { file } => {
                write!(f, "{} is still mapped", file.display())
            }
            Self::ThreadLocalsInherited { glibc } => write!(
                f,
                "the library has thread-locals, whose values glibc {glibc} may hand to the next library \
                 (its bug 29039, fixed in 2.39)"
            ),
            Self::AddressKept { holder } => write!(f, "{holder} still leads into the library"),
            Self::CannotVerify { what } => write!(f, "cannot verify that unmapping is safe: {what}"),
            Self::Platform { why } => write!(f, "unmapping is not safe on this platform: {why}"),
        }
    }
}

/// A thread of this process, as an operator finds it in `top -H` or a debugger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadLabel {
    /// The system's number of the thread.
    pub id: u64,
    /// The thread's name; empty when it is not known.
    pub name: String,
}

impl fmt::Display for ThreadLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_str() {
            "" => write!(f, "thread {}", self.id),
            name => write!(f, "thread {} ({name})", self.id),
        }
    }
}
