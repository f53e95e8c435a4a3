//! Results of deferred requests, as LPMs hand them in (lpmapi `cbAdmitResult`, `cbGetRsvpObjects`).

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use abi_stable::std_types::RSlice;
use lpm_abi::{AbiCallbacks, AbiDecision, AbiResult};
use lpm_api::{Decision, LpmHandle, LpmStatus, RequestHandle};

use super::asked::{Asked, Question, Requests};
use super::registry::{self, Registered};
use super::relay::{self, Relay};
use super::shard::Refused;
use crate::answers::decisions::{Decisions, counts_as};
use crate::answers::faults::{self, Function};
use crate::answers::objects::Objects;
use crate::event::{Event, EventId};

/// What every LPM gets.
pub(crate) const CALLBACKS: AbiCallbacks = AbiCallbacks {
    admit_result,
    objects_result,
};

extern "C" fn admit_result(result: AbiResult, decisions: RSlice<'_, AbiDecision>) -> u32 {
    status_of(|| take_decisions(&result, decisions.as_slice()))
}

extern "C" fn objects_result(result: AbiResult, objects: RSlice<'_, u8>) -> u32 {
    status_of(|| take_objects(&result, objects.as_slice()))
}

fn status_of(take: impl FnOnce() -> LpmStatus) -> u32 {
    // What is under it calls wakers, which are the embedder's code.
    catch_unwind(AssertUnwindSafe(take))
        .unwrap_or(LpmStatus::OK)
        .0
}

/// Takes decisions.
pub(crate) fn take_decisions(result: &AbiResult, decisions: &[AbiDecision]) -> LpmStatus {
    take_counted_decisions(result, decisions.len(), None, || decisions)
}

/// Takes so many decisions, which are read once it is known that this is how many were expected:
/// one for each flow, unless `expected` says otherwise.
pub(crate) fn take_counted_decisions<D: AsRef<[AbiDecision]>>(
    result: &AbiResult,
    found: usize,
    expected: Option<usize>,
    decisions: impl FnOnce() -> D,
) -> LpmStatus {
    if let Some(relay) = relay::get() {
        return relayed(relay, result, found, expected, decisions);
    }
    match take(result) {
        Ok((requests, asked)) => decide(&requests, asked, result, found, expected, decisions),
        Err(status) => status,
    }
}

fn decide<D: AsRef<[AbiDecision]>>(
    requests: &Requests,
    asked: Asked,
    result: &AbiResult,
    found: usize,
    expected: Option<usize>,
    decisions: impl FnOnce() -> D,
) -> LpmStatus {
    let lpm = requests.lpm;
    let Question::Admit(admitting) = &asked.question else {
        return reject(requests, asked, "decisions for a request for objects");
    };
    let status = LpmStatus(result.status);
    if !status.is_ok() {
        return failed(requests, asked, status, Function::Admit);
    }
    let expected = expected.unwrap_or_else(|| admitting.said().look(Decisions::flow_count));
    if found != expected {
        let what = format!("{found} decisions, expected {expected}");
        return reject(requests, asked, &what);
    }
    let decisions = decisions();
    let decisions = decisions.as_ref();
    let invalid = decisions
        .iter()
        .find(|found| Decision::from_abi(**found).is_none());
    if let Some(found) = invalid {
        record(lpm, |lpm| faults::invalid_decision(&lpm.about, *found));
    }
    requests.answered(result.request);
    for decision in decisions {
        requests.tally.count_decision(counts_as(*decision).lpv);
    }
    // Whoever waits may stop the LPM at once, so what is to be told is told before.
    admitting.said().answer(|gathered| {
        gathered.add(lpm, asked.order, decisions);
        if result.flags & AbiResult::FORCE_IMMEDIATE_REFRESH != 0 {
            gathered.refresh_at_once();
        }
    });
    match invalid {
        None => LpmStatus::OK,
        Some(_) => LpmStatus::INVALID_RESULTS,
    }
}

/// Hands decisions to a PCM elsewhere. They are not read before it is known how many they are.
#[cold]
fn relayed<D: AsRef<[AbiDecision]>>(
    relay: &dyn Relay,
    result: &AbiResult,
    found: usize,
    expected: Option<usize>,
    decisions: impl FnOnce() -> D,
) -> LpmStatus {
    let flows = relay.flows(result.request);
    match expected.or(flows) {
        Some(expected) if expected == found => relay.decisions(result, decisions().as_ref()),
        Some(expected) => relay.wrong_count(result, found, expected),
        // Nobody waits for them.
        None => relay.decisions(result, &[]),
    }
}

