//! One initialization of an LPM in a process of its own, as the host calls it.

use std::ptr;
use std::sync::Arc;

use abi_stable::std_types::{ROption, RResult, RSlice, RSliceMut, RStr, RString, RVec};
use lpm_abi::{
    AbiAddressRow, AbiAdmit, AbiAnswer, AbiCommit, AbiCounter, AbiDecision, AbiDeinitialize,
    AbiDeleteState, AbiExtension, AbiFailure, AbiHandOver, AbiInitialized, AbiLpm,
    AbiObjectsRequest, AbiReasons, AbiStatistics, Admit, Erased, ExtensionFunctions,
};
use lpm_api::LpmStatus;

use super::calls::{self, Function};
use super::decide;
use super::hand_over;
use super::process::Process;
use super::task::Description;
use super::words::{Malformed, Put};

/// An initialized LPM.
struct Adapter {
    process: Arc<Process>,
    /// It is told a request's handle with every call, as all LPMs against `lpmapi.h` are.
    is_in_c: bool,
    offers_statistics: bool,
    offers_reasons: bool,
    offers_hand_over: bool,
    is_deinitialized: bool,
}

/// It is being stopped, and the request for which there is no handle is over.
const STOPPED: AbiAnswer = AbiAnswer::with_flags(AbiAnswer::DEFERRED);

/// The LPM that the process says it has initialized.
pub(super) fn initialized(process: &Arc<Process>, lpm: &Description) -> AbiInitialized {
    let adapter = Adapter {
        process: Arc::clone(process),
        is_in_c: lpm.is_in_c,
        offers_statistics: lpm.offers_statistics,
        offers_reasons: lpm.offers_reasons,
        offers_hand_over: lpm.offers_hand_over,
        is_deinitialized: false,
    };
    AbiInitialized::new(adapter, lpm.pe_type)
}

impl Admit for Adapter {
    fn admit(&self, request: &AbiAdmit<'_>) -> AbiAnswer {
        let issue = || request.call.issue().number();
        let Some(handle) = self.handle_for_c(issue) else {
            return STOPPED;
        };
        let write = |put: &mut Put<'_>| decide::Admit::of(request, handle).put(put);
        let answer = self.process.call(Function::Admit, write, issue, |take| {
            let decide::Decided {
                answer, decisions, ..
            } = decide::Decided::take(take)?;
            if !answer.status().is_ok() {
                return Ok(answer);
            }
            if decisions.len() != request.places.len() {
                return Err(Malformed);
            }
            for (place, decision) in request.places.iter().zip(decisions) {
                place.set(*decision);
            }
            Ok(answer)
        });
        answer.unwrap_or_else(AbiAnswer::failed)
    }
}

impl AbiLpm for Adapter {
    fn rsvp_objects(&self, request: &AbiObjectsRequest<'_>, objects: &mut RVec<u8>) -> AbiAnswer {
        let issue = || request.defer.issue().number();
        let Some(handle) = self.handle_for_c(issue) else {
            return STOPPED;
        };
        let write = |put: &mut Put<'_>| calls::ObjectsRequest::put(put, request, handle);
        let answer = self
            .process
            .call(Function::RsvpObjects, write, issue, |take| {
                let answer = calls::take_answer(take)?;
                objects.extend_from_slice(take.plain()?);
                Ok(answer)
            });
        answer.unwrap_or_else(AbiAnswer::failed)
    }

    fn commit_resv(&self, commit: &AbiCommit<'_>) -> u32 {
        self.tell(Function::CommitResv, |put| calls::put_commit(put, commit))
    }

    fn delete_state(&self, state: &AbiDeleteState<'_>) -> u32 {
        let write = |put: &mut Put<'_>| calls::put_delete_state(put, state);
        self.tell(Function::DeleteState, write)
    }

    fn ip_address_table(&self, table: RSlice<'_, AbiAddressRow>) -> u32 {
        let write = |put: &mut Put<'_>| calls::put_addresses(put, table.as_slice());
        self.tell(Function::IpAddressTable, write)
    }

