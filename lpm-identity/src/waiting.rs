//! Requests that wait: until somebody was looked up, or until there is room on a server.

use std::sync::{Arc, Mutex, PoisonError};

use lpm_api::{Decision, LpmPolicyError};
use smallvec::SmallVec;

use crate::consider::{Next, Question, Verdict, WaitsFor};
use crate::desk::Desk;
use crate::directory::Directory;
use crate::usage::Request;

/// The verdicts on the flows of a message, in its order.
pub type Verdicts = SmallVec<[Verdict; 8]>;

/// Does what these verdicts wait for, and hands over the decisions when all are made. `complete` is
/// dropped when that cannot be any more.
pub(crate) fn settle(
    directory: Option<&Directory>,
    desk: &Arc<Desk>,
    verdicts: Verdicts,
    complete: impl FnOnce(&[Decision]) + Send + 'static,
) {
    let mut questions: Vec<(usize, Box<Question>)> = Vec::new();
    let mut decisions = Vec::with_capacity(verdicts.len());
    for (place, verdict) in verdicts.into_iter().enumerate() {
        decisions.push(match verdict {
            Verdict::Decided(decision) => decision,
            Verdict::Later(question) => {
                questions.push((place, question));
                Decision::reject(LpmPolicyError::NoResources)
            }
        });
    }
    if questions.is_empty() {
        return complete(&decisions);
    }
    let waiting = Arc::new(Waiting {
        decisions: Mutex::new((decisions, questions.len())),
        complete: Mutex::new(Some(complete)),
    });
    for (place, question) in questions {
        let (waiting, for_later) = (Arc::clone(&waiting), Arc::clone(desk));
        let (direction, counted) = (question.flow().direction(), Arc::clone(desk));
        let decided = move |decision| {
            counted.counters.count(direction, decision);
            waiting.decided(place, decision);
        };
        match (&question.waits_for, directory) {
            (WaitsFor::User(user, ..), Some(directory)) => {
                directory.look_up((**user).clone(), move |found| {
                    match question.go_on(&for_later, found) {
                        Next::Decided(decision) => decided(decision),
                        Next::Question(question) => reserve(&for_later, question, decided),
                    }
                });
            }
            _ => reserve(desk, question, decided),
        }
    }
}

/// Reserves room, and decides when there is some or not.
fn reserve(
    desk: &Arc<Desk>,
    question: Box<Question>,
    decided: impl FnOnce(Decision) + Send + 'static,
) {
    let (WaitsFor::Room(granted), Some(shared)) = (&question.waits_for, &desk.shared) else {
        return decided(Decision::reject(LpmPolicyError::NoResources));
    };
    let (flow, account) = (granted.reservation.flow, granted.reservation.label.clone());
    let (amounts, limits) = (granted.reservation.amounts, granted.limits.everywhere());
    let for_later = Arc::clone(desk);
    shared.queue.reserve(Request {
        flow,
        account,
        amounts,
        limits,
        then: Box::new(move |reserved| decided(question.decide(&for_later, reserved))),
    });
}

/// A message of which not all is decided yet.
struct Waiting<C> {
    /// The decisions, and how many of them are still to come.
    decisions: Mutex<(Vec<Decision>, usize)>,
    complete: Mutex<Option<C>>,
}

impl<C: FnOnce(&[Decision])> Waiting<C> {
    fn decided(&self, place: usize, decision: Decision) {
        let mut guard = self
            .decisions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (decisions, outstanding) = &mut *guard;
        decisions[place] = decision;
        *outstanding -= 1;
        if *outstanding == 0 {
            let complete = self
                .complete
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            if let Some(complete) = complete {
                complete(decisions);
            }
        }
    }
}
