//! Where answers come in that an LPM puts off.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use abi_stable::std_types::RSlice;
use lpm_abi::{AbiAnswer, AbiCallbacks, AbiDecision, AbiResult};
use lpm_api::{Decision, LpmHandle, LpmStatus, PeType};

use super::{Answered, Supplied};
use crate::answers::objects;

/// How long a test waits for another thread of the LPM, in real time: longer than any machine takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What every LPM gets.
pub(super) const CALLBACKS: AbiCallbacks = AbiCallbacks {
    admit_result,
    objects_result,
};

/// The desks of all LPMs of this process, by handle.
static DESKS: Mutex<BTreeMap<LpmHandle, Arc<Desk>>> = Mutex::new(BTreeMap::new());

/// The requests that one LPM has put off.
pub(super) struct Desk {
    handle: LpmHandle,
    limit: Duration,
    state: Mutex<State>,
    answered: Condvar,
}

#[derive(Default)]
struct State {
    elapsed: Duration,
    requests: BTreeMap<u64, Request>,
}

struct Request {
    question: Question,
    deadline: Duration,
    answer: Option<Taken>,
}

#[derive(Clone, Copy)]
enum Question {
    Decisions { flow_count: usize },
    Objects { pe_type: PeType, room: u32 },
}

/// The end of a request.
#[derive(Clone)]
enum Taken {
    Decisions(Answered),
    Objects(Supplied),
    Failed(LpmStatus),
}

/// An answer that may still be to come.
#[must_use]
pub struct Pending<A>(Inner<A>);

enum Inner<A> {
    Here(A),
    Open { desk: Arc<Desk>, request: u64 },
}

impl<A: Answer> Pending<A> {
    pub(super) const fn here(answer: A) -> Self {
        Self(Inner::Here(answer))
    }

    /// The answer, if it is there.
    #[must_use]
    pub fn answer(&self) -> Option<A> {
        match &self.0 {
            Inner::Here(answer) => Some(answer.clone()),
            Inner::Open { desk, request } => desk.answer(*request).map(A::of),
        }
    }

    /// Waits for the answer, which comes from another thread.
    ///
    /// # Panics
    ///
    /// When none comes for a minute. The clock of the [`TestPcm`](super::TestPcm) stands still meanwhile, so
    /// the result time limit never passes by itself.
    #[must_use]
    pub fn wait(self) -> A {
        match self.0 {
            Inner::Here(answer) => answer,
            Inner::Open { desk, request } => A::of(desk.wait(request)),
        }
    }
}

impl<A: Answer> std::fmt::Debug for Pending<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Pending").field(&self.answer()).finish()
    }
}

/// What can be waited for: [`Answered`] and [`Supplied`].
#[expect(private_interfaces, reason = "only this module implements it")]
pub trait Answer: Clone + std::fmt::Debug {
    #[doc(hidden)]
    fn of(taken: Taken) -> Self;
}

#[expect(private_interfaces, reason = "as in the trait")]
impl Answer for Answered {
    fn of(taken: Taken) -> Self {
        match taken {
            Taken::Decisions(answered) => answered,
            Taken::Objects(_) => Self::Failed(LpmStatus::INVALID_RESULTS),
            Taken::Failed(status) => Self::Failed(status),
        }
    }
}

#[expect(private_interfaces, reason = "as in the trait")]
impl Answer for Supplied {
    fn of(taken: Taken) -> Self {
        match taken {
            Taken::Objects(supplied) => supplied,
            Taken::Decisions(_) => Self::Failed(LpmStatus::INVALID_RESULTS),
            Taken::Failed(status) => Self::Failed(status),
        }
    }
}

impl Desk {
    /// A desk for the LPM with this handle.
    pub(super) fn open(handle: LpmHandle, limit: Duration) -> Arc<Self> {
        let desk = Arc::new(Self {
            handle,
            limit,
            state: Mutex::default(),
            answered: Condvar::new(),
        });
        lock(&DESKS).insert(handle, Arc::clone(&desk));
        desk
    }

    /// Fails what is open, and takes no more.
    pub(super) fn close(&self) {
        lock(&DESKS).remove(&self.handle);
        self.fail(LpmStatus::INVALID_LPM_HANDLE, |_| true);
    }

    pub(super) fn elapsed(&self) -> Duration {
        lock(&self.state).elapsed
    }

    pub(super) fn advance(&self, by: Duration) {
        let now = {
            let mut state = lock(&self.state);
            state.elapsed += by;
            state.elapsed
        };
        self.fail(LpmStatus::TIME_OUT, |request| request.deadline <= now);
    }

    /// A handle for a request for decisions.
    pub(super) fn expect_decisions(&self, flow_count: usize) -> u64 {
        self.issue(Question::Decisions { flow_count })
    }

    /// A handle for a request for objects.
    pub(super) fn expect_objects(&self, pe_type: PeType, room: u32) -> u64 {
        self.issue(Question::Objects { pe_type, room })
    }

    /// The answer to this request, when it comes.
    pub(super) fn pending<A>(self: &Arc<Self>, request: u64) -> Pending<A> {
        let desk = Arc::clone(self);
        Pending(Inner::Open { desk, request })
    }

