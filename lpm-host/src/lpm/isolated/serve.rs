//! The calls that a runner makes into its LPM.

use std::cell::Cell;
use std::sync::PoisonError;

use abi_stable::std_types::RVec;
use lpm_abi::{AbiDecision, AbiDeinitialize, AbiObjectsRequest};
use lpm_api::{DeinitReason, HandOver, LpmStatus};

use super::super::calls::{self as deferring, Asker, Call};
use super::super::error::{HandOverFailed, LpmError};
use super::super::instance::Instance;
use super::calls::{
    Function, ObjectsRequest, put_answer, take_addresses, take_commit, take_decision,
    take_delete_state, take_reason,
};
use super::decide::{Admit, Decided, Received};
use super::frames::Kind;
use super::hand_over::PART;
use super::many;
use super::runs::Runner;
use super::words::{Malformed, Put, Take};
use crate::lock::lock;
use crate::verdict::PerFlow;

/// Words that stay with a thread from one call to the next: as many as many messages take.
const KEPT: usize = 24_000;

/// What a thread was asked last, and what it answered.
#[derive(Default)]
pub(super) struct Words {
    asked: Vec<u64>,
    answer: Vec<u64>,
}

/// Does what a place asks for, and answers. Where that makes no sense there is another PCM than
/// this runner is for, and its answer is none.
pub(super) fn serve(runner: &Runner, place: usize, words: &mut Words) {
    let Words { asked, answer } = words;
    runner.memory.read(place, asked);
    answer.clear();
    // Room for what is known last: how many frames were sent.
    answer.push(0);
    if answered(runner, place, Take(asked), &mut Put(answer)).is_err() {
        answer.truncate(1);
    }
    report_overstep(runner);
    answer[0] = runner.up.sent();
    if runner.memory.write(place, answer, &[]).is_err() {
        // Nothing that fits follows from that.
        let _ = runner.memory.write(place, &too_long(answer[0]), &[]);
    }
    runner.memory.answer(place);
    for words in [asked, answer] {
        words.clear();
        words.shrink_to(KEPT);
    }
}

/// In place of an answer that is too long: for objects it is the status of a failure, and none for
/// all else.
fn too_long(frames: u64) -> [u64; 5] {
    [frames, LpmStatus::INVALID_RESULTS.0.into(), 0, 0, 0]
}

fn answered(
    runner: &Runner,
    place: usize,
    mut take: Take<'_>,
    put: &mut Put<'_>,
) -> Result<(), Malformed> {
    let function = Function::take(&mut take)?;
    if function == Function::Deinitialize {
        let reason = take_reason(&mut take)?;
        return deinitialize(runner, reason, put);
    }
    let lpm = runner.lpm.read().unwrap_or_else(PoisonError::into_inner);
    let lpm = lpm.as_ref().ok_or(Malformed)?;
    match function {
        Function::Admit => {
            let asked = Admit::take(&mut take)?;
            admit(runner, place, lpm, &asked, put);
        }
        Function::AdmitMany => many::serve(&mut take, put, |asked, put| {
            admit(runner, place, lpm, asked, put);
        })?,
        Function::RsvpObjects => {
            let asked = ObjectsRequest::take(&mut take)?;
            rsvp_objects(runner, place, lpm, &asked, put);
        }
        Function::CommitResv => status(put, lpm.commit_resv(&take_commit(&mut take)?)),
        Function::DeleteState => status(put, lpm.delete_state(&take_delete_state(&mut take)?)),
        Function::IpAddressTable => status(put, lpm.ip_address_table(&take_addresses(&mut take)?)),
        Function::Statistics => {
            let counters = lpm.statistics().ok().flatten().unwrap_or_default();
            put.number(counters.len() as u64);
            for (name, value) in counters {
                put.text(&name).number(value);
            }
        }
        Function::Explain => {
            let asked = Admit::take(&mut take)?;
            let (flow, decision) = (take.narrow()?, take_decision(&mut take)?);
            let asker = asker(&asked, || 0);
            let request = deferring::request(&asker, &[]);
            let why = lpm.explain(&request, flow, decision).ok().flatten();
            put.text(&why.unwrap_or_default());
        }
        Function::HandOver => {
            let limit = take.number()?;
            let given = lpm.hand_over(limit);
            let (given, failed) = match given {
                Ok(given) => (given, None),
                Err(error) => (None, Some(error)),
            };
            said(put, failed);
            let format = given.as_ref().map_or(0, |given| given.format);
            put.number(given.is_some()).number(format);
            let mut state = lock(&runner.state);
            *state = given.map(|given| given.bytes).unwrap_or_default();
            put.number(state.len() as u64);
        }
        Function::HandOverPart => {
            let from: usize = take.narrow()?;
            let state = lock(&runner.state);
            let rest = state.get(from..).ok_or(Malformed)?;
            put.plain(&rest[..rest.len().min(PART)]);
        }
        Function::TakeOverPart => lock(&runner.state).extend_from_slice(take.plain()?),
        Function::TakeOver => {
            let format = take.narrow()?;
            let bytes = std::mem::take(&mut *lock(&runner.state));
            said(put, lpm.take_over(&HandOver { format, bytes }).err());
        }
        Function::Deinitialize => return Err(Malformed),
    }
    Ok(())
}

