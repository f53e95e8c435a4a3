//! A bounded queue between two threads, which pass on as much as there is at a time: neither wakes
//! the other for every single item. What was taken goes back in exchange, so that its memory is
//! used again.

use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Makes a queue that holds so many items at most.
pub(super) fn queue<T>(capacity: usize) -> (Giver<T>, Taker<T>) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            items: Items::new(),
            is_giver_gone: false,
            is_taker_gone: false,
            is_giver_waiting: false,
            is_taker_waiting: false,
        }),
        has_room: Condvar::new(),
        has_items: Condvar::new(),
        capacity,
    });
    let taker = Taker {
        shared: Arc::clone(&shared),
        taken: Items::new(),
        next: 0,
    };
    (Giver { shared }, taker)
}

/// Puts items in.
pub(super) struct Giver<T> {
    shared: Arc<Shared<T>>,
}

/// Takes them out.
pub(in super::super) struct Taker<T> {
    shared: Arc<Shared<T>>,
    /// Taken out of the queue together.
    taken: Items<T>,
    /// The first of them that was not asked for yet.
    next: usize,
}

/// Items, and behind them those that are to be used again.
struct Items<T> {
    places: Vec<T>,
    count: usize,
}

/// What a [`Taker`] gets.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum Next<T> {
    Item(T),
    /// Nothing has come in time.
    Nothing,
    /// Nothing will come any more.
    End,
}

/// Nobody takes items any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Abandoned;

struct Shared<T> {
    state: Mutex<State<T>>,
    has_room: Condvar,
    has_items: Condvar,
    capacity: usize,
}

struct State<T> {
    items: Items<T>,
    is_giver_gone: bool,
    is_taker_gone: bool,
    is_giver_waiting: bool,
    is_taker_waiting: bool,
}

impl<T: Default> Giver<T> {
    /// Puts an item in, as soon as there is room, and leaves in its place one that was used before,
    /// or a new one.
    pub(super) fn give(&self, item: &mut T) -> Result<(), Abandoned> {
        let mut state = self.shared.lock();
        while state.items.count >= self.shared.capacity && !state.is_taker_gone {
            state.is_giver_waiting = true;
            let woken = self.shared.has_room.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        if state.is_taker_gone {
            return Err(Abandoned);
        }
        state.items.add(item);
        self.shared.wake_taker(state);
        Ok(())
    }
}

impl<T> Drop for Giver<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_giver_gone = true;
        self.shared.wake_taker(state);
    }
}

impl<T> Taker<T> {
    /// The next item. When there is none, it first runs `idle`, and then waits for so long.
    pub(super) fn take(&mut self, patience: Duration, idle: impl FnOnce()) -> Next<&T> {
        if self.next < self.taken.count {
            self.next += 1;
            return Next::Item(&self.taken.places[self.next - 1]);
        }
        self.taken.count = 0;
        self.next = 0;
        let mut state = self.shared.lock();
        if state.items.count == 0 && !state.is_giver_gone {
            drop(state);
            idle();
            state = self.shared.lock();
        }
        if state.items.count == 0 && !state.is_giver_gone {
            state.is_taker_waiting = true;
            let woken = self.shared.has_items.wait_timeout(state, patience);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
            state.is_taker_waiting = false;
        }
        mem::swap(&mut state.items, &mut self.taken);
        let is_over = state.is_giver_gone;
        if mem::take(&mut state.is_giver_waiting) {
            drop(state);
            self.shared.has_room.notify_one();
        }
        match self.taken.first() {
            Some(item) => {
                self.next = 1;
                Next::Item(item)
            }
            None if is_over => Next::End,
            None => Next::Nothing,
        }
    }
}

impl<T> Items<T> {
    fn new() -> Self {
        Self {
            places: Vec::new(),
            count: 0,
        }
    }

    fn first(&self) -> Option<&T> {
        self.places[..self.count].first()
    }
}

impl<T: Default> Items<T> {
    fn add(&mut self, item: &mut T) {
        match self.places.get_mut(self.count) {
            Some(used) => mem::swap(used, item),
            None => self.places.push(mem::take(item)),
        }
        self.count += 1;
    }
}

impl<T> Drop for Taker<T> {
    fn drop(&mut self) {
        self.shared.lock().is_taker_gone = true;
        self.shared.has_room.notify_one();
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing panics under it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_taker(&self, mut state: MutexGuard<'_, State<T>>) {
        if mem::take(&mut state.is_taker_waiting) {
            drop(state);
            self.has_items.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    const LONG: Duration = Duration::from_secs(3_600);

    #[test]
    fn all_items_arrive_in_order() {
        let (giver, mut taker) = queue(3);
        let giving =
            thread::spawn(move || (0..10_000).try_for_each(|mut item| giver.give(&mut item)));
        for expected in 0..10_000 {
            assert_eq!(taker.take(LONG, || ()), Next::Item(&expected));
        }
        assert_eq!(taker.take(LONG, || ()), Next::End);
        assert_eq!(giving.join().unwrap(), Ok(()));
    }

    #[test]
    fn what_was_given_arrives_though_the_giver_is_gone() {
        let (giver, mut taker) = queue(3);
        giver.give(&mut 1).unwrap();
        giver.give(&mut 2).unwrap();
        drop(giver);
        assert_eq!(taker.take(LONG, || ()), Next::Item(&1));
        assert_eq!(taker.take(LONG, || ()), Next::Item(&2));
        assert_eq!(taker.take(LONG, || ()), Next::End);
    }

    #[test]
    fn a_giver_without_a_taker_ends() {
        let (giver, taker) = queue(1);
        giver.give(&mut 1).unwrap();
        let giving = thread::spawn(move || giver.give(&mut 2));
        drop(taker);
        assert_eq!(giving.join().unwrap(), Err(Abandoned));
    }

    #[test]
    fn idleness_is_told_before_waiting() {
        let (giver, mut taker) = queue(1);
        assert_eq!(
            taker.take(LONG, || giver.give(&mut 7).unwrap()),
            Next::Item(&7),
            "what comes meanwhile is not waited for"
        );
        let mut idle = 0;
        assert_eq!(taker.take(Duration::ZERO, || idle += 1), Next::Nothing);
        assert_eq!(idle, 1);
        giver.give(&mut 8).unwrap();
        assert_eq!(taker.take(LONG, || idle += 1), Next::Item(&8));
        assert_eq!(idle, 1);
    }

    #[test]
    fn what_was_taken_comes_back() {
        let (giver, mut taker) = queue(2);
        let mut item = String::from("first");
        let memory = item.as_ptr();
        for (next, before) in [("second", ""), ("third", "first"), ("fourth", "second")] {
            giver.give(&mut item).unwrap();
            assert!(matches!(taker.take(LONG, || ()), Next::Item(_)));
            assert_eq!(taker.take(Duration::ZERO, || ()), Next::Nothing);
            assert_eq!(item, before);
            assert_eq!(item.as_ptr() == memory, before == "first");
            item.clear();
            item.push_str(next);
        }
    }
}
