//! One initialization of an LPM against `lpmapi.h`, as the host calls it.

use std::ffi::c_int;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use abi_stable::std_types::{ROption, RResult, RSlice, RStr, RString, RVec};
use lpm_abi::{
    AbiAddressRow, AbiAdmit, AbiAnswer, AbiCommit, AbiDeinitialize, AbiDeleteState, AbiExtension,
    AbiFailure, AbiInit, AbiInitialized, AbiLpm, AbiObjectsRequest, Admit,
};
use lpm_api::abi::message;
use lpm_api::{Decision, LpmHandle, LpmStatus};
use lpm_rsvp::{Message, class};

use super::super::error::LpmError;
use super::callbacks::{admit_result, objects_result};
use super::grouped::per_flow;
use super::header::{
    API_VERSION, AddressRow, InitInfo, Object, PCM_VERSION, PolicyDecision, RESULT_DEFER,
    RESULT_READY,
};
use super::lent::{Lent, Plan};
use super::library::CLibrary;
use super::memory::{allocate, free};
use super::message::{Copies, Objects, count, interface, message_type, put, unknown_object};
use super::supplied::Supplied;
use super::values::{Kept, as_pointer, decision, first, row};
use crate::event::{Event, EventId};

/// An initialized LPM.
struct Adapter {
    library: Arc<CLibrary>,
    name: Arc<str>,
    handle: u64,
    time_limit: Duration,
    /// What it was told when it was initialized, and may still point to.
    _init: Kept,
    is_deinitialized: bool,
    /// Whether it was put on record that it is not asked about some messages.
    has_said: AtomicBool,
}

/// No PE type: what stands there until `LPM_Initialize` sets one.
const NO_PE_TYPE: u16 = 0xFFFF;

/// It is being stopped, and the request for which there is no handle is over.
const STOPPED: AbiAnswer = AbiAnswer::with_flags(AbiAnswer::DEFERRED);

/// Initializes the library's LPM once more.
pub(crate) fn initialize(
    library: &Arc<CLibrary>,
    name: &Arc<str>,
    init: &AbiInit<'_>,
) -> Result<AbiInitialized, LpmError> {
    let failed = |status: LpmStatus, message: String| Err(LpmError { status, message });
    if !init.config.trim().is_empty() {
        let message = "an LPM against lpmapi.h is given no configuration: the API has no place for one. Take \
                       `config` away, and let the LPM find its own, in a file or in the environment";
        return failed(LpmStatus::BAD_CONFIGURATION, message.to_owned());
    }
    let time_limit = Duration::from_millis(init.result_time_limit);
    let seconds = init.result_time_limit.div_ceil(1000);
    let mut told = Kept::new(InitInfo {
        pcm_version: PCM_VERSION,
        result_time_limit: u32::try_from(seconds).unwrap_or(u32::MAX),
        lpm_count: c_int::try_from(init.lpm_count).unwrap_or(c_int::MAX),
        alloc_memory: allocate,
        free_memory: free,
        admit_result,
        objects_result,
    });
    let handle = init.handle;
    let (mut version, mut pe_type) = (0, NO_PE_TYPE);
    // SAFETY: whoever trusts the library vouches for its functions; what the pointers lead to is
    // there until the call returns, and `told` as long as the LPM is.
    let status = library.during(|| unsafe {
        (library.exports.initialize)(
            as_pointer(handle),
            told.pointer(),
            &raw mut version,
            &raw mut pe_type,
            ptr::null_mut(),
        )
    });
    if status != LpmStatus::OK.0 {
        let message = "LPM_Initialize says no more than its status".to_owned();
        return failed(LpmStatus(status), message);
    }
    library.add(handle);
    let adapter = Adapter {
        library: Arc::clone(library),
        name: Arc::clone(name),
        handle,
        time_limit,
        _init: told,
        is_deinitialized: false,
        has_said: AtomicBool::new(false),
    };
    // Where it is refused it is deinitialized, since it is dropped.
    match (version, pe_type) {
        (API_VERSION, NO_PE_TYPE) => failed(
            LpmStatus::FAILED,
            "LPM_Initialize did not set the PE type; LPM_PE_ALL_TYPES is 0".to_owned(),
        ),
        (API_VERSION, pe_type) => Ok(AbiInitialized::new(adapter, pe_type.into())),
        (other, _) => failed(
            LpmStatus::FAILED,
            format!(
                "it speaks version {other} of the LPM API, and this host version {API_VERSION}"
            ),
        ),
    }
}

