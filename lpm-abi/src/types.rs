//! The plain types that cross the boundary.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use abi_stable::StableAbi;
use abi_stable::std_types::{ROption, RSlice, RStr, RString};

use crate::admit_call::AdmitCall;
use crate::defer::Defer;
use crate::object::AbiLpmBox;
use crate::status::LpmStatus;
use crate::trace::AbiTraceHost;

/// An interface.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiInterface {
    /// SNMP ifIndex.
    pub index: u32,
    /// 4 or 6.
    pub family: u32,
    /// The address in network order; an IPv4 address in the first four bytes.
    pub address: [u8; 16],
}

/// A point in time: whole seconds since the Unix epoch, rounded down, and nanoseconds on top.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiTime {
    /// Seconds since 1970-01-01 00:00 UTC, negative before.
    pub seconds: i64,
    /// 0 to 999 999 999.
    pub nanoseconds: u32,
}

impl From<SystemTime> for AbiTime {
    fn from(time: SystemTime) -> Self {
        let (since, negative) = match time.duration_since(UNIX_EPOCH) {
            Ok(since) => (since, false),
            Err(before) => (before.duration(), true),
        };
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        match (negative, since.subsec_nanos()) {
            (false, nanoseconds) => Self {
                seconds,
                nanoseconds,
            },
            (true, 0) => Self {
                seconds: -seconds,
                nanoseconds: 0,
            },
            (true, nanoseconds) => Self {
                seconds: -seconds - 1,
                nanoseconds: 1_000_000_000 - nanoseconds,
            },
        }
    }
}

impl From<AbiTime> for SystemTime {
    fn from(abi: AbiTime) -> Self {
        let (seconds, nanoseconds) = (abi.seconds.unsigned_abs(), abi.nanoseconds);
        let time = if abi.seconds < 0 {
            UNIX_EPOCH
                .checked_sub(Duration::from_secs(seconds))
                .and_then(|whole| whole.checked_add(Duration::from_nanos(nanoseconds.into())))
        } else {
            // Does not overflow: there are fewer than 2⁶³ seconds.
            UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))
        };
        time.unwrap_or(UNIX_EPOCH)
    }
}

/// Where an object of a message stands; the mirror of `lpm_rsvp::ObjectEntry`.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiObjectEntry {
    /// Bytes from the start of the message.
    pub offset: u16,
    /// Bytes, the object's header included.
    pub length: u16,
    /// Class-Num.
    pub class: u8,
    /// C-Type.
    pub c_type: u8,
}

/// An RSVP message in network byte order, and the index of its objects.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiMessage<'a> {
    /// The message from its common header on.
    pub bytes: RSlice<'a, u8>,
    /// Its objects in order.
    pub objects: RSlice<'a, AbiObjectEntry>,
}

/// A request for a decision.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiAdmit<'a> {
    /// Whether the PCM verified the message's INTEGRITY object.
    pub integrity_verified: bool,
    /// The message.
    pub message: AbiMessage<'a>,
    /// For what else the LPM asks of the PCM.
    pub call: AdmitCall<'a>,
}

/// A request for objects of an outgoing message.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiObjectsRequest<'a> {
    /// Where the message goes out.
    pub interface: AbiInterface,
    /// Bytes that objects may take.
    pub max_policy_data_size: u32,
    /// The message.
    pub message: AbiMessage<'a>,
    /// How to put the answer off.
    pub defer: Defer<'a>,
}

/// A reservation that was made or changed.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiCommit<'a> {
    /// What the SBM did: 1 allocated, 2 modified (lpmapi `RESOURCES_*`).
    pub decision: u32,
    /// Index of the flow descriptor.
    pub flow: u16,
    /// Where the resources are.
    pub interface: AbiInterface,
    /// The Resv message.
    pub message: AbiMessage<'a>,
    /// The merged FLOWSPEC object with its header; empty where nothing was merged.
    pub merged: RSlice<'a, u8>,
}

/// An address of the PCM's host.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiAddressRow {
    /// Index and address.
    pub interface: AbiInterface,
    /// SNMP ifType.
    pub media_type: u32,
    /// Bits of the network part.
    pub prefix_length: u8,
}

/// The result of a deferred request; decisions or objects come with it.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiResult {
    /// The LPM's handle.
    pub lpm: u64,
    /// The request's handle.
    pub request: u64,
    /// 0, or the [`LpmStatus`](crate::LpmStatus) of a failure.
    pub status: u32,
    /// Bit 0: refresh at once. Bit 1: drop the message.
    pub flags: u32,
}

impl AbiResult {
    /// Bit of `flags` that asks for a refresh at once (`FORCE_IMMEDIATE_REFRESH`).
    pub const FORCE_IMMEDIATE_REFRESH: u32 = 1;
    /// Bit of `flags` that stops an outgoing message (`LPV_DROP_MSG`).
    pub const DROP_MESSAGE: u32 = 2;
}

