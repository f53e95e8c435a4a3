//! The memory that a PCM shares with a runner: places for calls, and how they change hands. Nothing
//! in it is locked.
//!
//! A caller writes what it asks into a place of its own, gives the runner the turn, and marks the
//! place as one that waits. A thread of the runner's takes the mark off, and with it the place; it
//! does what is asked, writes the answer there, and gives the turn back. It may give the turn back
//! once before, to ask for a handle. Who has not the turn [watches](Watch) it for a moment, where
//! that pays off, and sleeps on it then. As many places as wait are served by one thread of the
//! runner's that is awake.
//!
//! The marks and what the runner's threads do are one word: who marks a place sees whether a
//! thread looks for one, which does not sleep before it has seen the mark. A thread is woken only
//! where all that are awake are in calls, and a caller only where it sleeps. So two that both
//! watch make no system call.
//!
//! Everything in it is an atomic, so that a runner that writes where it likes does the PCM no harm
//! but to be told nonsense. A caller sleeps without a limit: who sees the runner's end [says
//! so](Shared::end) again and again, as long as there are calls.

use super::turns::{PLACES, ROOM, TooLong, Turn};
use super::watch::Watch;
use super::word::Word;
use super::word::sync::{AtomicU64, Ordering};

/// Words that are written in one go.
const RUN: usize = 8;

/// The shared memory. All zeros is how it begins.
#[repr(C, align(4096))]
pub(crate) struct Shared {
    /// The places that wait for the runner, a bit each, and what its threads do.
    state: Line<AtomicU64>,
    /// Counts how often one of them was woken; they sleep on it.
    bell: Line<Word>,
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

/// The places in `state`.
const WAITING: u64 = (1 << PLACES) - 1;
/// There, too: a thread of the runner's that sleeps, or is about to.
const SLEEPS: u64 = 1 << 48;
/// There, too: one that looks for a place.
const LOOKS: u64 = 1 << 56;

/// Whether only threads that sleep could take on a place.
const fn is_to_be_woken(state: u64) -> bool {
    state >= SLEEPS && state < LOOKS
}

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
    /// The runner is to serve the call, and to wake the caller.
    pub(super) const RUNNER_WAKES: u32 = 5;
}

impl Shared {
    /// Writes into the caller's or the runner's place, which has to be its turn: these words, and
    /// more after them.
    pub(crate) fn write(&self, place: usize, words: &[u64], more: &[u64]) -> Result<(), TooLong> {
        let place = &self.places[place];
        let parts = place.words.split_at_checked(words.len());
        let (room, rest) = parts.ok_or(TooLong)?;
        let room_for_more = rest.get(..more.len()).ok_or(TooLong)?;
        store(room, words);
        store(room_for_more, more);
        let length = words.len() + more.len();
        place.length.store(length as u64, Ordering::Relaxed);
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
        let state = self.state.0.fetch_or(1 << place, Ordering::AcqRel);
        self.wake_one_if(is_to_be_woken(state));
        true
    }

    fn wake_one_if(&self, is_to_be_woken: bool) {
        if is_to_be_woken {
            self.bell.0.count();
            self.bell.0.wake_first_or_other();
        }
    }

