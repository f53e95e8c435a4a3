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

/// Who is told that the last answer came.
enum Then<G> {
    Nobody,
    /// A thread that waits on the condition variable: waking one is a system call.
    Waiting,
    Wake(Waker),
    Call(Arc<Dispatcher>, Callback<G>),
}

/// Gets what the LPMs said.
pub(crate) type Callback<G> = Box<dyn FnOnce(G) + Send>;

impl<G: Default + Send + 'static> Pending<G> {
    /// A question whose caller is still asking.
    pub(crate) fn new(gathered: G) -> Self {
        Self {
            gathering: Mutex::new(Gathering {
                gathered,
                open: 1,
                then: Then::Nobody,
            }),
            complete: Condvar::new(),
        }
    }

    /// One more LPM owes an answer.
    pub(crate) fn expect(&self) {
        self.lock().open += 1;
    }

    /// Adds an answer. The one that was last tells whoever waits.
    pub(crate) fn answer(&self, add: impl FnOnce(&mut G)) {
        let mut gathering = self.lock();
        add(&mut gathering.gathered);
        gathering.open -= 1;
        if gathering.open > 0 {
            return;
        }
        match mem::replace(&mut gathering.then, Then::Nobody) {
            Then::Nobody => {}
            Then::Waiting => {
                drop(gathering);
                self.complete.notify_all();
            }
            Then::Wake(waker) => {
                drop(gathering);
                waker.wake();
            }
            Then::Call(dispatcher, callback) => {
                let gathered = mem::take(&mut gathering.gathered);
                drop(gathering);
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
