//! A message whose LPMs have not all decided yet: what they said so far, and a copy of it where
//! others than the caller need that.
//!
//! There may be hundreds of copies at once, on and on. So a thread keeps those that it is through
//! with, for the messages that it asks about next.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

use super::decisions::Decisions;
use super::pending::Pending;
use crate::message::{OwnedReceived, ReceivedMessage};

/// How many a thread keeps.
const MOST_KEPT: usize = 256;
/// Of messages of at most so many bytes, as most are: half a megabyte in all.
const LONGEST_KEPT: usize = 2048;

thread_local! {
    static KEPT: RefCell<Vec<Arc<Admitting>>> = const { RefCell::new(Vec::new()) };
}

/// A message that LPMs are asked about.
pub(crate) struct Admitting {
    pub(crate) said: Pending<Decisions>,
    /// Only where others than the caller need it.
    received: OnceLock<OwnedReceived>,
}

impl Admitting {
    /// One with so many flows, whose caller is still asking, and has the message.
    pub(crate) fn new(flow_count: usize) -> Arc<Self> {
        Arc::new(Self {
            said: Pending::new(Decisions::new(flow_count)),
            received: OnceLock::new(),
        })
    }

    /// The same with a copy of the message.
    pub(crate) fn with_copy(received: &ReceivedMessage<'_>, flow_count: usize) -> Arc<Self> {
        // A thread at its end keeps none.
        let kept = KEPT.try_with(|kept| kept.borrow_mut().pop());
        let anew = |mut kept: Arc<Self>| {
            let Self {
                said,
                received: copy,
            } = Arc::get_mut(&mut kept)?;
            copy.get_mut()?.replace(received);
            said.begin_anew(Decisions::new(flow_count));
            Some(kept)
        };
        kept.ok().flatten().and_then(anew).unwrap_or_else(|| {
            let admitting = Self::new(flow_count);
            admitting.copy(received);
            admitting
        })
    }

    /// Copies the message, if that was not done: others are to see it.
    pub(crate) fn copy(&self, received: &ReceivedMessage<'_>) {
        self.received.get_or_init(|| received.into());
    }

    /// The message, of which there is a copy.
    pub(crate) fn received(&self) -> ReceivedMessage<'_> {
        let copy = self.received.get();
        copy.expect("copied before others are to see it").view()
    }

    /// Keeps it for another message, which gets it if nobody else has it by then.
    pub(crate) fn keep(self: Arc<Self>) {
        let length = self
            .received
            .get()
            .map(|copy| copy.view().message.bytes().len());
        if length.is_none_or(|length| length > LONGEST_KEPT) {
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
