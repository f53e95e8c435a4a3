//! The memory that a PCM shares with a runner: places for calls, and how they change hands. Nothing
//! in it is locked.
//!
//! A caller writes what it asks into a place of its own, gives the runner the turn, marks the place
//! as one that waits, and rings. A thread of the runner's takes the mark off, and with it the
//! place; it does what is asked, writes the answer there, and gives the turn back. It may give the
//! turn back once before, to ask for a handle. Who has not the turn sleeps on it (a futex). As many
//! places as wait are served by one thread of the runner's that is awake.
//!
//! Ringing wakes a thread only where all that are awake are in calls. One that is about to look for
//! a place sees what was marked, and wakes another one where more is marked than it takes. So a
//! caller whose next call comes before the runner's thread sleeps again has that thread serve it,
//! and wakes none.
//!
//! Everything in it is an atomic, so that a runner that writes where it likes does the PCM no harm
//! but to be told nonsense. A caller sleeps without a limit: who sees the runner's end [says
//! so](Shared::end) again and again, as long as there are calls.

use sync::{AtomicU32, AtomicU64, Ordering};

/// The primitives of the standard library, or those that the model checker watches.
mod sync {
    #[cfg(all(test, loom))]
    pub(super) use loom::sync::atomic::*;
    #[cfg(not(all(test, loom)))]
    pub(super) use std::sync::atomic::*;
}

/// How many calls may be under way at once.
#[cfg(not(all(test, loom)))]
pub(crate) const PLACES: usize = 64;
#[cfg(all(test, loom))]
pub(crate) const PLACES: usize = 2;

/// Words in a place: more than the longest message takes, with an index of objects that have no
/// bodies.
#[cfg(not(all(test, loom)))]
const ROOM: usize = 40_960;
#[cfg(all(test, loom))]
const ROOM: usize = 2;

/// The shared memory. All zeros is how it begins.
#[repr(C, align(4096))]
pub(crate) struct Shared {
    /// The places that wait for the runner, a bit each.
    waiting: Line<AtomicU64>,
    /// Counts the calls; the runner's threads sleep on it.
    bell: Line<Word>,
    /// How many of them do, or are about to; and, times [`LOOKS`], how many look for a place.
    threads: Line<AtomicU32>,
    places: [Place; PLACES],
}

/// On a cache line of its own.
#[repr(C, align(64))]
struct Line<T>(T);

#[repr(C, align(64))]
struct Place {
    turn: Word,
    handle: AtomicU64,
    /// How many words of `words` are written.
    length: AtomicU64,
    words: [AtomicU64; ROOM],
}

/// A thread of the runner's that looks for a place, in `threads`.
const LOOKS: u32 = 1 << 16;
/// One that sleeps.
const SLEEPS: u32 = 1;

/// Whose turn it is, and why. At first it is the caller's.
mod turn {
    /// It is to serve the call.
    pub(super) const RUNNER: u32 = 1;
    /// The answer is there.
    pub(super) const ANSWERED: u32 = 2;
    /// The runner wants a handle.
    pub(super) const ASKS_FOR_HANDLE: u32 = 3;
    /// There is no runner any more.
    pub(super) const ENDED: u32 = 4;
}

/// What a caller has the turn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Answered,
    AsksForHandle,
    Ended,
    /// Nobody's: the runner does not keep to the protocol.
    Nonsense,
}

