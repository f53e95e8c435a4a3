//! The PCM's side of calls: a place in the shared memory for each that is under way.

use std::cell::Cell;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::memory::Memory;
use super::turns::{PLACES, Turn};
use super::watch::Watch;
use super::words::{Malformed, Put, Take};
use crate::lock::lock;

/// Where calls into one runner go.
pub(crate) struct Link {
    memory: Memory,
    free: Mutex<Free>,
    freed: Condvar,
    has_ended: AtomicBool,
    /// How many frames of the runner's were seen to.
    handled: AtomicU64,
    handling: Mutex<()>,
    progress: Condvar,
}

/// The places that no call has.
struct Free {
    places: Vec<Place>,
    /// How many calls wait for one: waking is a system call.
    wanted: usize,
}

/// A place in the shared memory, and words that are about to go there, or came from there.
struct Place {
    number: usize,
    words: Vec<u64>,
    /// Over its answers.
    watch: Watch,
}

/// A place that a call has, until that is over.
struct Taken<'a> {
    place: Place,
    link: &'a Link,
}

/// How long to wait before calls are ended once more.
const AGAIN: Duration = Duration::from_millis(10);

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
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let place = |number| Place {
            number,
            words: Vec::new(),
            watch: Watch::on(processors),
        };
        let free = Free {
            places: (0..PLACES).rev().map(place).collect(),
            wanted: 0,
        };
        Self {
            memory,
            free: Mutex::new(free),
            freed: Condvar::new(),
            has_ended: AtomicBool::new(false),
            handled: AtomicU64::new(0),
            handling: Mutex::default(),
            progress: Condvar::new(),
        }
    }

    /// Makes a call, which `write` says, and `more` after that, and whose answer `read` takes.
    /// `issue` gives it a handle, where it asks for one.
    pub(crate) fn call<R>(
        &self,
        write: impl FnOnce(Put<'_>),
        more: &[u64],
        issue: impl Fn() -> u64,
        read: impl FnOnce(Take<'_>) -> Result<R, Malformed>,
    ) -> Result<R, NoAnswer> {
        let mut taken = self.take();
        let place = &mut taken.place;
        place.words.clear();
        write(Put(&mut place.words));
        self.call_in(place, more, issue)?;
        let mut take = Take(&place.words);
        let frames = take.number().map_err(|Malformed| NoAnswer::Malformed)?;
        self.await_frames(frames);
        read(take).map_err(|Malformed| NoAnswer::Malformed)
    }

    fn call_in(
        &self,
        place: &mut Place,
        more: &[u64],
        issue: impl Fn() -> u64,
    ) -> Result<(), NoAnswer> {
        let Place {
            number,
            words,
            watch,
        } = place;
        let memory = &self.memory;
        // Who ends a call that was not ended here makes that up.
        let ended = || match self.has_ended() {
            true => NoAnswer::Ended,
            false => NoAnswer::Malformed,
        };
        if self.has_ended() {
            return Err(NoAnswer::Ended);
        }
        memory
            .write(*number, words, more)
            .map_err(|_| NoAnswer::TooLong)?;
        if !memory.hand_over(*number) {
            return Err(ended());
        }
        let mut has_handle = false;
        loop {
            match memory.await_turn(*number, watch, || self.has_ended()) {
                Turn::Answered => break,
                // One call has one handle, so that nobody is kept busy with giving it.
                Turn::AsksForHandle if !has_handle => {
                    has_handle = true;
                    memory.give_handle(*number, issue());
                }
                Turn::AsksForHandle | Turn::Nonsense => return Err(NoAnswer::Malformed),
                Turn::Ended => return Err(ended()),
            }
        }
        memory.read(*number, words);
        Ok(())
    }

    fn take(&self) -> Taken<'_> {
        let mut free = lock(&self.free);
        loop {
            match free.places.pop() {
                Some(place) => return Taken { place, link: self },
                None => {
                    free.wanted += 1;
                    let waited = self.freed.wait(free);
                    free = waited.unwrap_or_else(PoisonError::into_inner);
                    free.wanted -= 1;
                }
            }
        }
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
        free.places.len() < PLACES
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

    /// Waits until none is, and ends them again meanwhile: others than the process that is gone may
    /// have the memory, and may have taken back what ended them.
    pub(crate) fn see_off(&self) {
        while self.is_calling() {
            thread::sleep(AGAIN);
            self.end();
        }
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

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let place = Place {
            number: self.place.number,
            words: mem::take(&mut self.place.words),
            watch: mem::take(&mut self.place.watch),
        };
        let mut free = lock(&self.link.free);
        free.places.push(place);
        let is_wanted = free.wanted > 0;
        drop(free);
        if is_wanted {
            self.link.freed.notify_one();
        }
    }
}
