//! Requests for decisions that wait, in order, and their messages in the words in which those go to
//! an LPM in a process of its own: as many as one call takes are one piece.

use std::collections::VecDeque;
use std::mem;

use super::copied::Copied;
use super::decide::{Admit, Received};
use super::words::Take;

/// Words that stay when all of them are gone: as many as many messages take.
const KEPT: usize = 24_000;

/// A request for decisions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query {
    pub(crate) request: u64,
    pub(crate) flow_count: usize,
    /// How many words it takes.
    length: usize,
}

/// The words of requests, in order; those that are over come first.
#[derive(Default)]
pub(crate) struct Waiting {
    words: Vec<u64>,
    over: usize,
}

/// Requests that were taken on, and their words.
#[derive(Default)]
pub(crate) struct Batch {
    queries: VecDeque<Query>,
    words: Waiting,
}

impl Waiting {
    /// Adds a request about a message with so many flows.
    pub(crate) fn push(&mut self, request: u64, flow_count: usize, message: &Copied) -> Query {
        let message = message.words();
        let head = Admit::head(request, flow_count);
        self.words.reserve(head.len() + message.len());
        self.words.extend_from_slice(&head);
        self.words.extend_from_slice(message);
        Query {
            request,
            flow_count,
            length: head.len() + message.len(),
        }
    }

    fn left(&self) -> &[u64] {
        self.words.get(self.over..).unwrap_or_default()
    }

    /// The first words are over.
    fn skip(&mut self, length: usize) {
        self.over += length;
        // What is left is moved to the front when it is the smaller part.
        if self.over > self.words.len() / 2 {
            self.words.drain(..self.over.min(self.words.len()));
            self.over = 0;
        }
    }

    fn clear(&mut self) {
        self.words.clear();
        self.words.shrink_to(KEPT);
        self.over = 0;
    }
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.queries.is_empty()
    }

    pub(crate) const fn queries(&self) -> &VecDeque<Query> {
        &self.queries
    }

    /// Takes on the first requests that wait, in place of those it had.
    pub(crate) fn take(&mut self, waiting: &mut Waiting, queries: impl Iterator<Item = Query>) {
        self.clear();
        self.queries.extend(queries);
        let length: usize = self.queries.iter().map(|query| query.length).sum();
        let left = waiting.left();
        if length == left.len() {
            // That takes no longer for many.
            mem::swap(waiting, &mut self.words);
        } else {
            self.words.words.extend(left.iter().take(length));
            waiting.skip(length);
        }
    }

    /// Gives back the requests that are left, the last one first, each of which `each` gets.
    pub(crate) fn give_back(&mut self, waiting: &mut Waiting, each: impl FnMut(Query)) {
        self.queries.drain(..).rev().for_each(each);
        let given = self.words.left().iter().copied();
        waiting.words.splice(..waiting.over, given);
        waiting.over = 0;
        self.clear();
    }

    /// The first requests, as many as take so many words, and one more: how many, and their words.
    pub(super) fn first(&self, enough: usize) -> (usize, &[u64]) {
        let (mut count, mut length) = (0, 0);
        for query in &self.queries {
            if length > enough {
                break;
            }
            count += 1;
            length += query.length;
        }
        (count, self.words.left().get(..length).unwrap_or_default())
    }

    /// The requests, each with its message.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Query, Received<'_>)> {
        let mut take = Take(self.words.left());
        self.queries.iter().map_while(move |query| {
            let admit = Admit::take(&mut take);
            Some((query, admit.ok()?.received))
        })
    }

    /// So many of the first requests are over.
    pub(crate) fn skip(&mut self, count: usize) {
        let gone = self.queries.drain(..count.min(self.queries.len()));
        let length = gone.map(|query| query.length).sum();
        self.words.skip(length);
    }

    pub(crate) fn clear(&mut self) {
        self.queries.clear();
        self.words.clear();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::SystemTime;

    use lpm_abi::AbiTime;
    use lpm_api::Interface;
    use lpm_rsvp::Message;
    use proptest::prelude::*;

    use super::*;
    use crate::lpm::calls::Facts;
    use crate::message::ReceivedMessage;

    /// A copy of a message that is nothing but its number, so often.
    fn copied(number: u32, times: usize) -> Copied {
        let bytes = number.to_ne_bytes().repeat(times);
        Copied::from(&ReceivedMessage {
            message: Message::from_index(&bytes, &[]),
            interface: Interface {
                index: number,
                address: Ipv4Addr::LOCALHOST.into(),
            },
            received: SystemTime::UNIX_EPOCH,
            integrity_verified: number % 2 == 0,
        })
    }

    fn is_of(received: &Received<'_>, number: u32) -> bool {
        let AbiTime { seconds, .. } = received.time();
        let bytes = received.message().bytes;
        let mut parts = bytes.as_slice().chunks(size_of::<u32>());
        parts.all(|part| part == number.to_ne_bytes())
            && received.interface().index == number
            && received.integrity_verified() == (number % 2 == 0)
            && seconds == 0
    }

    /// What happens to requests.
    #[derive(Clone, Debug)]
    enum Step {
        Push(usize),
        /// So many are taken on, so many are seen to, and the rest is given back.
        Take(usize, usize),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            // So that often some are left, and often none.
            8 => (0..40_usize).prop_map(Step::Push),
            2 => (1..10_usize, 0..10_usize).prop_map(|(take, see_to)| Step::Take(take, see_to)),
        ]
    }

    proptest! {
        #[test]
        fn each_request_comes_once_in_order_with_its_message(
            steps in proptest::collection::vec(any_step(), 0..100),
        ) {
            let (mut waiting, mut batch) = (Waiting::default(), Batch::default());
            let (mut queries, mut pushed, mut seen) = (VecDeque::new(), 0, 0);
            for step in steps {
                match step {
                    Step::Push(times) => {
                        let message = copied(pushed, times);
                        queries.push_back(waiting.push(pushed.into(), times, &message));
                        pushed += 1;
                    }
                    Step::Take(take, see_to) => {
                        let take = take.min(queries.len());
                        batch.take(&mut waiting, queries.drain(..take));
                        prop_assert_eq!(batch.iter().count(), take);
                        for (number, (query, received)) in (seen..).zip(batch.iter()) {
                            prop_assert_eq!(query.request, u64::from(number));
                            prop_assert!(is_of(&received, number));
                        }
                        let see_to = see_to.min(take);
                        batch.skip(see_to);
                        seen += u32::try_from(see_to).unwrap();
                        batch.give_back(&mut waiting, |query| queries.push_front(query));
                        prop_assert!(batch.is_empty());
                    }
                }
            }
            batch.take(&mut waiting, queries.into_iter());
            prop_assert_eq!(batch.iter().count(), (pushed - seen) as usize);
            let mut left = (seen..).zip(batch.iter());
            prop_assert!(left.all(|(number, (_, received))| is_of(&received, number)));
        }
    }

    #[test]
    fn as_many_go_into_one_call_as_there_is_room_for() {
        let (mut waiting, mut batch) = (Waiting::default(), Batch::default());
        let queries: Vec<_> = (0..3)
            .map(|number| waiting.push(number, 1, &copied(7, 100)))
            .collect();
        batch.take(&mut waiting, queries.iter().copied());
        let all = batch.first(usize::MAX).1.to_vec();
        let length = all.len() / 3;
        for (enough, expected) in [(0, 1), (length - 1, 1), (length, 2), (2 * length, 3)] {
            let words = &all[..expected * length];
            assert_eq!(batch.first(enough), (expected, words), "{enough}");
        }
    }
}