impl Admit for Adapter {
    fn admit(&self, request: &AbiAdmit<'_>) -> AbiAnswer {
        let message = message(&request.message);
        match self.is_for_it(&message) {
            Ok(true) => {}
            Ok(false) => {
                for place in request.places {
                    place.set(Decision::DontCare.into());
                }
                return AbiAnswer::with_flags(0);
            }
            Err(status) => return AbiAnswer::failed(status),
        }
        let number = request.call.issue().number();
        if number == 0 {
            return STOPPED;
        }
        let mut plan = Plan::new();
        let objects = Objects::of(&mut plan, message);
        let received = interface(&mut plan, request.call.interface().into());
        let raw = plan.put(message.bytes(), 0);
        let flags = plan.room_for::<u64>(1);
        let decisions = plan.room_for::<PolicyDecision>(objects.decision_count());
        let lent = plan.lend();
        let length = count(message.bytes().len());
        self.library
            .grouped
            .note(number, &objects.groups, self.time_limit);
        // SAFETY: as in `initialize`. All pointers lead into `lent`, or nowhere where the message
        // has no such object.
        let returned = self.library.during(|| unsafe {
            (self.library.exports.admit)(
                as_pointer(number),
                lent.pointer(received),
                objects.pointer(&lent),
                length,
                lent.pointer(raw),
                lent.pointer(flags),
                lent.pointer(decisions),
                ptr::null_mut(),
            )
        });
        if returned != RESULT_DEFER {
            self.library.grouped.take(number);
        }
        if let Err(status) = self.kept_to(&lent, "LPM_AdmitRsvpMsg") {
            return AbiAnswer::failed(status);
        }
        match returned {
            RESULT_READY => {
                let given: Vec<_> = lent.read(decisions).map(decision).collect();
                let per_flow = per_flow(&given, &objects.groups);
                for (place, decision) in request.places.iter().zip(per_flow) {
                    place.set(decision);
                }
                AbiAnswer::with_flags(first(&lent, flags) & AbiAnswer::FORCE_IMMEDIATE_REFRESH)
            }
            RESULT_DEFER => AbiAnswer::with_flags(AbiAnswer::DEFERRED),
            other => AbiAnswer::failed(LpmStatus(other)),
        }
    }
}

