//! A table of outstanding requests: handles that are never valid twice, in a few tens of bytes
//! each.
//!
//! A slot serves one request after the other; its generation tells them apart. The handle is
//! generation, shard and index, so finding a request is a look at one slot. Exactly one of answer,
//! timeout and closing takes a request: whoever gets it out of its slot, under the lock of the
//! slot's shard. Threads issue in shards of their own, so that they seldom meet there.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use self::sync::{Mutex, MutexGuard};
use super::shard::{INDEX_BITS, Refused, Shard};

/// The primitives of the standard library, or those that the model checker watches.
mod sync {
    #[cfg(all(test, loom))]
    pub(super) use loom::sync::*;
    #[cfg(not(all(test, loom)))]
    pub(super) use std::sync::*;
}

#[cfg(not(all(test, loom)))]
const SHARDS: usize = 8;
#[cfg(all(test, loom))]
const SHARDS: usize = 1;

/// Outstanding requests.
pub(crate) struct Table<T> {
    shards: [Mutex<Shard<T>>; SHARDS],
}

impl<T> Table<T> {
    pub(crate) fn new() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::new(Shard::new())),
        }
    }

    /// Puts a request on the table; its handle is never 0. When the table is closed, or full with
    /// 2³¹ requests, the request comes back.
    pub(crate) fn issue(&self, request: T, deadline: u32) -> Result<u64, T> {
        let number = shard_of_thread();
        let (index, generation) = lock(&self.shards[number]).issue(request, deadline)?;
        Ok(handle(generation, number, index))
    }

    /// Takes a request off the table: it is answered.
    pub(crate) fn take(&self, handle: u64) -> Result<T, Refused> {
        let taken = self.take_in_time(handle, |_| false);
        taken.map(|(request, _)| request)
    }

    /// Like [`take`](Self::take), but as a request that timed out if `is_over` says so of its
    /// deadline; whether it does is told besides.
    pub(crate) fn take_in_time(
        &self,
        handle: u64,
        is_over: impl FnOnce(u32) -> bool,
    ) -> Result<(T, bool), Refused> {
        let (generation, number, index) = parts(handle);
        let shard = self.shards.get(number).ok_or(Refused::Unknown)?;
        lock(shard).take(index, generation, is_over)
    }

    /// The same for many requests, each of which is given to `each`, under the lock.
    pub(crate) fn take_many_in_time(
        &self,
        handles: impl Iterator<Item = u64>,
        is_over: impl Fn(u32) -> bool,
        mut each: impl FnMut(Result<(T, bool), Refused>),
    ) {
        let mut locked = None;
        for handle in handles {
            let (generation, number, index) = parts(handle);
            // One thread's lie in one shard.
            if !matches!(locked, Some((of, _)) if of == number) {
                // Never two at once.
                drop(locked.take());
                locked = self.shards.get(number).map(|shard| (number, lock(shard)));
            }
            each(match &mut locked {
                Some((_, shard)) => shard.take(index, generation, &is_over),
                None => Err(Refused::Unknown),
            });
        }
    }

    /// Takes the requests off the table whose deadline is `now` or before.
    pub(crate) fn expire(&self, now: u32) -> Vec<T> {
        let mut expired = Vec::new();
        for shard in &self.shards {
            lock(shard).expire(now, &mut expired);
        }
        expired
    }

    /// Closes the table, and gives what was on it to `each`.
    pub(crate) fn close(&self, mut each: impl FnMut(T)) {
        for shard in &self.shards {
            // In a statement of its own: what `each` does is not done under the lock.
            let outstanding = lock(shard).close();
            outstanding.for_each(&mut each);
        }
    }

    /// How many requests are on the table.
    pub(crate) fn outstanding(&self) -> usize {
        let shards = self.shards.iter();
        shards.map(|shard| lock(shard).outstanding()).sum()
    }
}

