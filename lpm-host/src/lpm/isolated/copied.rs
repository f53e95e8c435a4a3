//! A copy of a message, for when the caller does not wait.
//!
//! It is in the words in which it goes to an LPM in a process of its own, so that it is made once.

use super::decide::Received;
use super::words::{Put, Take};
use crate::message::ReceivedMessage;

/// A copy of a received message.
#[derive(Debug)]
pub(crate) struct Copied(Vec<u64>);

impl Copied {
    /// Becomes a copy of another message.
    pub(crate) fn replace(&mut self, received: &ReceivedMessage<'_>) {
        self.0.clear();
        Received::from(received).put(&mut Put(&mut self.0));
    }

    /// The message.
    pub(crate) fn view(&self) -> ReceivedMessage<'_> {
        let received = Received::take(&mut Take(&self.0));
        (&received.expect("what was put is there")).into()
    }

    /// What goes to another process.
    pub(crate) fn words(&self) -> &[u64] {
        &self.0
    }

    /// How many words it has room for.
    pub(crate) fn room(&self) -> usize {
        self.0.capacity()
    }
}

impl From<&ReceivedMessage<'_>> for Copied {
    fn from(received: &ReceivedMessage<'_>) -> Self {
        let mut copied = Self(Vec::new());
        copied.replace(received);
        copied
    }
}
