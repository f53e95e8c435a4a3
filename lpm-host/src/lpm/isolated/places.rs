//! Places for calls where there is no memory to share: calls and answers are frames between them.
//!
//! Each process has places of its own. What is written into one of them goes over to the same one
//! of the other process with the turn, and so do handles.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::frames::{Frame, Kind, Writer};
use super::turns::{PLACES, ROOM, TooLong, Turn};
use super::watch::Watch;
use super::words::{Malformed, Take};
use crate::lock::lock;

/// The places of one of the two processes.
#[derive(Clone)]
pub(crate) struct Memory(Arc<Places>);

struct Places {
    places: [Place; PLACES],
    /// Those that wait for the runner.
    called: Mutex<VecDeque<usize>>,
    bell: Condvar,
    to: Arc<Writer>,
}

#[derive(Default)]
struct Place {
    said: Mutex<Said>,
    changed: Condvar,
}

#[derive(Default)]
struct Said {
    words: Vec<u64>,
    handle: Option<u64>,
    /// What the caller has the turn for, while it has it in a call.
    turn: Option<Turn>,
    is_called: bool,
}

impl Memory {
    /// Places whose turns go over this way.
    pub(crate) fn new(to: Arc<Writer>) -> Self {
        Self(Arc::new(Places {
            places: std::array::from_fn(|_| Place::default()),
            called: Mutex::default(),
            bell: Condvar::new(),
            to,
        }))
    }

    /// Writes into the caller's or the runner's place, which has to be its turn: these words, and
    /// more after them.
    pub(crate) fn write(&self, place: usize, words: &[u64], more: &[u64]) -> Result<(), TooLong> {
        if words.len() + more.len() > ROOM {
            return Err(TooLong);
        }
        let said = &mut lock(&self.0.places[place].said).words;
        said.clear();
        said.extend_from_slice(words);
        said.extend_from_slice(more);
        Ok(())
    }

    /// Reads what the other one wrote.
    pub(crate) fn read(&self, place: usize, into: &mut Vec<u64>) {
        mem::swap(into, &mut lock(&self.0.places[place].said).words);
    }

    /// The caller gives the runner the turn; `false` where there is none any more.
    pub(crate) fn hand_over(&self, place: usize) -> bool {
        let mut said = lock(&self.0.places[place].said);
        if said.turn == Some(Turn::Ended) {
            return false;
        }
        said.turn = None;
        said.is_called = true;
        let words = mem::take(&mut said.words);
        drop(said);
        self.pass(Kind::Call, place, &words)
    }

    /// Waits until the caller has the turn, or `has_ended` says that nobody will give it.
    pub(crate) fn await_turn(
        &self,
        place: usize,
        _: &mut Watch,
        has_ended: impl Fn() -> bool,
    ) -> Turn {
        let Place { said, changed } = &self.0.places[place];
        let is_silent = |said: &mut Said| said.turn.is_none() && !has_ended();
        let said = changed.wait_while(lock(said), is_silent);
        let said = said.unwrap_or_else(PoisonError::into_inner);
        said.turn.unwrap_or(Turn::Ended)
    }

    /// Gives the runner the handle that it asks for.
    pub(crate) fn give_handle(&self, place: usize, handle: u64) {
        let mut said = lock(&self.0.places[place].said);
        if said.turn != Some(Turn::Ended) {
            said.turn = None;
        }
        drop(said);
        self.pass(Kind::Handle, place, &[handle]);
    }

    /// Ends all calls: the runner is gone.
    pub(crate) fn end(&self) {
        for Place { said, changed } in &self.0.places {
            lock(said).turn = Some(Turn::Ended);
            changed.notify_all();
        }
    }

    /// The PCM hears what is about a call; all else, and what is about none, is malformed.
    pub(crate) fn hear_answer(&self, frame: &Frame) -> Result<(), Malformed> {
        let turn = match frame.kind {
            Kind::Answer => Turn::Answered,
            Kind::AsksForHandle => Turn::AsksForHandle,
            _ => return Err(Malformed),
        };
        let (Place { said, changed }, _, words) = self.place(frame)?;
        let said = &mut *lock(said);
        if said.turn == Some(Turn::Ended) {
            return Ok(());
        }
        if said.turn.is_some() || !said.is_called || words.len() > ROOM {
            return Err(Malformed);
        }
        said.is_called = turn == Turn::AsksForHandle;
        said.turn = Some(turn);
        said.words.clear();
        said.words.extend(words);
        changed.notify_all();
        Ok(())
    }

    /// The runner hears a call, or the handle that it has asked for.
    pub(crate) fn hear(&self, frame: &Frame) -> Result<(), Malformed> {
        let (Place { said, changed }, place, words) = self.place(frame)?;
        match frame.kind {
            Kind::Call => {
                let said = &mut lock(said).words;
                said.clear();
                said.extend(words);
                lock(&self.0.called).push_back(place);
                self.0.bell.notify_one();
            }
            Kind::Handle => {
                lock(said).handle = Some(Take(words).number()?);
                changed.notify_all();
            }
            _ => return Err(Malformed),
        }
        Ok(())
    }

