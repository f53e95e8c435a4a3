//! What the PCM puts on record: the Event Log.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use lpm_api::{LpmHandle, LpmStatus};

/// Where events go (the Windows Event Log of the original).
///
/// [`TracingEventLog`] is the default. Called from any thread, also while a decision is under way:
/// it must not block for long. A panic of it is caught. It may call the PCM, but not wait for a
/// stop of it: [`Pcm::demote_later`](crate::Pcm::demote_later) is the way.
///
/// ```
/// use lpm_host::event::{Event, EventLog, Severity};
///
/// /// Errors to standard error, all else to nobody.
/// struct ErrorsOnly;
///
/// impl EventLog for ErrorsOnly {
///     fn record(&self, event: &Event) {
///         if event.severity == Severity::Error {
///             eprintln!("{} ({}): {}", event.id.name(), event.id.number(), event.detail);
///         }
///     }
/// }
/// ```
pub trait EventLog: Send + Sync {
    /// Puts an event on record.
    fn record(&self, event: &Event);
}

impl<L: EventLog + ?Sized> EventLog for Arc<L> {
    fn record(&self, event: &Event) {
        (**self).record(event);
    }
}

/// Something the operator may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// What happened.
    pub id: EventId,
    /// How bad it is.
    pub severity: Severity,
    /// The LPM concerned, by its configured name.
    pub lpm: Option<Arc<str>>,
    /// The initialization concerned.
    pub handle: Option<LpmHandle>,
    /// The library concerned, as configured.
    pub library: Option<PathBuf>,
    /// The status value returned, where one was.
    pub status: Option<LpmStatus>,
    /// In words: what, where, what to do. One line.
    pub detail: String,
}

impl Event {
    /// An event of this kind with the kind's severity.
    #[must_use]
    pub fn new(id: EventId, detail: impl Into<String>) -> Self {
        Self {
            id,
            severity: id.severity(),
            lpm: None,
            handle: None,
            library: None,
            status: None,
            detail: detail.into(),
        }
    }

    /// The same event about this LPM.
    #[must_use]
    pub fn lpm(mut self, name: Arc<str>) -> Self {
        self.lpm = Some(name);
        self
    }

    /// The same event about this initialization.
    #[must_use]
    pub fn handle(mut self, handle: LpmHandle) -> Self {
        self.handle = Some(handle);
        self
    }

    /// The same event about this library.
    #[must_use]
    pub fn library(mut self, library: impl Into<PathBuf>) -> Self {
        self.library = Some(library.into());
        self
    }

    /// The same event with this status value.
    #[must_use]
    pub fn status(mut self, status: LpmStatus) -> Self {
        self.status = Some(status);
        self
    }
}

/// What kind of event it is. The numbers and names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[repr(u16)]
pub enum EventId {
    /// The PCM became ready: the node is the Designated SBM.
    BecameDsbm = 1,
    /// The PCM was demoted: the node is no longer the Designated SBM.
    Demoted = 2,
    /// The PCM shut down.
    ShutDown = 3,
    /// The PCM runs another list of LPMs.
    Reconfigured = 4,
    /// An LPM was initialized.
    LpmInitialized = 10,
    /// An LPM's library could not be loaded.
    LpmLoadFailed = 11,
    /// An LPM returned a status other than `LPM_OK`, or an invalid PE type, from initialize.
    LpmInitializeFailed = 12,
    /// Two LPMs serve one policy element type, other than all types.
    LpmPeTypeShared = 13,
    /// An LPM cannot use the address table, or did not take it in time.
    LpmAddressTableRefused = 14,
    /// An LPM took over the state of the one whose place it takes.
    LpmTookOver = 15,
    /// An LPM starts with nothing, although the one whose place it takes had state.
    LpmTakeOverFailed = 16,
    /// An LPM was deinitialized.
    LpmDeinitialized = 20,
    /// An LPM returned a status other than `LPM_OK` from deinitialize.
    LpmDeinitializeFailed = 21,
    /// A library is no longer mapped.
    LibraryUnmapped = 30,
    /// A library stays mapped since unmapping it may not be safe; it is not called again.
    LibraryPinned = 31,
    /// A library could hinder its own unloading; seen before anything of it runs.
    LibraryHindersUnloading = 32,
    /// Code of a library panicked.
    LpmPanicked = 40,
    /// A call into an LPM failed.
    LpmCallFailed = 41,
    /// An LPM gave a decision that is none: it counts as "don't care", or, for a rejection without
    /// a reason, as a rejection.
    LpmInvalidDecision = 42,
    /// An LPM gave a result that was not taken: late, a second time, for a request it was never
    /// asked, or one that is none.
    LpmResultRefused = 43,
    /// An LPM did not answer deferred requests in time, or a call that asks it returned too late:
    /// the flows were rejected.
    LpmTimedOut = 44,
    /// A call does not return from an LPM: it is in quarantine, and is not asked.
    LpmQuarantined = 45,
    /// The call returned: the LPM is out of quarantine.
    LpmReleased = 46,
    /// An LPM missed too much in quarantine to be told of it, or its process ended, or it failed
    /// over the state it was to take over: it is initialized anew.
    LpmReinitialized = 47,
    /// An LPM is not asked about messages of a kind that its API does not know; said once for each
    /// LPM.
    LpmNotAsked = 48,
    /// An LPM in C wrote beyond what it was given: it is in quarantine until it is stopped.
    LpmOverstepped = 49,
    /// Events of one kind about one LPM came too fast: some were not recorded.
    EventsSuppressed = 50,
    /// The process that runs an LPM ended, or was ended for what it did: it starts again after a
    /// while.
    LpmProcessEnded = 51,
    /// This system cannot confine an LPM as configured; said at each start.
    LpmNotConfined = 52,
}

