//! Results that come later, from any thread (`cbAdmitResult`, `cbGetRsvpObjects`).

use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};

use lpm_abi::{AbiDecision, AbiResult};
use lpm_api::{Decision, LpmStatus};

use super::grouped::per_flow;
use super::header::{CallbackStatus, Handle, Object, PolicyDecision};
use super::library::{self, CLibrary};
use super::supplied::Supplied;
use crate::requests::results;

/// `CBADMITRESULT`.
///
/// # Safety
///
/// `decisions` points to as many as `count` says, where these are as many as the request has flow
/// descriptors.
pub(super) unsafe extern "system" fn admit_result(
    lpm: Handle,
    request: Handle,
    flags: u32,
    error: c_int,
    count: c_int,
    decisions: *const PolicyDecision,
) -> CallbackStatus {
    status_of(|| {
        let Some((library, result)) = result(lpm, request, error) else {
            return LpmStatus::INVALID_LPM_HANDLE;
        };
        let result = AbiResult {
            flags: flags & AbiResult::FORCE_IMMEDIATE_REFRESH,
            ..result
        };
        let groups = library.grouped.take(result.request);
        let expected = groups.as_ref().map(|groups| groups.iter().sum());
        let found = match decisions.is_null() {
            true => 0,
            false => usize::try_from(count).unwrap_or(0),
        };
        results::take_counted_decisions(&result, found, expected, || {
            // SAFETY: they are as many as were expected, and the caller's promise.
            let decision = |index| unsafe { decisions.add(index).read_unaligned() };
            let decisions: Vec<AbiDecision> = (0..found).map(decision).collect();
            match &groups {
                Some(groups) => per_flow(&decisions, groups),
                None => decisions,
            }
        })
    })
}

/// `CBGETRSVPOBJECTS`. An error of `LPV_DROP_MSG` stops the message.
///
/// # Safety
///
/// None beyond that of its type: what is handed over is looked at only as far as it is the PCM's
/// memory.
pub(super) unsafe extern "system" fn objects_result(
    lpm: Handle,
    request: Handle,
    error: c_int,
    count: c_int,
    objects: *mut *mut Object,
) -> CallbackStatus {
    status_of(|| {
        let supplied = Supplied::new(count, objects);
        let Some((_, result)) = result(lpm, request, error) else {
            return LpmStatus::INVALID_LPM_HANDLE;
        };
        if result.status == Decision::LPV_DROP_MSG {
            let result = AbiResult {
                status: LpmStatus::OK.0,
                flags: AbiResult::DROP_MESSAGE,
                ..result
            };
            return results::take_objects(&result, &[]);
        }
        match supplied.bytes() {
            Ok(bytes) => results::take_objects(&result, &bytes),
            Err(_) if result.status != LpmStatus::OK.0 => results::take_objects(&result, &[]),
            Err(problem) => results::refuse(&result, &problem.to_string()),
        }
    })
}

/// The library, and the result in the name in which it is asked.
fn result(
    lpm: Handle,
    request: Handle,
    error: c_int,
) -> Option<(std::sync::Arc<CLibrary>, AbiResult)> {
    let library = library::of(lpm.addr() as u64)?;
    let result = AbiResult {
        lpm: library.speaker()?,
        request: request.addr() as u64,
        status: u32::from_ne_bytes(error.to_ne_bytes()),
        flags: 0,
    };
    Some((library, result))
}

fn status_of(take: impl FnOnce() -> LpmStatus) -> CallbackStatus {
    // What is under it calls wakers and event logs, which are the embedder's code.
    let status = catch_unwind(AssertUnwindSafe(take)).unwrap_or(LpmStatus::OK);
    status.0 as CallbackStatus
}