/// There is no room for so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Shared {
    /// Writes into the caller's or the runner's place, which has to be its turn.
    pub(crate) fn write(&self, place: usize, words: &[u64]) -> Result<(), TooLong> {
        let place = &self.places[place];
        let room = place.words.get(..words.len()).ok_or(TooLong)?;
        for (to, word) in room.iter().zip(words) {
            to.store(*word, Ordering::Relaxed);
        }
        place.length.store(words.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Reads what the other one wrote; it may claim to have written more than there is room for.
    pub(crate) fn read(&self, place: usize, into: &mut Vec<u64>) {
        let place = &self.places[place];
        let length = usize::try_from(place.length.load(Ordering::Relaxed)).unwrap_or(ROOM);
        into.clear();
        let written = &place.words[..length.min(ROOM)];
        into.extend(written.iter().map(|word| word.load(Ordering::Relaxed)));
    }

    /// The caller gives the runner the turn; `false` where there is none any more.
    pub(crate) fn hand_over(&self, place: usize) -> bool {
        let turn = &self.places[place].turn;
        if turn.set(turn::RUNNER) == turn::ENDED {
            turn.set(turn::ENDED);
            return false;
        }
        self.waiting.0.fetch_or(1 << place, Ordering::AcqRel);
        self.bell.0.0.fetch_add(1, Ordering::AcqRel);
        self.wake_one_if_none_looks();
        true
    }

    fn wake_one_if_none_looks(&self) {
        // Written, not only read: whoever goes to sleep has seen the bell after that, or is seen
        // here.
        let threads = self.threads.0.fetch_add(0, Ordering::AcqRel);
        if (SLEEPS..LOOKS).contains(&threads) {
            self.bell.0.wake_first_or_other();
        }
    }

    /// Waits until the caller has the turn, or `has_ended` says that nobody will give it.
    pub(crate) fn await_turn(&self, place: usize, has_ended: impl Fn() -> bool) -> Turn {
        let turn = &self.places[place].turn;
        loop {
            match turn.0.load(Ordering::Acquire) {
                turn::ANSWERED => return Turn::Answered,
                turn::ASKS_FOR_HANDLE => return Turn::AsksForHandle,
                turn::ENDED => return Turn::Ended,
                _ if has_ended() => return Turn::Ended,
                turn::RUNNER => turn.sleep(turn::RUNNER),
                _ => return Turn::Nonsense,
            }
        }
    }

    /// Gives the runner the handle that it asks for.
    pub(crate) fn give_handle(&self, place: usize, handle: u64) {
        let place = &self.places[place];
        place.handle.store(handle, Ordering::Relaxed);
        if place.turn.set(turn::RUNNER) == turn::ENDED {
            place.turn.set(turn::ENDED);
        }
        place.turn.wake_one();
    }

    /// Ends all calls: the runner is gone.
    pub(crate) fn end(&self) {
        for place in &self.places {
            place.turn.set(turn::ENDED);
            place.turn.wake_one();
        }
    }

    /// From now on a thread of the runner's looks for a [`next`](Self::next) place.
    pub(crate) fn look(&self) {
        self.threads.0.fetch_add(LOOKS, Ordering::AcqRel);
    }

    /// A place that waits for the runner, now this thread's to serve, which [looked](Self::look)
    /// for one. The first of its threads is woken before all others, so that one that is at work
    /// stays so, on the processor where it is.
    pub(crate) fn next(&self, is_first: bool) -> usize {
        let threads = &self.threads.0;
        loop {
            let rung = self.bell.0.0.load(Ordering::Acquire);
            if let Some(place) = self.claim() {
                threads.fetch_sub(LOOKS, Ordering::AcqRel);
                // Who rang meanwhile has woken nobody.
                if self.waiting.0.load(Ordering::Acquire) != 0 {
                    self.wake_one_if_none_looks();
                }
                return place;
            }
            threads.fetch_sub(LOOKS - SLEEPS, Ordering::AcqRel);
            self.bell.0.sleep_as(is_first, rung);
            threads.fetch_add(LOOKS - SLEEPS, Ordering::AcqRel);
        }
    }

    fn claim(&self) -> Option<usize> {
        let mut waiting = self.waiting.0.load(Ordering::Acquire);
        while waiting != 0 {
            let place = waiting.trailing_zeros() as usize;
            let claimed = self.waiting.0.fetch_and(!(1 << place), Ordering::AcqRel);
            if claimed & 1 << place != 0 && place < PLACES {
                return Some(place);
            }
            waiting = claimed & !(1 << place);
        }
        None
    }

    /// The runner gives the turn back, with the answer; the thread [looks](Self::look) for the next
    /// place.
    pub(crate) fn answer(&self, place: usize) {
        // Before that, since whoever gets the answer may have the next call at once.
        self.look();
        self.give_back(place, turn::ANSWERED);
    }

    /// The runner asks for a handle.
    pub(crate) fn ask_for_handle(&self, place: usize) -> u64 {
        self.give_back(place, turn::ASKS_FOR_HANDLE);
        let Place { turn, handle, .. } = &self.places[place];
        while turn.0.load(Ordering::Acquire) == turn::ASKS_FOR_HANDLE {
            turn.sleep(turn::ASKS_FOR_HANDLE);
        }
        handle.load(Ordering::Relaxed)
    }

    fn give_back(&self, place: usize, why: u32) {
        let turn = &self.places[place].turn;
        turn.set(why);
        turn.wake_one();
    }
}

impl Word {
    /// Sets it, and gives back what it was. What several may set at once is exchanged, never only
    /// stored, so that each sees what it has replaced.
    fn set(&self, number: u32) -> u32 {
        self.0.swap(number, Ordering::AcqRel)
    }
}

/// A number that one process sleeps on and the other one changes.
#[cfg(not(all(test, loom)))]
#[repr(transparent)]
struct Word(AtomicU32);

#[cfg(not(all(test, loom)))]
impl Word {
    /// Sleeps until it is woken, unless the number is another one than was seen.
    fn sleep(&self, seen: u32) {
        use rustix::thread::futex::{Flags, wait};

        // Woken or not, whoever sleeps looks again.
        let _ = wait(&self.0, Flags::empty(), seen, None);
    }

    /// The same, as the first or as one of the others.
    fn sleep_as(&self, is_first: bool, seen: u32) {
        use rustix::thread::futex::{Flags, wait_bitset};

        // Woken or not, it looks again.
        let _ = wait_bitset(&self.0, Flags::empty(), seen, None, who(is_first));
    }

    fn wake_first_or_other(&self) {
        use rustix::thread::futex::{Flags, wake_bitset};

        // Fails for addresses that are none.
        if wake_bitset(&self.0, Flags::empty(), 1, who(true)) == Ok(0) {
            let _ = wake_bitset(&self.0, Flags::empty(), 1, who(false));
        }
    }

    fn wake_one(&self) {
        use rustix::thread::futex::{Flags, wake};

        // Fails for addresses that are none.
        let _ = wake(&self.0, Flags::empty(), 1);
    }
}

#[cfg(not(all(test, loom)))]
const fn who(is_first: bool) -> std::num::NonZeroU32 {
    match std::num::NonZeroU32::new(2) {
        Some(others) if !is_first => others,
        _ => std::num::NonZeroU32::MIN,
    }
}

/// What the kernel does, as a model, in which it wakes whom it likes.
#[cfg(all(test, loom))]
struct Word(AtomicU32, loom::sync::Mutex<()>, loom::sync::Condvar);

#[cfg(all(test, loom))]
impl Word {
    fn sleep(&self, seen: u32) {
        let queue = self.1.lock().unwrap();
        // The kernel compares while nobody can wake.
        if self.0.load(Ordering::Acquire) == seen {
            drop(self.2.wait(queue).unwrap());
        }
    }

    fn sleep_as(&self, _: bool, seen: u32) {
        self.sleep(seen);
    }

    fn wake_first_or_other(&self) {
        self.wake_one();
    }

    fn wake_one(&self) {
        let _queue = self.1.lock().unwrap();
        self.2.notify_one();
    }
}

#[cfg(all(test, loom))]
mod model {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    fn word() -> Word {
        Word(AtomicU32::new(0), Default::default(), Default::default())
    }

    fn shared() -> Arc<Shared> {
        Arc::new(Shared {
            waiting: Line(AtomicU64::new(0)),
            bell: Line(word()),
            threads: Line(AtomicU32::new(0)),
            places: std::array::from_fn(|_| Place {
                turn: word(),
                handle: AtomicU64::new(0),
                length: AtomicU64::new(0),
                words: std::array::from_fn(|_| AtomicU64::new(0)),
            }),
        })
    }

    fn bounded_model(run: impl Fn() + Send + Sync + 'static) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(run);
    }

    fn call(shared: &Shared, place: usize, asked: u64) -> u64 {
        shared.write(place, &[asked]).unwrap();
        assert!(shared.hand_over(place));
        assert_eq!(shared.await_turn(place, || false), Turn::Answered);
        let mut answer = Vec::new();
        shared.read(place, &mut answer);
        answer[0]
    }

    /// A thread of the runner's serves so many calls: it answers with what it was asked, and ten
    /// more.
    fn serve(shared: &Shared, calls: usize) {
        shared.look();
        for _ in 0..calls {
            let place = shared.next(true);
            let mut asked = Vec::new();
            shared.read(place, &mut asked);
            shared.write(place, &[asked[0] + 10]).unwrap();
            shared.answer(place);
        }
    }

    /// No call is lost, and none is answered with what belongs to another.
    #[test]
    fn each_call_is_answered() {
        bounded_model(|| {
            let shared = shared();
            let runner = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve(&shared, 2))
            };
            let other = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || assert_eq!(call(&shared, 1, 2), 12))
            };
            assert_eq!(call(&shared, 0, 1), 11);
            other.join().unwrap();
            runner.join().unwrap();
        });
    }

    /// A call that does not return holds up no other: the thread that took it on has woken another
    /// one, which is there or comes.
    #[test]
    fn a_call_that_waits_holds_up_no_other() {
        bounded_model(|| {
            let shared = shared();
            let (waits, go_on) = (Arc::new(AtomicU32::new(0)), Arc::new(word()));
            let threads = [true, false].map(|is_first| {
                let (shared, go_on) = (Arc::clone(&shared), Arc::clone(&go_on));
                let waits = Arc::clone(&waits);
                thread::spawn(move || {
                    shared.look();
                    let place = shared.next(is_first);
                    // The first of the two calls returns when the other one was answered.
                    if waits.fetch_add(1, Ordering::AcqRel) == 0 {
                        while go_on.0.load(Ordering::Acquire) == 0 {
                            go_on.sleep(0);
                        }
                    } else {
                        go_on.set(1);
                        go_on.wake_one();
                    }
                    shared.answer(place);
                })
            });
            assert!(shared.hand_over(0));
            assert!(shared.hand_over(1));
            for place in [0, 1] {
                assert_eq!(shared.await_turn(place, || false), Turn::Answered);
            }
            for thread in threads {
                thread.join().unwrap();
            }
        });
    }

    /// The same place serves again, and a thread that sleeps is woken for it.
    #[test]
    fn a_place_serves_again() {
        bounded_model(|| {
            let shared = shared();
            let runner = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve(&shared, 2))
            };
            assert_eq!(call(&shared, 0, 1), 11);
            assert_eq!(call(&shared, 0, 2), 12);
            runner.join().unwrap();
        });
    }

    /// A handle gets to the thread that asks for it.
    #[test]
    fn a_handle_is_given() {
        bounded_model(|| {
            let shared = shared();
            let runner = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    shared.look();
                    let place = shared.next(true);
                    assert_eq!(shared.ask_for_handle(place), 7);
                    shared.answer(place);
                })
            };
            assert!(shared.hand_over(0));
            assert_eq!(shared.await_turn(0, || false), Turn::AsksForHandle);
            shared.give_handle(0, 7);
            assert_eq!(shared.await_turn(0, || false), Turn::Answered);
            runner.join().unwrap();
        });
    }

    /// Nobody waits for a runner that is gone, whether the call was made before that or after.
    #[test]
    fn the_end_ends_each_call() {
        bounded_model(|| {
            let shared = shared();
            let end = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.end())
            };
            if shared.hand_over(0) {
                assert_eq!(shared.await_turn(0, || false), Turn::Ended);
            }
            end.join().unwrap();
        });
    }
}