impl EventId {
    /// Every kind there is, by number.
    pub const ALL: &'static [Self] = &[
        Self::BecameDsbm,
        Self::Demoted,
        Self::ShutDown,
        Self::Reconfigured,
        Self::LpmInitialized,
        Self::LpmLoadFailed,
        Self::LpmInitializeFailed,
        Self::LpmPeTypeShared,
        Self::LpmAddressTableRefused,
        Self::LpmTookOver,
        Self::LpmTakeOverFailed,
        Self::LpmDeinitialized,
        Self::LpmDeinitializeFailed,
        Self::LibraryUnmapped,
        Self::LibraryPinned,
        Self::LibraryHindersUnloading,
        Self::LpmPanicked,
        Self::LpmCallFailed,
        Self::LpmInvalidDecision,
        Self::LpmResultRefused,
        Self::LpmTimedOut,
        Self::LpmQuarantined,
        Self::LpmReleased,
        Self::LpmReinitialized,
        Self::LpmNotAsked,
        Self::LpmOverstepped,
        Self::EventsSuppressed,
        Self::LpmProcessEnded,
        Self::LpmNotConfined,
    ];

    /// The number of the event, for logs that number theirs.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// The name of the event in snake_case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BecameDsbm => "became_dsbm",
            Self::Demoted => "demoted",
            Self::ShutDown => "shut_down",
            Self::Reconfigured => "reconfigured",
            Self::LpmInitialized => "lpm_initialized",
            Self::LpmLoadFailed => "lpm_load_failed",
            Self::LpmInitializeFailed => "lpm_initialize_failed",
            Self::LpmPeTypeShared => "lpm_pe_type_shared",
            Self::LpmAddressTableRefused => "lpm_address_table_refused",
            Self::LpmTookOver => "lpm_took_over",
            Self::LpmTakeOverFailed => "lpm_take_over_failed",
            Self::LpmDeinitialized => "lpm_deinitialized",
            Self::LpmDeinitializeFailed => "lpm_deinitialize_failed",
            Self::LibraryUnmapped => "library_unmapped",
            Self::LibraryPinned => "library_pinned",
            Self::LibraryHindersUnloading => "library_hinders_unloading",
            Self::LpmPanicked => "lpm_panicked",
            Self::LpmCallFailed => "lpm_call_failed",
            Self::LpmInvalidDecision => "lpm_invalid_decision",
            Self::LpmResultRefused => "lpm_result_refused",
            Self::LpmTimedOut => "lpm_timed_out",
            Self::LpmQuarantined => "lpm_quarantined",
            Self::LpmReleased => "lpm_released",
            Self::LpmReinitialized => "lpm_reinitialized",
            Self::LpmNotAsked => "lpm_not_asked",
            Self::LpmOverstepped => "lpm_overstepped",
            Self::EventsSuppressed => "events_suppressed",
            Self::LpmProcessEnded => "lpm_process_ended",
            Self::LpmNotConfined => "lpm_not_confined",
        }
    }

    /// How bad events of this kind are.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::BecameDsbm
            | Self::Demoted
            | Self::ShutDown
            | Self::Reconfigured
            | Self::LpmInitialized
            | Self::LpmTookOver
            | Self::LpmDeinitialized
            | Self::LibraryUnmapped
            | Self::LpmReleased => Severity::Info,
            Self::LpmPeTypeShared
            | Self::LpmAddressTableRefused
            | Self::LpmTakeOverFailed
            | Self::LibraryPinned
            | Self::LibraryHindersUnloading
            | Self::LpmInvalidDecision
            | Self::LpmResultRefused
            | Self::LpmTimedOut
            | Self::LpmReinitialized
            | Self::LpmNotAsked
            | Self::LpmNotConfined
            | Self::EventsSuppressed => Severity::Warning,
            Self::LpmLoadFailed
            | Self::LpmInitializeFailed
            | Self::LpmDeinitializeFailed
            | Self::LpmPanicked
            | Self::LpmCallFailed
            | Self::LpmQuarantined
            | Self::LpmOverstepped
            | Self::LpmProcessEnded => Severity::Error,
        }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How bad an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Info,
    /// Works, but deserves a look.
    Warning,
    /// Something does not work.
    Error,
}

impl Severity {
    /// The severity in one lower-case word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An event log whose panics stay with it: LPMs have to be deinitialized whatever it does.
pub(crate) struct PanicsCaught(pub(crate) Arc<dyn EventLog>);

impl EventLog for PanicsCaught {
    fn record(&self, event: &Event) {
        if catch_unwind(AssertUnwindSafe(|| self.0.record(event))).is_err() {
            tracing::error!(target: "lpm_host::event", "the event log panicked over: {}", event.detail);
        }
    }
}

/// Hands events to `tracing`, target `lpm_host::event`, with the record's parts as fields.
#[derive(Clone, Copy, Debug, Default)]
pub struct TracingEventLog;

impl EventLog for TracingEventLog {
    fn record(&self, event: &Event) {
        macro_rules! emit {
            ($level:ident) => {
                tracing::$level!(
                    target: "lpm_host::event",
                    id = event.id.number(),
                    name = event.id.name(),
                    lpm = event.lpm.as_deref(),
                    handle = event.handle.map(LpmHandle::number),
                    library = event.library.as_ref().map(|path| tracing::field::debug(path)),
                    status = event.status.map(tracing::field::display),
                    "{}",
                    event.detail
                )
            };
        }
        match event.severity {
            Severity::Info => emit!(info),
            Severity::Warning => emit!(warn),
            Severity::Error => emit!(error),
        }
    }
}