impl AbiLpm for Adapter {
    fn rsvp_objects(&self, request: &AbiObjectsRequest<'_>, objects: &mut RVec<u8>) -> AbiAnswer {
        let message = message(&request.message);
        match self.is_for_it(&message) {
            Ok(true) => {}
            Ok(false) => return AbiAnswer::with_flags(0),
            Err(status) => return AbiAnswer::failed(status),
        }
        let number = request.defer.issue().number();
        if number == 0 {
            return STOPPED;
        }
        let mut plan = Plan::new();
        let outgoing = Objects::of(&mut plan, message);
        let sending = interface(&mut plan, request.interface.into());
        let supplied_count = plan.room_for::<u64>(1);
        let list = plan.room_for::<*mut *mut Object>(1);
        let lent = plan.lend();
        // SAFETY: as in `admit`.
        let returned = self.library.during(|| unsafe {
            (self.library.exports.rsvp_objects)(
                as_pointer(number),
                request.max_policy_data_size,
                lent.pointer(sending),
                outgoing.pointer(&lent),
                lent.pointer(supplied_count),
                lent.pointer(list),
                ptr::null_mut(),
            )
        });
        if let Err(status) = self.kept_to(&lent, "LPM_GetRsvpObjects") {
            return AbiAnswer::failed(status);
        }
        let supplied_count = c_int::from_ne_bytes(first(&lent, supplied_count).to_ne_bytes());
        let list = lent.read(list).next().unwrap_or_default();
        let list = usize::try_from(list).unwrap_or_default();
        let supplied = || Supplied::new(supplied_count, ptr::with_exposed_provenance_mut(list));
        match returned {
            RESULT_READY => match supplied().bytes() {
                Ok(bytes) => {
                    objects.extend(bytes);
                    AbiAnswer::with_flags(0)
                }
                Err(problem) => {
                    self.record(
                        EventId::LpmResultRefused,
                        Some(LpmStatus::INVALID_RESULTS),
                        format!("invalid result: {problem}"),
                    );
                    // That is on record: it supplies nothing.
                    AbiAnswer::with_flags(0)
                }
            },
            Decision::LPV_DROP_MSG => {
                drop(supplied());
                AbiAnswer::with_flags(AbiAnswer::DROP_MESSAGE)
            }
            RESULT_DEFER => AbiAnswer::with_flags(AbiAnswer::DEFERRED),
            other => AbiAnswer::failed(LpmStatus(other)),
        }
    }

    fn commit_resv(&self, commit: &AbiCommit<'_>) -> u32 {
        let message = message(&commit.message);
        self.tell(&message, "LPM_CommitResv", |plan| {
            let mut copies = Copies::of(message);
            let session = copies.first(plan, class::SESSION);
            let style = copies.first(plan, class::STYLE);
            let senders = copies.list_of_senders(plan, Some(commit.flow));
            let merged = match commit.merged.is_empty() {
                true => copies.traffic(plan, commit.flow),
                false => Some(put(plan, commit.merged.as_slice(), class::FLOWSPEC)),
            };
            let installed = interface(plan, commit.interface.into());
            // SAFETY: as in `admit`.
            move |lent: &Lent| unsafe {
                (self.library.exports.commit_resv)(
                    lent.pointer_if(session),
                    lent.pointer(installed),
                    lent.pointer_if(style),
                    senders.count(),
                    senders.pointer(lent),
                    lent.pointer_if(merged),
                    commit.decision,
                );
                LpmStatus::OK
            }
        })
    }

    fn delete_state(&self, state: &AbiDeleteState<'_>) -> u32 {
        let message = message(&state.message);
        self.tell(&message, "LPM_DeleteState", |plan| {
            let mut copies = Copies::of(message);
            let session = copies.first(plan, class::SESSION);
            let hop = copies.first(plan, class::RSVP_HOP);
            let style = copies.first(plan, class::STYLE);
            let senders = copies.list_of_senders(plan, state.flow.into_option());
            let received = state.interface.into_option();
            let received = received.map(|received| interface(plan, received.into()));
            let reason = c_int::try_from(state.reason).unwrap_or_default();
            // SAFETY: as in `admit`.
            move |lent: &Lent| unsafe {
                (self.library.exports.delete_state)(
                    lent.pointer_if(received),
                    message_type(&message),
                    lent.pointer_if(session),
                    lent.pointer_if(hop),
                    lent.pointer_if(style),
                    senders.count(),
                    senders.pointer(lent),
                    reason,
                );
                LpmStatus::OK
            }
        })
    }

    fn ip_address_table(&self, table: RSlice<'_, AbiAddressRow>) -> u32 {
        if let Some(status) = self.is_silent() {
            return status.0;
        }
        let rows: Vec<_> = table.iter().filter_map(row).collect();
        let mut plan = Plan::new();
        let at = plan.room_for::<AddressRow>(rows.len());
        let lent = plan.lend();
        let rows_count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        lent.write(at, rows);
        // SAFETY: as in `admit`.
        let taken = self.library.during(|| unsafe {
            (self.library.exports.ip_address_table)(rows_count, lent.pointer(at))
        });
        match self.kept_to(&lent, "LPM_IpAddressTable") {
            Err(status) => status.0,
            Ok(()) if taken == 0 => LpmStatus::REFUSED.0,
            Ok(()) => LpmStatus::OK.0,
        }
    }

