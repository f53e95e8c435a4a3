//! The PCM's side of calls: a place in the shared memory for each that is under way.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use super::super::lock::lock;
use super::memory::Memory;
use super::ring::{PLACES, Turn};
use super::words::{Malformed, Put, Take};

/// Where calls into one runner go.
pub(crate) struct Link {
    memory: Memory,
    free: Mutex<Vec<Place>>,
    freed: Condvar,
    has_ended: AtomicBool,
    /// How many frames of the runner's were seen to.
    handled: AtomicU64,
    handling: Mutex<()>,
    progress: Condvar,
}

/// A place in the shared memory, and words that are about to go there, or came from there.
struct Place {
    number: usize,
    words: Vec<u64>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// The process has ended.
    Ended,
    /// There is no room for what was to be said.
    TooLong,
    /// The answer is none.
    Malformed,
}

thread_local! {
    /// Whether this thread sees to what a runner sends, so that nobody else would.
    static SEES_TO_FRAMES: Cell<bool> = const { Cell::new(false) };
}

/// From now on this thread sees to what a runner sends.
pub(crate) fn this_thread_sees_to_frames() {
    SEES_TO_FRAMES.set(true);
}

impl Link {
    pub(crate) fn new(memory: Memory) -> Self {
        let place = |number| Place {
            number,
            words: Vec::new(),
        };
        Self {
            memory,
            free: Mutex::new((0..PLACES).rev().map(place).collect()),
            freed: Condvar::new(),
            has_ended: AtomicBool::new(false),
            handled: AtomicU64::new(0),
            handling: Mutex::default(),
            progress: Condvar::new(),
        }
    }

    /// Makes a call, which `write` says and whose answer `read` takes. `issue` gives it a handle, where it asks for one.
    pub(crate) fn call<R>(
        &self,
        write: impl FnOnce(Put<'_>),
        issue: impl Fn() -> u64,
        read: impl FnOnce(Take<'_>) -> Result<R, Malformed>,
    ) -> Result<R, NoAnswer> {
        let mut place = self.take();
        place.words.clear();
        write(Put(&mut place.words));
        let answer = self.call_in(&mut place, issue).and_then(|()| {
            let mut take = Take(&place.words);
            let frames = take.number().map_err(|Malformed| NoAnswer::Malformed)?;
            self.await_frames(frames);
            read(take).map_err(|Malformed| NoAnswer::Malformed)
        });
        self.give_back(place);
        answer
    }

    fn call_in(&self, place: &mut Place, issue: impl Fn() -> u64) -> Result<(), NoAnswer> {
        let Place { number, words } = place;
        let memory = &self.memory;
        if self.has_ended() {
            return Err(NoAnswer::Ended);
        }
        memory
            .write(*number, words)
            .map_err(|_| NoAnswer::TooLong)?;
        if !memory.hand_over(*number) {
            return Err(NoAnswer::Ended);
        }
        loop {
            match memory.await_turn(*number, || self.has_ended()) {
                Turn::Answered => break,
                Turn::AsksForHandle => memory.give_handle(*number, issue()),
                Turn::Ended => return Err(NoAnswer::Ended),
            }
        }
        memory.read(*number, words);
        Ok(())
    }

    fn take(&self) -> Place {
        let mut free = lock(&self.free);
        loop {
            match free.pop() {
                Some(place) => return place,
                None => {
                    let waited = self.freed.wait(free);
                    free = waited.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    fn give_back(&self, place: Place) {
        let mut free = lock(&self.free);
        free.push(place);
        drop(free);
        self.freed.notify_one();
    }

    /// Waits until so many frames were seen to.
    fn await_frames(&self, frames: u64) {
        let is_missing = || self.handled.load(Ordering::Acquire) < frames && !self.has_ended();
        if !is_missing() || SEES_TO_FRAMES.get() {
            return;
        }
        let handling = lock(&self.handling);
        drop(self.progress.wait_while(handling, |()| is_missing()));
    }

    /// A frame more was seen to.
    pub(crate) fn frame_is_handled(&self) {
        self.handled.fetch_add(1, Ordering::AcqRel);
        self.wake();
    }

    /// Whether calls are under way.
    pub(crate) fn is_calling(&self) -> bool {
        let free = lock(&self.free);
        free.len() < PLACES
    }

    /// From now on calls fail.
    pub(crate) fn close(&self) {
        self.has_ended.store(true, Ordering::Release);
    }

    /// Ends the calls that are under way.
    pub(crate) fn end(&self) {
        self.close();
        self.memory.end();
        self.wake();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    fn wake(&self) {
        // Whoever waits has looked before, or looks after that.
        drop(lock(&self.handling));
        self.progress.notify_all();
    }
}
