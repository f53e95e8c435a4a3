//! Requests that wait until somebody was looked up.

use std::sync::{Arc, Mutex, PoisonError};

use lpm_api::{Decision, LpmPolicyError};
use smallvec::SmallVec;

use crate::consider::{Question, Verdict};
use crate::desk::Desk;
use crate::directory::Directory;

/// The verdicts on the flows of a message, in its order.
pub type Verdicts = SmallVec<[Verdict; 8]>;

/// Asks the directory what has to be known for these verdicts, and hands over the decisions when
/// all is known. `complete` is dropped when the directory is closed first.
pub(crate) fn look_up(
    directory: &Directory,
    desk: &Arc<Desk>,
    verdicts: Verdicts,
    complete: impl FnOnce(&[Decision]) + Send + 'static,
) {
    let mut questions: Vec<(usize, Box<Question>)> = Vec::new();
    let mut decisions = Vec::with_capacity(verdicts.len());
    for (place, verdict) in verdicts.into_iter().enumerate() {
        decisions.push(match verdict {
            Verdict::Decided(decision) => decision,
            Verdict::LookUp(question) => {
                questions.push((place, question));
                Decision::reject(LpmPolicyError::NoResources)
            }
        });
    }
    let waiting = Arc::new(Waiting {
        decisions: Mutex::new((decisions, questions.len())),
        complete: Mutex::new(Some(complete)),
    });
    for (place, question) in questions {
        let (waiting, desk) = (Arc::clone(&waiting), Arc::clone(desk));
        directory.look_up(question.user.clone(), move |found| {
            waiting.decided(place, question.decide(&desk, found));
        });
    }
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