    /// Waits until the caller has the turn, or `has_ended` says that nobody will give it.
    pub(crate) fn await_turn(
        &self,
        place: usize,
        watch: &mut Watch,
        has_ended: impl Fn() -> bool,
    ) -> Turn {
        let turn = &self.places[place].turn;
        watch.watch(|| turn.get() != turn::RUNNER);
        loop {
            match turn.get() {
                turn::ANSWERED => return Turn::Answered,
                turn::ASKS_FOR_HANDLE => return Turn::AsksForHandle,
                turn::ENDED => return Turn::Ended,
                _ if has_ended() => return Turn::Ended,
                turn::RUNNER => {
                    turn.set_if(turn::RUNNER, turn::RUNNER_WAKES);
                }
                turn::RUNNER_WAKES => turn.sleep(turn::RUNNER_WAKES),
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
        self.state.0.fetch_add(LOOKS, Ordering::AcqRel);
    }

    /// A place that waits for the runner, now this thread's to serve, which [looked](Self::look)
    /// for one. The first of its threads is woken before all others, so that one that is at work
    /// stays so, on the processor where it is.
    pub(crate) fn next(&self, is_first: bool, watch: &mut Watch) -> usize {
        let state = &self.state.0;
        loop {
            let rung = self.bell.0.get();
            let mut seen = state.load(Ordering::Acquire);
            if seen & WAITING == 0 {
                // One that watches is enough.
                if seen < 2 * LOOKS {
                    watch.watch(|| state.load(Ordering::Acquire) & WAITING != 0);
                }
                seen = state.load(Ordering::Acquire);
            }
            if seen & WAITING != 0 {
                if let Some(place) = self.claim(seen) {
                    return place;
                }
            } else if self.change(seen, seen.wrapping_sub(LOOKS - SLEEPS)) {
                // Who marks a place from now on rings.
                self.bell.0.sleep_as(is_first, rung);
                state.fetch_add(LOOKS - SLEEPS, Ordering::AcqRel);
            }
        }
    }

    /// Takes on the first place that waits, if all is as it was seen.
    fn claim(&self, seen: u64) -> Option<usize> {
        let place = (seen & WAITING).trailing_zeros();
        let left = seen.wrapping_sub(LOOKS) & !(1 << place);
        if !self.change(seen, left) {
            return None;
        }
        // Who marked it meanwhile has woken nobody.
        self.wake_one_if(left & WAITING != 0 && is_to_be_woken(left));
        Some(place as usize)
    }

    /// Changes what waits and what the threads do, if that is as it was seen.
    fn change(&self, seen: u64, to: u64) -> bool {
        let state = &self.state.0;
        let changed = state.compare_exchange(seen, to, Ordering::AcqRel, Ordering::Relaxed);
        changed.is_ok()
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
        while turn.get() == turn::ASKS_FOR_HANDLE {
            turn.sleep(turn::ASKS_FOR_HANDLE);
        }
        handle.load(Ordering::Relaxed)
    }

    fn give_back(&self, place: usize, why: u32) {
        let turn = &self.places[place].turn;
        if turn.set(why) == turn::RUNNER_WAKES {
            turn.wake_one();
        }
    }
}

/// Writes as many words as there is room for.
fn store(room: &[AtomicU64], words: &[u64]) {
    let store = |(to, word): (&AtomicU64, &u64)| to.store(*word, Ordering::Relaxed);
    // Several at a time, which is done in one go.
    let (rooms, runs) = (room.chunks_exact(RUN), words.chunks_exact(RUN));
    let rests = rooms.remainder().iter().zip(runs.remainder());
    rests.for_each(store);
    for (room, run) in rooms.zip(runs) {
        room.iter().zip(run).for_each(store);
    }
}

#[cfg(all(test, loom))]
mod model {
    use loom::sync::Arc;
    use loom::thread;

    use super::super::word::sync::AtomicU32;
    use super::*;

    fn shared() -> Arc<Shared> {
        Arc::new(Shared {
            state: Line(AtomicU64::new(0)),
            bell: Line(Word::new()),
            places: std::array::from_fn(|_| Place {
                turn: Word::new(),
                handle: AtomicU64::new(0),
                length: AtomicU64::new(0),
                words: std::array::from_fn(|_| AtomicU64::new(0)),
            }),
        })
    }

    fn watch() -> Watch {
        Watch::on(2)
    }

    fn bounded_model(run: impl Fn() + Send + Sync + 'static) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(run);
    }

    fn call(shared: &Shared, place: usize, asked: u64) -> u64 {
        shared.write(place, &[asked], &[]).unwrap();
        assert!(shared.hand_over(place));
        assert_eq!(
            shared.await_turn(place, &mut watch(), || false),
            Turn::Answered
        );
        let mut answer = Vec::new();
        shared.read(place, &mut answer);
        answer[0]
    }

    /// A thread of the runner's serves so many calls: it answers with what it was asked, and ten
    /// more.
    fn serve(shared: &Shared, calls: usize) {
        shared.look();
        for _ in 0..calls {
            let place = shared.next(true, &mut watch());
            let mut asked = Vec::new();
            shared.read(place, &mut asked);
            shared.write(place, &[asked[0] + 10], &[]).unwrap();
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
            let (waits, go_on) = (Arc::new(AtomicU32::new(0)), Arc::new(Word::new()));
            let threads = [true, false].map(|is_first| {
                let (shared, go_on) = (Arc::clone(&shared), Arc::clone(&go_on));
                let waits = Arc::clone(&waits);
                thread::spawn(move || {
                    shared.look();
                    let place = shared.next(is_first, &mut watch());
                    // The first of the two calls returns when the other one was answered.
                    if waits.fetch_add(1, Ordering::AcqRel) == 0 {
                        while go_on.get() == 0 {
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
                assert_eq!(
                    shared.await_turn(place, &mut watch(), || false),
                    Turn::Answered
                );
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
                    let place = shared.next(true, &mut watch());
                    assert_eq!(shared.ask_for_handle(place), 7);
                    shared.answer(place);
                })
            };
            assert!(shared.hand_over(0));
            assert_eq!(
                shared.await_turn(0, &mut watch(), || false),
                Turn::AsksForHandle
            );
            shared.give_handle(0, 7);
            assert_eq!(shared.await_turn(0, &mut watch(), || false), Turn::Answered);
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
                assert_eq!(shared.await_turn(0, &mut watch(), || false), Turn::Ended);
            }
            end.join().unwrap();
        });
    }
}