    /// A thread of the runner's need not say that it looks for a place.
    #[expect(clippy::unused_self, reason = "the shared memory is told")]
    pub(crate) const fn look(&self) {}

    /// A place that waits for the runner, now this thread's to serve.
    pub(crate) fn next(&self, _: bool, _: &mut Watch) -> usize {
        let mut called = lock(&self.0.called);
        loop {
            if let Some(place) = called.pop_front() {
                return place;
            }
            let waited = self.0.bell.wait(called);
            called = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The runner gives the turn back, with the answer.
    pub(crate) fn answer(&self, place: usize) {
        let words = mem::take(&mut lock(&self.0.places[place].said).words);
        self.pass(Kind::Answer, place, &words);
    }

    /// The runner asks for a handle.
    pub(crate) fn ask_for_handle(&self, place: usize) -> u64 {
        self.pass(Kind::AsksForHandle, place, &[]);
        let Place { said, changed } = &self.0.places[place];
        let said = changed.wait_while(lock(said), |said| said.handle.is_none());
        let mut said = said.unwrap_or_else(PoisonError::into_inner);
        said.handle.take().unwrap_or_default()
    }

    /// `false` where the other process does not listen. Where it is gone that is soon seen.
    fn pass(&self, kind: Kind, place: usize, words: &[u64]) -> bool {
        let passed = self.0.to.pass(kind, |put| {
            put.0.push(place as u64);
            put.0.extend(words);
        });
        !passed.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }

    fn place<'a>(&self, frame: &'a Frame) -> Result<(&Place, usize, &'a [u64]), Malformed> {
        let mut take = frame.words();
        let number = take.narrow()?;
        let place = self.0.places.get(number).ok_or(Malformed)?;
        Ok((place, number, take.0))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::io::{self, Write};
    use std::thread;

    use super::super::frames::{LONGEST, LONGEST_REPORT};
    use super::*;

    /// One end of a wire that is heard at the other.
    struct To(std::sync::mpsc::Sender<Vec<u8>>);

    impl Write for To {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0
                .send(bytes.to_vec())
                .map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn frame(kind: Kind, words: &[u64]) -> Frame {
        let (to, from) = std::sync::mpsc::channel();
        let writer = Writer::new(To(to), LONGEST);
        writer.pass(kind, |put| put.0.extend(words)).unwrap();
        Frame::receive(&mut &*from.recv().unwrap(), LONGEST).unwrap()
    }

    fn watch() -> Watch {
        Watch::on(1)
    }

    #[test]
    fn a_call_takes_a_handle_and_is_answered() {
        let (to_runner, runners) = std::sync::mpsc::channel();
        let (to_pcm, pcms) = std::sync::mpsc::channel();
        let pcm = Memory::new(Arc::new(Writer::new(To(to_runner), LONGEST)));
        let runner = Memory::new(Arc::new(Writer::new(To(to_pcm), LONGEST_REPORT)));
        let (hears, answers) = (runner.clone(), pcm.clone());
        thread::spawn(move || {
            for bytes in runners {
                let frame = Frame::receive(&mut &*bytes, LONGEST).unwrap();
                hears.hear(&frame).unwrap();
            }
        });
        thread::spawn(move || {
            for bytes in pcms {
                let frame = Frame::receive(&mut &*bytes, LONGEST_REPORT).unwrap();
                answers.hear_answer(&frame).unwrap();
            }
        });
        thread::spawn(move || {
            let place = runner.next(true, &mut watch());
            let mut words = Vec::new();
            runner.read(place, &mut words);
            words.push(runner.ask_for_handle(place));
            runner.write(place, &words, &[]).unwrap();
            runner.answer(place);
        });
        pcm.write(3, &[1, 2], &[]).unwrap();
        assert!(pcm.hand_over(3));
        let turn = || pcm.await_turn(3, &mut watch(), || false);
        assert_eq!(turn(), Turn::AsksForHandle);
        pcm.give_handle(3, 7);
        assert_eq!(turn(), Turn::Answered);
        let mut answer = Vec::new();
        pcm.read(3, &mut answer);
        assert_eq!(answer, [1, 2, 7]);
    }

    #[test]
    fn the_end_ends_a_call_and_there_is_none_after_it() {
        let pcm = Memory::new(Arc::new(Writer::new(io::sink(), LONGEST)));
        assert!(pcm.hand_over(0));
        pcm.end();
        assert_eq!(pcm.await_turn(0, &mut watch(), || false), Turn::Ended);
        assert!(!pcm.hand_over(0));
    }

    #[test]
    fn what_answers_no_call_is_malformed() {
        let pcm = Memory::new(Arc::new(Writer::new(io::sink(), LONGEST)));
        let answer = |place| pcm.hear_answer(&frame(Kind::Answer, &[place]));
        assert_eq!(answer(0), Err(Malformed));
        assert_eq!(answer(PLACES as u64), Err(Malformed));
        let none = pcm.hear_answer(&frame(Kind::Answer, &[]));
        assert_eq!(none, Err(Malformed));
        assert!(pcm.hand_over(0));
        assert_eq!(pcm.hear_answer(&frame(Kind::Call, &[0])), Err(Malformed));
        assert_eq!(answer(0), Ok(()));
        assert_eq!(answer(0), Err(Malformed));
    }
}
