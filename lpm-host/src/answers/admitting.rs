//! A message whose LPMs have not all decided yet: a copy of it, and what they said so far.
//!
//! There may be hundreds of them at once, on and on. So a thread keeps those that it is through
//! with, for the messages that it asks about next.

use std::cell::RefCell;
use std::sync::Arc;

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
    received: OwnedReceived,
}

impl Admitting {
    /// One with so many flows, whose caller is still asking.
    pub(crate) fn new(received: &ReceivedMessage<'_>, flow_count: usize) -> Arc<Self> {
        // A thread at its end keeps none.
        let kept = KEPT.try_with(|kept| kept.borrow_mut().pop());
        if let Some(mut kept) = kept.ok().flatten() {
            if let Some(admitting) = Arc::get_mut(&mut kept) {
                admitting.received.replace(received);
                admitting.said.begin_anew(Decisions::new(flow_count));
                return kept;
            }
        }
        Arc::new(Self {
            said: Pending::new(Decisions::new(flow_count)),
            received: received.into(),
        })
    }

    /// The message.
    pub(crate) fn received(&self) -> ReceivedMessage<'_> {
        self.received.view()
    }

    /// Keeps it for another message, which gets it if nobody else has it by then.
    pub(crate) fn keep(self: Arc<Self>) {
        if self.received().message.bytes().len() > LONGEST_KEPT {
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