/// 32 bits generation, 4 bits shard, 28 bits index.
fn handle(generation: u32, shard: usize, index: usize) -> u64 {
    u64::from(generation) << 32 | (shard as u64) << INDEX_BITS | index as u64
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "each part is cut out of the handle"
)]
fn parts(handle: u64) -> (u32, usize, usize) {
    let low = handle as u32;
    (
        (handle >> 32) as u32,
        (low >> INDEX_BITS) as usize,
        low as usize & ((1 << INDEX_BITS) - 1),
    )
}

fn shard_of_thread() -> usize {
    // The standard library's also under the model checker, which need not look at it.
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static SHARD: Cell<usize> = const { Cell::new(usize::MAX) });
    // A thread at its end may have lost the number.
    SHARD
        .try_with(|shard| {
            if shard.get() == usize::MAX {
                shard.set(THREADS.fetch_add(1, Ordering::Relaxed) % SHARDS);
            }
            shard.get()
        })
        .unwrap_or(0)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No foreign code runs under it.
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::BTreeMap;
    use std::thread;

    use proptest::prelude::*;

    use super::super::shard::CHUNK;
    use super::*;

    #[test]
    fn a_request_is_taken_once() {
        let table = Table::new();
        let handle = table.issue("a", 10).unwrap();
        assert_ne!(handle, 0);
        assert_eq!(table.take(handle), Ok("a"));
        assert_eq!(table.take(handle), Err(Refused::Answered));
        let next = table.issue("b", 10).unwrap();
        assert_ne!(next, handle);
        assert_eq!(table.take(handle), Err(Refused::Answered));
        assert_eq!(table.outstanding(), 1);
    }

    #[test]
    fn many_are_taken_as_they_are_one_by_one() {
        let table = Table::new();
        let mut handles: Vec<_> = (0..3).map(|at| table.issue(at, 10 * at).unwrap()).collect();
        // In another thread's shard.
        handles.push(thread::scope(|scope| {
            let issued = scope.spawn(|| table.issue(3, 30).unwrap());
            issued.join().unwrap()
        }));
        assert_eq!(table.take(handles[1]), Ok(1));
        handles.extend([handles[0], u64::MAX]);
        let mut taken = Vec::new();
        let is_over = |deadline| deadline < 20;
        table.take_many_in_time(handles.into_iter(), is_over, |one| taken.push(one));
        let answered = Err(Refused::Answered);
        let timed_out = Err(Refused::TimedOut);
        let unknown = Err(Refused::Unknown);
        let expected = [
            Ok((0, true)),
            answered,
            Ok((2, false)),
            Ok((3, false)),
            timed_out,
            unknown,
        ];
        assert_eq!(taken, expected);
        assert_eq!(table.outstanding(), 0);
    }

    #[test]
    fn handles_that_were_never_issued_are_unknown() {
        let table = Table::new();
        let handle = table.issue((), 0).unwrap();
        for forged in [0, 1, u64::MAX, handle + (1 << 32), handle + 1, 15 << 28] {
            assert_eq!(table.take(forged), Err(Refused::Unknown), "{forged:#x}");
        }
        assert_eq!(table.take(handle), Ok(()));
    }

    #[test]
    fn a_late_answer_is_late_until_its_slot_is_needed() {
        let table = Table::new();
        let late = table.issue(0, 5).unwrap();
        let other = table.issue(1, 50).unwrap();
        assert_eq!(table.expire(4), []);
        assert_eq!(table.expire(5), [0]);
        assert_eq!(table.take(other), Ok(1));
        for number in 2..1000 {
            let handle = table.issue(number, 50).unwrap();
            assert_eq!(table.take(handle), Ok(number));
        }
        assert_eq!(table.take(late), Err(Refused::TimedOut));
    }

    #[test]
    fn a_late_answer_is_late_while_others_are_outstanding() {
        let table = Table::new();
        let late = table.issue(0, 5).unwrap();
        assert_eq!(table.expire(5), [0]);
        for number in 1..CHUNK {
            table.issue(number, 50).unwrap();
        }
        assert_eq!(table.take(late), Err(Refused::TimedOut));
        table.issue(CHUNK, 50).unwrap();
        assert_eq!(table.take(late), Err(Refused::Answered));
    }

    #[test]
    fn time_may_wrap_around() {
        let table = Table::new();
        let start = u32::MAX - 2;
        table.issue("wraps", start.wrapping_add(10)).unwrap();
        assert!(table.expire(start).is_empty());
        assert!(table.expire(3).is_empty());
        assert_eq!(table.expire(7), ["wraps"]);
    }

    #[test]
    fn a_closed_table_gives_everything_back() {
        let table = Table::new();
        let handle = table.issue(1, 5).unwrap();
        table.issue(2, 5).unwrap();
        let mut rejected = Vec::new();
        table.close(|request| rejected.push(request));
        assert_eq!(rejected, [1, 2]);
        assert_eq!(table.take(handle), Err(Refused::Closed));
        assert_eq!(table.issue(3, 5), Err(3));
        assert_eq!(table.outstanding(), 0);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Issue(u32),
        Take(usize),
        Advance(u32),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1..50u32).prop_map(Step::Issue),
            any::<usize>().prop_map(Step::Take),
            (0..20u32).prop_map(Step::Advance),
        ]
    }

    proptest! {
        #[test]
        fn the_table_is_a_map(steps in proptest::collection::vec(any_step(), 0..200)) {
            let table = Table::new();
            let mut model = BTreeMap::new();
            let mut issued = Vec::new();
            let mut now = 0;
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Issue(limit) => {
                        let handle = table.issue(number, now + limit).unwrap();
                        prop_assert!(!issued.contains(&handle));
                        issued.push(handle);
                        model.insert(handle, (number, now + limit));
                    }
                    Step::Take(which) if !issued.is_empty() => {
                        let handle = issued[which % issued.len()];
                        let expected = model.remove(&handle).map(|(number, _)| number);
                        prop_assert_eq!(table.take(handle).ok(), expected);
                    }
                    Step::Take(_) => {}
                    Step::Advance(by) => {
                        now += by;
                        let mut expired = table.expire(now);
                        expired.sort_unstable();
                        let over: Vec<_> = model
                            .iter()
                            .filter(|(_, (_, deadline))| *deadline <= now)
                            .map(|(handle, (number, _))| (*handle, *number))
                            .collect();
                        for (handle, _) in &over {
                            model.remove(handle);
                        }
                        let mut over: Vec<_> = over.into_iter().map(|(_, number)| number).collect();
                        over.sort_unstable();
                        prop_assert_eq!(expired, over);
                    }
                }
                prop_assert_eq!(table.outstanding(), model.len());
            }
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    /// An answer, a timeout and closing race for one request; exactly one gets it.
    #[test]
    fn one_of_answer_timeout_and_close_wins() {
        loom::model(|| {
            let table = Arc::new(Table::new());
            let handle = table.issue((), 1).unwrap();
            let answer = {
                let table = Arc::clone(&table);
                thread::spawn(move || usize::from(table.take(handle).is_ok()))
            };
            let timeout = {
                let table = Arc::clone(&table);
                thread::spawn(move || table.expire(2).len())
            };
            let mut closed = 0;
            table.close(|()| closed += 1);
            let taken = closed + answer.join().unwrap() + timeout.join().unwrap();
            assert_eq!(taken, 1);
            assert_eq!(table.outstanding(), 0);
        });
    }

    /// Of two requests issued while the table is closed, each is either refused or rejected.
    #[test]
    fn nothing_is_left_on_a_closed_table() {
        loom::model(|| {
            let table = Arc::new(Table::new());
            let issuer = {
                let table = Arc::clone(&table);
                thread::spawn(move || {
                    let refused = |number| usize::from(table.issue(number, 9).is_err());
                    refused(1) + refused(2)
                })
            };
            let mut rejected = 0;
            table.close(|_| rejected += 1);
            assert_eq!(rejected + issuer.join().unwrap(), 2);
        });
    }
}