    fn extension(&self, _: RStr<'_>) -> ROption<AbiExtension<'_>> {
        ROption::RNone
    }

    fn deinitialize(&mut self, _: AbiDeinitialize) -> RResult<(), AbiFailure> {
        match self.end() {
            LpmStatus::OK => RResult::ROk(()),
            LpmStatus(status) => RResult::RErr(AbiFailure {
                status,
                message: RString::from("LPM_Deinitialize says no more than its status"),
            }),
        }
    }
}

impl Adapter {
    /// Whether the library is to be asked or told about a message in the name of this
    /// initialization.
    fn is_for_it(&self, message: &Message<'_>) -> Result<bool, LpmStatus> {
        match self.is_silent() {
            Some(LpmStatus::OK) => return Ok(false),
            Some(status) => return Err(status),
            None => {}
        }
        let Some(unknown) = unknown_object(message) else {
            return Ok(true);
        };
        if !self.has_said.swap(true, Ordering::Relaxed) {
            let detail = format!(
                "not asked about a {} message: lpmapi.h knows IPv4, not {unknown}; the LPM counts as without \
                 an opinion there, and on all messages of the kind",
                message.message_type()
            );
            self.record(EventId::LpmNotAsked, None, detail);
        }
        Ok(false)
    }

    /// Why the library is not called: another initialization speaks for it, or it wrote where it
    /// should not.
    fn is_silent(&self) -> Option<LpmStatus> {
        match self.library.conduct.overstep() {
            Some(_) => Some(LpmStatus::QUARANTINED),
            None if self.library.speaker() != Some(self.handle) => Some(LpmStatus::OK),
            None => None,
        }
    }

    /// Tells the library something about a message; `lay_out` says what is lent, and gives the
    /// call.
    fn tell<C: FnOnce(&Lent) -> LpmStatus>(
        &self,
        message: &Message<'_>,
        function: &str,
        lay_out: impl FnOnce(&mut Plan) -> C,
    ) -> u32 {
        let status = self.is_for_it(message).and_then(|is_for_it| {
            if !is_for_it {
                return Ok(LpmStatus::OK);
            }
            let mut plan = Plan::new();
            let call = lay_out(&mut plan);
            let lent = plan.lend();
            let status = self.library.during(|| call(&lent));
            self.kept_to(&lent, function).map(|()| status)
        });
        status.unwrap_or_else(|status| status).0
    }

    /// Whether the call wrote into nothing but what it was lent.
    fn kept_to(&self, lent: &Lent, function: &str) -> Result<(), LpmStatus> {
        match lent.overrun() {
            0 => {}
            bytes => self.library.conduct.note(format!(
                "{function} wrote beyond what it was given (at least {bytes} bytes)"
            )),
        }
        // It may have been seen elsewhere, too.
        match self.library.conduct.overstep() {
            None => Ok(()),
            Some(_) => Err(LpmStatus::QUARANTINED),
        }
    }

    fn record(&self, id: EventId, status: Option<LpmStatus>, detail: String) {
        let mut event = Event::new(id, detail)
            .lpm(Arc::clone(&self.name))
            .handle(LpmHandle::new(self.handle))
            .library(self.library.path());
        event.status = status;
        self.library.events.record(&event);
    }

    /// Deinitializes it, unless that was done.
    fn end(&mut self) -> LpmStatus {
        if self.is_deinitialized {
            return LpmStatus::INVALID_LPM_HANDLE;
        }
        self.is_deinitialized = true;
        // SAFETY: as in `initialize`.
        let status = self
            .library
            .during(|| unsafe { (self.library.exports.deinitialize)(as_pointer(self.handle)) });
        self.library.remove(self.handle);
        LpmStatus(status)
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        // One that the PCM never took on.
        if !self.is_deinitialized {
            let _ = self.end();
        }
    }
}
