//! A message whose LPMs have not all decided yet: what they said so far, and a copy of it where
//! others than the caller need that.
//!
//! There may be hundreds of copies at once, on and on. So a thread keeps those that it is through
//! with, for the messages that it asks about next.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use lpm_abi::AbiDecision;
use lpm_api::LpmHandle;

use super::aggregate::Aggregate;
use super::decisions::Decisions;
use super::only::{Only, Word};
use super::pending::{Notice, Pending};
use crate::dispatch::Dispatcher;
use crate::lpm::isolated::copied::Copied;
use crate::message::ReceivedMessage;
use crate::verdict::Verdict;

/// How many a thread keeps.
const MOST_KEPT: usize = 256;
/// Of so many words at most, as those of most messages are: half a megabyte in all.
const LONGEST_KEPT: usize = 256;

thread_local! {
    static KEPT: RefCell<Vec<Arc<Admitting>>> = const { RefCell::new(Vec::new()) };
}

/// A message that LPMs are asked about.
pub(crate) struct Admitting {
    said: Pending<Decisions>,
    /// What the only LPM decides on the only flow, and which that is; where there are more of
    /// either, that is left open.
    only: Only,
    by: LpmHandle,
    /// Only where others than the caller need it.
    received: OnceLock<Copied>,
}

impl Admitting {
    /// One with so many flows, whose caller is still asking, and has the message.
    pub(crate) fn new(flow_count: usize) -> Arc<Self> {
        Arc::new(Self {
            said: Pending::new(Decisions::new(flow_count)),
            only: Only::new(Word::Looked),
            by: LpmHandle::new(0),
            received: OnceLock::new(),
        })
    }

    /// One with one flow and a copy of the message, which nobody asks about any more: what is still
    /// to come is the answer of one LPM, the first in configured order.
    pub(crate) fn of_one_lpm(by: LpmHandle, received: &ReceivedMessage<'_>) -> Arc<Self> {
        // A thread at its end keeps none.
        let kept = KEPT.try_with(|kept| kept.borrow_mut().pop());
        let anew = |mut kept: Arc<Self>| {
            let admitting = Arc::get_mut(&mut kept)?;
            admitting.received.get_mut()?.replace(received);
            admitting.said.begin_anew(Decisions::new(1));
            admitting.only = Only::new(Word::Open);
            admitting.by = by;
            Some(kept)
        };
        kept.ok().flatten().and_then(anew).unwrap_or_else(|| {
            Arc::new(Self {
                said: Pending::new(Decisions::new(1)),
                only: Only::new(Word::Open),
                by,
                received: OnceLock::from(Copied::from(received)),
            })
        })
    }

    /// Copies the message, if that was not done: others are to see it.
    pub(crate) fn copy(&self, received: &ReceivedMessage<'_>) {
        self.received.get_or_init(|| received.into());
    }

    /// The message, of which there is a copy.
    pub(crate) fn received(&self) -> ReceivedMessage<'_> {
        self.copied().view()
    }

    /// That copy.
    pub(crate) fn copied(&self) -> &Copied {
        let copied = self.received.get();
        copied.expect("copied before others are to see it")
    }

    /// What the LPMs said so far, and who waits for the rest.
    pub(crate) fn said(&self) -> &Pending<Decisions> {
        if let Word::Decided(decision) = self.only.look() {
            self.said.answer(|said| said.add(self.by, 0, &[decision]));
        }
        &self.said
    }

    /// Adds the legal decisions of an LPM on its flows. If somebody waits for them it is the caller
    /// who [tells](Pending::tell) them.
    #[inline]
    pub(crate) fn decide_quietly(
        &self,
        by: LpmHandle,
        order: u32,
        decisions: &[AbiDecision],
    ) -> Option<Notice<Decisions>> {
        match decisions {
            [decision] if self.only.decide(*decision) => None,
            _ => {
                let add = |said: &mut Decisions| said.add(by, order, decisions);
                self.said.answer_quietly(add)
            }
        }
    }

    /// Whether the last answer came.
    pub(crate) fn is_complete(&self) -> bool {
        match self.only.get() {
            Word::Open => false,
            Word::Decided(_) => true,
            Word::Looked => self.said.is_complete(),
        }
    }

    /// Waits for the last answer.
    pub(crate) fn wait(&self) -> Verdict {
        self.decided()
            .unwrap_or_else(|| self.said().wait().verdict())
    }

    /// As of a future.
    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<Verdict> {
        match self.decided() {
            Some(verdict) => Poll::Ready(verdict),
            None => self.said().poll(context).map(|said| said.verdict()),
        }
    }

    /// Has `callback` called with the verdict, once the last LPM answered, by a thread of the
    /// PCM's.
    pub(crate) fn then(
        &self,
        dispatcher: &Arc<Dispatcher>,
        callback: impl FnOnce(Verdict) + Send + 'static,
    ) {
        let callback = move |said: Decisions| callback(said.verdict());
        self.said().then(dispatcher, Box::new(callback));
    }

    /// The verdict, where the only LPM has decided.
    fn decided(&self) -> Option<Verdict> {
        match self.only.get() {
            Word::Decided(decision) => {
                let said = Aggregate::of(decision, self.by, 0);
                Some(Verdict::of_one(said.verdict()))
            }
            Word::Open | Word::Looked => None,
        }
    }

    /// Keeps it for another message, which gets it if nobody else has it by then.
    pub(crate) fn keep(self: Arc<Self>) {
        let room = self.received.get().map(Copied::room);
        if room.is_none_or(|room| room > LONGEST_KEPT) {
            return;
        }
        // A thread at its end keeps none.
        let _ = KEPT.try_with(|kept| {
            let mut kept = kept.borrow_mut();
            if kept.len() < MOST_KEPT {
                kept.push(self);
            }
        });
    }
}