/// The PCM's functions for deferred results. Valid in every thread until the process ends; what
/// they return is an [`LpmStatus`](crate::LpmStatus).
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct AbiCallbacks {
    /// Takes decisions, one per flow descriptor.
    pub admit_result: extern "C" fn(AbiResult, RSlice<'_, AbiDecision>) -> u32,
    /// Takes POLICY_DATA objects in network order.
    pub objects_result: extern "C" fn(AbiResult, RSlice<'_, u8>) -> u32,
}

/// A decision as it is written into the PCM's buffer.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbiDecision {
    /// LPM priority value.
    pub lpv: u32,
    /// Error code of a rejection.
    pub error_code: u16,
    /// Error value of a rejection.
    pub error_value: u16,
}

impl AbiDecision {
    /// What stands in the buffer before the LPM answers; no decision.
    pub const UNANSWERED: Self = Self {
        lpv: 0,
        error_code: 0,
        error_value: 0,
    };
}

/// How a request was answered: one word, which is zero after nearly every call.
#[repr(transparent)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiAnswer(u64);

impl AbiAnswer {
    /// Bit of the flags that asks for a refresh at once (`FORCE_IMMEDIATE_REFRESH`).
    pub const FORCE_IMMEDIATE_REFRESH: u32 = AbiResult::FORCE_IMMEDIATE_REFRESH;
    /// Bit of the flags that stops an outgoing message (`LPV_DROP_MSG`).
    pub const DROP_MESSAGE: u32 = AbiResult::DROP_MESSAGE;
    /// Bit of the flags that says that the answer comes later (`LPM_RESULT_DEFER`).
    pub const DEFERRED: u32 = 1 << 31;

    /// The answer is in the buffer, with these flags; or comes later, as they say.
    #[inline]
    #[must_use]
    pub const fn with_flags(flags: u32) -> Self {
        Self((flags as u64) << 32)
    }

    /// No answer: the call failed.
    #[inline]
    #[must_use]
    pub const fn failed(status: LpmStatus) -> Self {
        Self(status.0 as u64)
    }

    /// [`LpmStatus::OK`], or the status of a failure.
    #[inline]
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the other half are the flags"
    )]
    pub const fn status(self) -> LpmStatus {
        LpmStatus(self.0 as u32)
    }

    /// The flags.
    #[inline]
    #[must_use]
    pub const fn flags(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Whether the answer is in the buffer, and nothing besides.
    #[inline]
    #[must_use]
    pub const fn is_plain(self) -> bool {
        self.0 == 0
    }
}

/// State that is gone.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiDeleteState<'a> {
    /// Why: the number of the reason in lpmapi.h (`RCVD_PATH_TEAR` is 1).
    pub reason: u32,
    /// Index of the one flow descriptor concerned, or all of the message's.
    pub flow: ROption<u16>,
    /// Where the message was received.
    pub interface: ROption<AbiInterface>,
    /// The message that names the flows.
    pub message: AbiMessage<'a>,
}

/// What an LPM is told when it is initialized.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct AbiInit<'a> {
    /// The handle of this initialization.
    pub handle: u64,
    /// Milliseconds the PCM would have an answer take at most.
    pub result_time_limit: u64,
    /// How many LPMs are configured.
    pub lpm_count: u32,
    /// Version of the API the PCM speaks.
    pub pcm_version: u32,
    /// The LPM's name in the configuration.
    pub name: RStr<'a>,
    /// The LPM's configuration.
    pub config: RStr<'a>,
    /// Where the configuration comes from.
    pub config_source: RStr<'a>,
    /// From where relative paths in it are meant.
    pub config_dir: ROption<RStr<'a>>,
    /// For deferred results.
    pub callbacks: AbiCallbacks,
}

/// An initialized LPM.
#[repr(C)]
#[derive(StableAbi)]
pub struct AbiInitialized {
    /// The LPM.
    pub lpm: AbiLpmBox,
    /// The policy element type it serves.
    pub pe_type: u32,
}

/// A call that failed.
#[repr(C)]
#[derive(StableAbi, Clone, Debug)]
pub struct AbiFailure {
    /// A status other than 0.
    pub status: u32,
    /// What went wrong.
    pub message: RString,
}

/// Why an LPM is deinitialized.
#[repr(u8)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub enum AbiDeinitialize {
    /// The node is no longer DSBM.
    Demotion = 1,
    /// The system shuts down.
    Shutdown = 2,
    /// The configuration changed.
    Reconfiguration = 3,
}

/// The package an LPM library was built from.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiPackage {
    /// Its name.
    pub name: RStr<'static>,
    /// Its version.
    pub version: RStr<'static>,
    /// Its authors, separated by colons.
    pub authors: RStr<'static>,
    /// The version of `lpm-api` it was built with.
    pub lpm_api: RStr<'static>,
}

/// A panic inside an LPM library.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiPanic<'a> {
    /// The panic's message.
    pub message: RStr<'a>,
    /// Source file; empty where it is not known.
    pub file: RStr<'a>,
    /// Line in it.
    pub line: u32,
    /// The thread's name; empty where it has none.
    pub thread: RStr<'a>,
}

/// What a library may call in the PCM that loaded it, from
/// [`attach`](crate::AbiLpmModule::attach) until [`detach`](crate::AbiLpmModule::detach) returns.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiHost {
    /// Names the library to the PCM.
    pub library: u64,
    /// Reports a panic; the first argument is `library`.
    pub report_panic: extern "C" fn(u64, AbiPanic<'_>),
    /// Takes events and spans.
    pub trace: AbiTraceHost,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_round_trip_on_both_sides_of_the_epoch() {
        for nanos in [
            0u64,
            1,
            999_999_999,
            1_000_000_000,
            1_700_000_000_123_456_789,
        ] {
            let offset = Duration::from_nanos(nanos);
            for time in [UNIX_EPOCH + offset, UNIX_EPOCH - offset] {
                assert_eq!(SystemTime::from(AbiTime::from(time)), time, "{nanos}");
            }
        }
    }
}