/// A message that the LPM is asked about.
struct Asked<'a, F> {
    received: &'a Received<'a>,
    issue: F,
    issued: Cell<Option<u64>>,
}

impl<'a, F: Fn() -> u64> Asker for Asked<'a, F> {
    type Received = Received<'a>;

    fn received(&self) -> &Received<'a> {
        self.received
    }

    fn issue(&self) -> u64 {
        self.issued.get().unwrap_or_else(|| {
            let handle = (self.issue)();
            self.issued.set(Some(handle));
            handle
        })
    }
}

fn asker<'a, F: Fn() -> u64>(asked: &'a Admit<'a>, issue: F) -> Asked<'a, F> {
    Asked {
        received: &asked.received,
        issue,
        issued: Cell::new(None),
    }
}

fn admit(runner: &Runner, place: usize, lpm: &Instance, asked: &Admit<'_>, put: &mut Put<'_>) {
    let asker = asker(asked, || handle(runner, place, asked.handle, asked.flows));
    let mut decisions = PerFlow::from_elem(AbiDecision::UNANSWERED, asked.flows);
    let places = Cell::from_mut(&mut *decisions).as_slice_of_cells();
    let answer = lpm.admit(&deferring::request(&asker, places));
    let is_deferred = asker.issued.get().is_some();
    let said = Decided {
        answer,
        is_deferred,
        decisions: &decisions,
    };
    said.put(put);
}

fn rsvp_objects(
    runner: &Runner,
    place: usize,
    lpm: &Instance,
    asked: &ObjectsRequest<'_>,
    put: &mut Put<'_>,
) {
    let call = Call::new(|| handle(runner, place, asked.handle, 0));
    let request = AbiObjectsRequest {
        interface: asked.interface,
        max_policy_data_size: asked.max_policy_data_size,
        message: asked.message,
        defer: call.defer(),
    };
    let mut objects = RVec::new();
    let answer = lpm.rsvp_objects(&request, &mut objects);
    put_answer(put, answer);
    put.plain(objects.as_slice());
}

/// The handle of a request that is put off: the one that came with it, or one that the PCM is asked
/// for.
fn handle(runner: &Runner, place: usize, given: u64, flows: usize) -> u64 {
    let handle = match given {
        0 => runner.memory.ask_for_handle(place),
        given => given,
    };
    runner.up.may_be_answered(handle, flows);
    handle
}

/// What came of state that was handed over.
fn said(put: &mut Put<'_>, failed: Option<HandOverFailed>) {
    let status = match &failed {
        None => LpmStatus::OK,
        Some(HandOverFailed::Lpm(error)) => error.status,
        Some(_) => LpmStatus::FAILED,
    };
    let message = match &failed {
        None => String::new(),
        Some(HandOverFailed::Lpm(error)) => error.message.clone(),
        Some(other) => other.to_string(),
    };
    put.number(status.0).text(&message);
}

fn status(put: &mut Put<'_>, status: LpmStatus) {
    put.number(status.0);
}

fn deinitialize(
    runner: &Runner,
    reason: AbiDeinitialize,
    put: &mut Put<'_>,
) -> Result<(), Malformed> {
    // Not held meanwhile: what the PCM says to others is heard.
    let lpm = {
        let mut lpm = runner.lpm.write().unwrap_or_else(PoisonError::into_inner);
        lpm.take().ok_or(Malformed)?
    };
    let reason = match reason {
        AbiDeinitialize::Demotion => DeinitReason::Demotion,
        AbiDeinitialize::Shutdown => DeinitReason::Shutdown,
        AbiDeinitialize::Reconfiguration => DeinitReason::Reconfiguration,
    };
    match lpm.deinitialize(reason) {
        Ok(()) => put.number(LpmStatus::OK.0).text(""),
        Err(LpmError { status, message }) => put.number(status.0).text(&message),
    };
    Ok(())
}

/// Tells the PCM if an LPM in C wrote beyond what it was given; once, since the first time counts.
fn report_overstep(runner: &Runner) {
    let lpm = runner.lpm.read().unwrap_or_else(PoisonError::into_inner);
    let conduct = lpm.as_ref().and_then(Instance::conduct);
    let Some(what) = conduct.and_then(|conduct| conduct.overstep()) else {
        return;
    };
    if runner.is_overstep_news() {
        runner.up.send(Kind::Overstepped, |put| {
            put.text(what);
        });
    }
}