/// Takes POLICY_DATA objects.
pub(crate) fn take_objects(result: &AbiResult, objects: &[u8]) -> LpmStatus {
    if let Some(relay) = relay::get() {
        return relay.objects(result, objects);
    }
    let (requests, asked) = match take(result) {
        Ok(taken) => taken,
        Err(status) => return status,
    };
    let lpm = requests.lpm;
    let Question::Objects(pending) = &asked.question else {
        return reject(&requests, asked, "objects for a request for decisions");
    };
    let status = LpmStatus(result.status);
    if !status.is_ok() {
        return failed(&requests, asked, status, Function::RsvpObjects);
    }
    if result.flags & AbiResult::DROP_MESSAGE != 0 {
        pending.answer(|gathered| gathered.drop_message(lpm, asked.order));
        return LpmStatus::OK;
    }
    let Some(pe_type) = registry::find(lpm, |lpm| lpm.about.pe_type) else {
        return reject(&requests, asked, "objects of an LPM that is being stopped");
    };
    if let Err(problem) = pending.look(|gathered| gathered.check(pe_type, objects)) {
        record(lpm, |lpm| {
            faults::invalid_result(&lpm.about, &problem.to_string())
        });
        pending.answer(Objects::refuse);
        return LpmStatus::INVALID_RESULTS;
    }
    pending.answer(|gathered| gathered.add_checked(lpm, asked.order, objects));
    LpmStatus::OK
}

/// A result that is none, for what is wrong with it.
pub(crate) fn refuse(result: &AbiResult, what: &str) -> LpmStatus {
    if let Some(relay) = relay::get() {
        return relay.refuse(result, what);
    }
    match take(result) {
        Ok((requests, asked)) => reject(&requests, asked, what),
        Err(status) => status,
    }
}

/// That an LPM answered when it had answered before.
#[cold]
pub(crate) fn record_duplicate(lpm: LpmHandle, request: u64) {
    let request = RequestHandle::new(request);
    record_refused(lpm, request, Refused::Answered);
}

/// Takes the request off its LPM's table; a result that cannot be taken is an event.
fn take(result: &AbiResult) -> Result<(Arc<Requests>, Asked), LpmStatus> {
    let request = RequestHandle::new(result.request);
    let taken = registry::find(LpmHandle::new(result.lpm), |lpm| {
        let taken = taken(lpm, request);
        taken.map(|(asked, is_late)| (Arc::clone(&lpm.requests), asked, is_late))
    });
    in_time(taken.unwrap_or(Err(Refused::Closed)), result)
}

/// The request, and whether its time is over.
fn taken(lpm: &Registered, request: RequestHandle) -> Result<(Asked, bool), Refused> {
    lpm.requests.take_in_time(request, &lpm.clock)
}

/// A request that was taken off its table, if its time was not over.
pub(crate) fn in_time<R: Deref<Target = Requests>>(
    taken: Result<(R, Asked, bool), Refused>,
    result: &AbiResult,
) -> Result<(R, Asked), LpmStatus> {
    let lpm = LpmHandle::new(result.lpm);
    let taken = match taken {
        Ok((requests, asked, false)) => Ok((requests, asked)),
        Ok((requests, asked, true)) => {
            // Nobody has looked since its time was over.
            record(lpm, |lpm| {
                faults::not_answered(&lpm.about, 1, lpm.requests.limit())
            });
            requests.fail(asked, LpmStatus::TIME_OUT);
            Err(Refused::TimedOut)
        }
        Err(why) => Err(why),
    };
    match taken {
        Ok(taken) => Ok(taken),
        Err(why) => {
            // Tokens that are dropped after the end of their request are no news.
            let is_news = LpmStatus(result.status) != LpmStatus::FORGOTTEN;
            if is_news && why != Refused::Closed {
                record_refused(lpm, RequestHandle::new(result.request), why);
            }
            Err(why.into())
        }
    }
}

#[cold]
fn record_refused(lpm: LpmHandle, request: RequestHandle, why: Refused) {
    let what = match why {
        Refused::Answered => "answered a request twice",
        Refused::TimedOut => "answered a request after the result time limit",
        _ => "answered a request that it was never asked",
    };
    record(lpm, |lpm| {
        if why == Refused::TimedOut {
            lpm.requests.tally.count_late();
        }
        let detail = format!("{what} (handle {request})");
        let event = lpm.about.about(EventId::LpmResultRefused, detail);
        event.status(why.into())
    });
}

/// A result that is none: the LPM has no further chance.
fn reject(requests: &Requests, asked: Asked, what: &str) -> LpmStatus {
    record(requests.lpm, |lpm| faults::invalid_result(&lpm.about, what));
    requests.fail(asked, LpmStatus::INVALID_RESULTS);
    LpmStatus::INVALID_RESULTS
}

/// The LPM says that it cannot answer, which it may.
fn failed(requests: &Requests, asked: Asked, status: LpmStatus, function: Function) -> LpmStatus {
    let consequence = function.without_answer();
    let detail = format!("a deferred request failed ({status}): {consequence}");
    record(requests.lpm, |lpm| {
        let event = lpm.about.about(EventId::LpmCallFailed, detail);
        event.status(status)
    });
    requests.fail(asked, status);
    LpmStatus::OK
}

/// Records an event about an LPM; outside of the registry, since event logs are the embedder's
/// code.
#[cold]
fn record(lpm: LpmHandle, event: impl FnOnce(&Registered) -> Event) {
    if let Some(lpm) = registry::find(lpm, Registered::clone) {
        lpm.events.record(&event(&lpm));
    }
}