    fn issue(&self, question: Question) -> u64 {
        let mut state = lock(&self.state);
        let deadline = state.elapsed + self.limit;
        let number = state.requests.len() as u64 + 1;
        let request = Request {
            question,
            deadline,
            answer: None,
        };
        state.requests.insert(number, request);
        number
    }

    fn answer(&self, request: u64) -> Option<Taken> {
        lock(&self.state).requests.get(&request)?.answer.clone()
    }

    fn wait(&self, request: u64) -> Taken {
        let unanswered = |state: &mut State| {
            let request = state.requests.get(&request);
            request.is_some_and(|request| request.answer.is_none())
        };
        let state = lock(&self.state);
        let waited = self
            .answered
            .wait_timeout_while(state, PATIENCE, unanswered);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let answer = state.requests.get(&request);
        let answer = answer.and_then(|request| request.answer.clone());
        // Not while the lock is held.
        drop(state);
        answer.unwrap_or_else(|| {
            panic!("no answer for {PATIENCE:?}: the LPM kept the token of request {request}")
        })
    }

    fn fail(&self, status: LpmStatus, which: impl Fn(&Request) -> bool) {
        let mut state = lock(&self.state);
        let open = state.requests.values_mut();
        for request in open.filter(|request| request.answer.is_none() && which(request)) {
            request.answer = Some(Taken::Failed(status));
        }
        self.answered.notify_all();
    }

    /// Takes an answer; the status is what the LPM is told.
    fn take(&self, request: u64, answer: impl FnOnce(Question) -> Taken) -> LpmStatus {
        let mut state = lock(&self.state);
        let Some(request) = state.requests.get_mut(&request) else {
            return LpmStatus::INVALID_REQUEST_HANDLE;
        };
        match &request.answer {
            Some(Taken::Failed(LpmStatus::TIME_OUT)) => return LpmStatus::TIME_OUT,
            Some(_) => return LpmStatus::DUPLICATE_RESULTS,
            None => {}
        }
        let taken = answer(request.question);
        let status = match &taken {
            Taken::Failed(status)
            | Taken::Decisions(Answered::Failed(status))
            | Taken::Objects(Supplied::Failed(status))
                if *status == LpmStatus::INVALID_RESULTS =>
            {
                *status
            }
            _ => LpmStatus::OK,
        };
        request.answer = Some(taken);
        self.answered.notify_all();
        status
    }
}

extern "C" fn admit_result(result: AbiResult, decisions: RSlice<'_, AbiDecision>) -> u32 {
    on_desk(&result, |question| match question {
        Question::Decisions { flow_count } if flow_count == decisions.len() => {
            let status = LpmStatus(result.status);
            let refresh = result.flags & AbiResult::FORCE_IMMEDIATE_REFRESH != 0;
            let flags = match refresh {
                true => AbiAnswer::FORCE_IMMEDIATE_REFRESH,
                false => 0,
            };
            Taken::Decisions(decided(status, flags, decisions.as_slice()))
        }
        _ => Taken::Failed(failure(&result)),
    })
}

extern "C" fn objects_result(result: AbiResult, objects: RSlice<'_, u8>) -> u32 {
    on_desk(&result, |question| match question {
        Question::Objects { pe_type, room } => {
            let status = LpmStatus(result.status);
            let drops = result.flags & AbiResult::DROP_MESSAGE != 0;
            Taken::Objects(supplied(status, drops, objects.as_slice(), pe_type, room))
        }
        Question::Decisions { .. } => Taken::Failed(failure(&result)),
    })
}

fn on_desk(result: &AbiResult, answer: impl FnOnce(Question) -> Taken) -> u32 {
    let desk = lock(&DESKS).get(&LpmHandle::new(result.lpm)).cloned();
    let status = match desk {
        Some(desk) => desk.take(result.request, answer),
        None => LpmStatus::INVALID_LPM_HANDLE,
    };
    status.0
}

/// The LPM's own failure, or that the result is none.
fn failure(result: &AbiResult) -> LpmStatus {
    match LpmStatus(result.status) {
        LpmStatus::OK => LpmStatus::INVALID_RESULTS,
        status => status,
    }
}

/// What a PCM makes of an answer.
pub(super) fn decided(status: LpmStatus, flags: u32, decisions: &[AbiDecision]) -> Answered {
    if !status.is_ok() {
        return Answered::Failed(status);
    }
    let decisions = decisions
        .iter()
        .map(|decision| Decision::from_abi(*decision));
    match decisions.collect::<Option<Vec<Decision>>>() {
        Some(decisions) => Answered::Decided {
            decisions,
            immediate_refresh: flags & AbiAnswer::FORCE_IMMEDIATE_REFRESH != 0,
        },
        None => Answered::Failed(LpmStatus::INVALID_RESULTS),
    }
}

/// What a PCM makes of objects.
pub(super) fn supplied(
    status: LpmStatus,
    drops: bool,
    objects: &[u8],
    pe_type: PeType,
    room: u32,
) -> Supplied {
    if !status.is_ok() {
        return Supplied::Failed(status);
    }
    if drops {
        return Supplied::Drop;
    }
    match objects::check(objects, pe_type, room as usize) {
        Ok(()) => Supplied::Objects(objects.to_vec()),
        Err(_) => Supplied::Failed(LpmStatus::INVALID_RESULTS),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