    fn extension(&self, id: RStr<'_>) -> ROption<AbiExtension<'_>> {
        let offered = match id.as_str() {
            // SAFETY: the functions take this type, here and below.
            AbiStatistics::ID if self.offers_statistics => unsafe {
                Some(AbiExtension::new(self, &STATISTICS))
            },
            // SAFETY: as above.
            AbiReasons::ID if self.offers_reasons => unsafe {
                Some(AbiExtension::new(self, &REASONS))
            },
            // SAFETY: as above.
            AbiHandOver::ID if self.offers_hand_over => unsafe {
                Some(AbiExtension::new(self, &HAND_OVER))
            },
            _ => None,
        };
        offered.into()
    }

    fn deinitialize(&mut self, reason: AbiDeinitialize) -> RResult<(), AbiFailure> {
        self.is_deinitialized = true;
        let write = |put: &mut Put<'_>| {
            put.number(reason as u64);
        };
        let deinitialized = self
            .process
            .call(Function::Deinitialize, write, no_handle, |take| {
                let status = LpmStatus(take.narrow()?);
                Ok((status, take.text()?.into()))
            });
        let ended = |status| (status, RString::from("its process has ended before"));
        match deinitialized.unwrap_or_else(ended) {
            (LpmStatus::OK, _) => RResult::ROk(()),
            (status, message) => RResult::RErr(failure(status, message)),
        }
    }
}

impl Adapter {
    /// 0 for an LPM that asks for a handle where it wants one; `None` where there is none to be
    /// had.
    fn handle_for_c(&self, issue: impl FnOnce() -> u64) -> Option<u64> {
        if !self.is_in_c {
            return Some(0);
        }
        let handle = issue();
        (handle != 0).then_some(handle)
    }

    fn tell(&self, function: Function, write: impl FnOnce(&mut Put<'_>)) -> u32 {
        let told = self.process.call(function, write, no_handle, |take| {
            Ok(LpmStatus(take.narrow()?))
        });
        told.unwrap_or_else(|status| status).0
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        // One that the PCM never took on, or gave up on.
        if !self.is_deinitialized {
            self.process.kill("it is not wanted".to_owned());
        }
    }
}

fn no_handle() -> u64 {
    0
}

fn failure(status: LpmStatus, message: RString) -> AbiFailure {
    AbiFailure {
        status: status.0,
        message,
    }
}

static STATISTICS: AbiStatistics = AbiStatistics { collect };
static REASONS: AbiReasons = AbiReasons { explain };
static HAND_OVER: AbiHandOver = AbiHandOver {
    hand_over,
    take_over,
};

/// # Safety
///
/// `lpm` came with this function from [`AbiLpm::extension`].
unsafe extern "C" fn collect(lpm: &Erased) -> RVec<AbiCounter> {
    // SAFETY: the caller's promise.
    let adapter = unsafe { adapter(lpm) };
    let counters = adapter.process.call(
        Function::Statistics,
        |_| {},
        no_handle,
        |take| {
            take.list(|take| {
                Ok(AbiCounter {
                    name: take.text()?.into(),
                    value: take.number()?,
                })
            })
        },
    );
    counters.unwrap_or_default().into()
}

/// # Safety
///
/// As for `collect`.
unsafe extern "C" fn explain(
    lpm: &Erased,
    request: &AbiAdmit<'_>,
    flow: u16,
    decision: AbiDecision,
    mut into: RSliceMut<'_, u8>,
) -> usize {
    // SAFETY: the caller's promise.
    let adapter = unsafe { adapter(lpm) };
    let write = |put: &mut Put<'_>| {
        decide::Admit::of(request, 0).put(put);
        put.number(flow).plain(&[decision]);
    };
    let written = adapter
        .process
        .call(Function::Explain, write, no_handle, |take| {
            let text = take.plain::<u8>()?;
            let room = into.get_mut(..text.len()).ok_or(Malformed)?;
            room.copy_from_slice(text);
            Ok(text.len())
        });
    written.unwrap_or_default()
}

/// # Safety
///
/// As for `collect`.
unsafe extern "C" fn hand_over(
    lpm: &Erased,
    limit: u64,
    state: &mut RVec<u8>,
) -> RResult<ROption<u32>, AbiFailure> {
    // SAFETY: the caller's promise.
    let adapter = unsafe { adapter(lpm) };
    let given = hand_over::give(&adapter.process, limit, |part| {
        state.extend_from_slice(part);
    });
    given
        .map(Into::into)
        .map_err(|(status, message)| failure(status, message.into()))
        .into()
}

/// # Safety
///
/// As for `collect`.
unsafe extern "C" fn take_over(
    lpm: &Erased,
    format: u32,
    state: RSlice<'_, u8>,
) -> RResult<(), AbiFailure> {
    // SAFETY: the caller's promise.
    let adapter = unsafe { adapter(lpm) };
    hand_over::take(&adapter.process, format, state.as_slice())
        .map_err(|(status, message)| failure(status, message.into()))
        .into()
}

/// # Safety
///
/// `lpm` came from [`AbiLpm::extension`].
unsafe fn adapter(lpm: &Erased) -> &Adapter {
    // SAFETY: the caller's promise; it was made from a reference to this type.
    unsafe { &*ptr::from_ref(lpm).cast() }
}
