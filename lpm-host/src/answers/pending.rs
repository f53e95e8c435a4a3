//! A question that not all LPMs have answered yet.

use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::dispatch::Dispatcher;

/// What the LPMs said so far, and who waits for the rest.
pub(crate) struct Pending<G> {
    gathering: Mutex<Gathering<G>>,
    complete: Condvar,
}

struct Gathering<G> {
    gathered: G,
    /// Answers that are still to come, and one for the caller while it is asking.
    open: u32,
    then: Then<G>,
}

impl<G> Gathering<G> {
    const fn new(gathered: G) -> Self {
        Self {
            gathered,
            open: 1,
            then: Then::Nobody,
        }
    }
}

/// Who is told that the last answer came.
enum Then<G> {
    Nobody,
    /// A thread that waits on the condition variable: waking one is a system call.
    Waiting,
    Wake(Waker),
    Call(Arc<Dispatcher>, Callback<G>),
}

/// Who is still to be told that the last answer came.
#[must_use = "somebody may wait"]
pub(crate) enum Notice<G> {
    Waiting,
    Wake(Waker),
    Call(Arc<Dispatcher>, Callback<G>, G),
}

/// Gets what the LPMs said.
pub(crate) type Callback<G> = Box<dyn FnOnce(G) + Send>;

impl<G: Default + Send + 'static> Pending<G> {
    /// A question whose caller is still asking.
    pub(crate) fn new(gathered: G) -> Self {
        Self {
            gathering: Mutex::new(Gathering::new(gathered)),
            complete: Condvar::new(),
        }
    }

    /// One more LPM owes an answer.
    pub(crate) fn expect(&self) {
        self.lock().open += 1;
    }

    /// Another question in the place of one that nobody asks any more, as [new](Self::new).
    pub(crate) fn begin_anew(&mut self, gathered: G) {
        let gathering = self.gathering.get_mut();
        *gathering.unwrap_or_else(PoisonError::into_inner) = Gathering::new(gathered);
    }

    /// Adds an answer. The one that was last tells whoever waits.
    pub(crate) fn answer(&self, add: impl FnOnce(&mut G)) {
        if let Some(notice) = self.answer_quietly(add) {
            self.tell(notice);
        }
    }

    /// The same, but leaves it to the caller to [tell](Self::tell) whoever waits, if somebody does.
    pub(crate) fn answer_quietly(&self, add: impl FnOnce(&mut G)) -> Option<Notice<G>> {
        let mut gathering = self.lock();
        add(&mut gathering.gathered);
        gathering.open -= 1;
        if gathering.open > 0 {
            return None;
        }
        match mem::replace(&mut gathering.then, Then::Nobody) {
            Then::Nobody => None,
            Then::Waiting => Some(Notice::Waiting),
            Then::Wake(waker) => Some(Notice::Wake(waker)),
            Then::Call(dispatcher, callback) => {
                let gathered = mem::take(&mut gathering.gathered);
                Some(Notice::Call(dispatcher, callback, gathered))
            }
        }
    }

    /// Tells whoever waits that the last answer came.
    pub(crate) fn tell(&self, notice: Notice<G>) {
        match notice {
            Notice::Waiting => self.complete.notify_all(),
            Notice::Wake(waker) => waker.wake(),
            Notice::Call(dispatcher, callback, gathered) => {
                dispatcher.run(move || callback(gathered));
            }
        }
    }

    /// Adds what the caller heard while it was asking. What was gathered, if no answer is still to
    /// come: nobody waits for it yet.
    pub(crate) fn conclude(&self, add: impl FnOnce(&mut G)) -> Option<G> {
        let mut gathering = self.lock();
        add(&mut gathering.gathered);
        gathering.open -= 1;
        (gathering.open == 0).then(|| mem::take(&mut gathering.gathered))
    }

    /// Looks at what was gathered so far.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&G) -> R) -> R {
        look(&self.lock().gathered)
    }

    /// Waits for the last answer.
    pub(crate) fn wait(&self) -> G {
        let mut gathering = self.lock();
        if gathering.open > 0 {
            gathering.then = Then::Waiting;
        }
        let is_open = |gathering: &mut Gathering<G>| gathering.open > 0;
        let gathering = self.complete.wait_while(gathering, is_open);
        mem::take(&mut gathering.unwrap_or_else(PoisonError::into_inner).gathered)
    }

    /// Waits for the last answer, no longer than `limit` in real time; whether it came.
    #[cfg(feature = "testing")]
    pub(crate) fn wait_for(&self, limit: std::time::Duration) -> bool {
        let mut gathering = self.lock();
        if gathering.open > 0 {
            gathering.then = Then::Waiting;
        }
        let is_open = |gathering: &mut Gathering<G>| gathering.open > 0;
        let waited = self.complete.wait_timeout_while(gathering, limit, is_open);
        let (gathering, _) = waited.unwrap_or_else(PoisonError::into_inner);
        gathering.open == 0
    }

    /// Whether the last answer came.
    pub(crate) fn is_complete(&self) -> bool {
        self.lock().open == 0
    }

    /// As of a future.
    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<G> {
        let mut gathering = self.lock();
        if gathering.open == 0 {
            return Poll::Ready(mem::take(&mut gathering.gathered));
        }
        match &mut gathering.then {
            Then::Wake(waker) => waker.clone_from(context.waker()),
            then => *then = Then::Wake(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Has `callback` called with what the LPMs said, once the last one answered, by a thread of
    /// the PCM's.
    pub(crate) fn then(&self, dispatcher: &Arc<Dispatcher>, callback: Callback<G>) {
        let mut gathering = self.lock();
        if gathering.open > 0 {
            gathering.then = Then::Call(Arc::clone(dispatcher), callback);
        } else {
            let gathered = mem::take(&mut gathering.gathered);
            drop(gathering);
            dispatcher.run(move || callback(gathered));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Gathering<G>> {
        self.gathering
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
