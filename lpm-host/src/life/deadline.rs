//! Lifecycle calls into LPMs: on another thread, within a deadline.
//!
//! Where the host watches what an LPM leaves in threads, a thread that is done waits a while for
//! the next call. One whose call is overdue is never used again.

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::lock::lock;

thread_local!(static IS_LIFECYCLE_THREAD: Cell<bool> = const { Cell::new(false) });

/// Whether this thread starts or stops LPMs, so that it must not wait for the end of that.
pub(crate) fn on_lifecycle_thread() -> bool {
    IS_LIFECYCLE_THREAD.get()
}

/// Does on this thread what a thread that starts or stops LPMs does.
pub(crate) fn as_lifecycle_thread<R>(work: impl FnOnce() -> R) -> R {
    /// Also after a panic.
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            IS_LIFECYCLE_THREAD.set(self.0);
        }
    }
    let _before = Before(IS_LIFECYCLE_THREAD.replace(true));
    work()
}

/// A call did not return in time. Its thread, and all that was moved into the call, lives on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overdue;

/// Runs the call on another thread and waits for it no longer than `limit`. Where the system has no
/// thread to give, the call runs on this one, without a limit.
pub(crate) fn call<R: Send + 'static>(
    name: &str,
    limit: Duration,
    call: impl FnOnce() -> R + Send + 'static,
) -> Result<R, Overdue> {
    match begin_call(name, call) {
        Ok(begun) => begun.wait_for(limit),
        Err(NoThread { call, .. }) => Ok(call()),
    }
}

/// Runs the call on another thread, for somebody who knows of a limit.
pub(crate) fn begin_call<R: Send + 'static, F: FnOnce() -> R + Send + 'static>(
    name: &str,
    call: F,
) -> Result<Begun<R>, NoThread<F>> {
    begin_on(name, Vec::pop, call)
}

/// Runs the call, which makes others in its turn, on another thread.
pub(crate) fn begin<R: Send + 'static, F: FnOnce() -> R + Send + 'static>(
    name: &str,
    call: F,
) -> Result<Begun<R>, NoThread<F>> {
    // The thread that made the last call is left for those: it may have thread-locals of the LPM,
    // which are destroyed if it also unloads that.
    let all_but_last = |idle: &mut Vec<_>| (idle.len() > 1).then(|| idle.remove(0));
    begin_on(name, all_but_last, call)
}

fn begin_on<R: Send + 'static, F: FnOnce() -> R + Send + 'static>(
    name: &str,
    choose: impl Fn(&mut Vec<Idle>) -> Option<Idle>,
    call: F,
) -> Result<Begun<R>, NoThread<F>> {
    let shared = Arc::new(Shared {
        returned: Mutex::new(Returned::NotYet),
        changed: Condvar::new(),
    });
    // Comes back if there is no thread.
    let call = Arc::new(Mutex::new(Some(call)));
    let (their_call, theirs) = (Arc::clone(&call), Arc::clone(&shared));
    let job = move |offer: &dyn Fn()| {
        let call = lock(&their_call).take();
        call.map_or(Next::Wait, |call| theirs.run(call, offer))
    };
    match hand_over(name, choose, Box::new(job)) {
        Ok(thread) => Ok(Begun { shared, thread }),
        Err(error) => {
            let call = lock(&call).take();
            // Only a job takes it, and there is none.
            call.map_or_else(|| unreachable!(), |call| Err(NoThread { error, call }))
        }
    }
}

/// The system has no thread to give.
pub(crate) struct NoThread<F> {
    pub(crate) error: io::Error,
    /// What was to be run.
    pub(crate) call: F,
}

/// A call on its way. Dropping this lets it go on unwatched.
pub(crate) struct Begun<R> {
    shared: Arc<Shared<R>>,
    /// The thread, if it ends with the call.
    thread: Option<JoinHandle<()>>,
}

impl<R> Begun<R> {
    /// Waits for the end of the call, however long it takes.
    pub(crate) fn wait(self) -> R {
        self.wait_for(Duration::MAX)
            .unwrap_or_else(|Overdue| unreachable!("the time is never over"))
    }

    fn wait_for(self, limit: Duration) -> Result<R, Overdue> {
        let Self { shared, thread } = self;
        let returned = {
            let waited = shared.changed.wait_timeout_while(
                lock(&shared.returned),
                limit,
                Returned::is_awaited,
            );
            let (mut returned, _) = waited.unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *returned, Returned::NobodyWaits)
        };
        let Returned::There(result) = returned else {
            return Err(Overdue);
        };
        if let Some(thread) = thread {
            // Its thread-locals end with it.
            let _ = thread.join();
        }
        // A panic is this host's, since LPMs' panics do not leave them.
        result.or_else(|panic| resume_unwind(panic))
    }
}

/// What is between the thread that waits and the one that works.
struct Shared<R> {
    returned: Mutex<Returned<R>>,
    changed: Condvar,
}

enum Returned<R> {
    NotYet,
    There(thread::Result<R>),
    /// The call is overdue, or its returned was taken.
    NobodyWaits,
}

impl<R> Returned<R> {
    fn is_awaited(&mut self) -> bool {
        matches!(self, Self::NotYet)
    }
}

impl<R> Shared<R> {
    /// Makes the call; offers the thread for others, unless the call is overdue.
    fn run(&self, call: impl FnOnce() -> R, offer: &dyn Fn()) -> Next {
        let result = catch_unwind(AssertUnwindSafe(call));
        let mut returned = lock(&self.returned);
        if !returned.is_awaited() {
            return Next::End;
        }
        // First, so that whoever gets the result finds an idle thread.
        offer();
        *returned = Returned::There(result);
        // Unlocked, so that whoever wakes up need not wait once more.
        drop(returned);
        self.changed.notify_one();
        Next::Wait
    }
}

/// What a thread is to do; it is given a way to offer itself for more.
type Job = Box<dyn FnOnce(&dyn Fn()) -> Next + Send>;

enum Next {
    Wait,
    End,
}

/// A thread that waits for a job, with a number of its own.
type Idle = (u64, Sender<Job>);

/// The last to have come is the last.
static IDLE: Mutex<Vec<Idle>> = Mutex::new(Vec::new());

/// Whether threads are used again. Where thread-locals of an LPM are destroyed only when their
/// thread ends, it ends.
const REUSE: bool = cfg!(all(
    target_os = "linux",
    target_env = "gnu",
    target_pointer_width = "64"
));

/// Has an idle thread do the job, or a new one, which is returned if it ends afterwards.
fn hand_over(
    name: &str,
    choose: impl Fn(&mut Vec<Idle>) -> Option<Idle>,
    mut job: Job,
) -> io::Result<Option<JoinHandle<()>>> {
    loop {
        // Not locked any longer.
        let idle = choose(&mut lock(&IDLE));
        let Some((_, idle)) = idle else { break };
        match idle.send(job) {
            Ok(()) => return Ok(None),
            // It is gone with a panic.
            Err(mpsc::SendError(back)) => job = back,
        }
    }
    let name = if REUSE { "lpm-lifecycle" } else { name };
    let thread = thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || work(job));
    thread.map(|thread| (!REUSE).then_some(thread))
}

fn work(mut job: Job) {
    /// An LPM is initialized, deinitialized and unloaded in quick succession, then not for hours.
    const PATIENCE: Duration = Duration::from_secs(10);
    static NEXT: Mutex<u64> = Mutex::new(0);
    IS_LIFECYCLE_THREAD.set(true);
    let this = {
        let mut next = lock(&NEXT);
        *next += 1;
        *next
    };
    let (sender, receiver) = mpsc::channel();
    let offer = || {
        if REUSE {
            lock(&IDLE).push((this, sender.clone()));
        }
    };
    loop {
        let next = job(&offer);
        if !REUSE || matches!(next, Next::End) {
            return;
        }
        let Some(next) = next_job(&receiver, &IDLE, this, PATIENCE) else {
            return;
        };
        job = next;
    }
}

/// What the thread of this number, which is among the idle ones, is to do next; `None` if nobody
/// asks for it so long.
fn next_job(
    jobs: &Receiver<Job>,
    idle: &Mutex<Vec<Idle>>,
    this: u64,
    patience: Duration,
) -> Option<Job> {
    if let Ok(next) = jobs.recv_timeout(patience) {
        return Some(next);
    }
    let is_unasked = {
        let mut idle = lock(idle);
        let before = idle.len();
        idle.retain(|(idle, _)| *idle != this);
        idle.len() < before
    };
    if is_unasked {
        return None;
    }
    // Somebody took it from the list before that, and has sent a job, or will.
    jobs.recv().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_returns_gives_its_result() {
        let called = call("test", Duration::from_secs(60), || 7);
        assert_eq!(called, Ok(7));
    }

    #[test]
    fn a_call_that_does_not_return_is_left_behind() {
        let (release, held) = mpsc::channel::<()>();
        let called = call("test", Duration::from_millis(1), move || held.recv());
        assert_eq!(called.err(), Some(Overdue));
        drop(release);
    }

    /// The thread of an overdue call is not used again, also when the call returns at last.
    #[test]
    fn the_thread_of_an_overdue_call_ends() {
        let (release, held) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let overdue = call("test", Duration::from_millis(1), move || {
            let _ = tell.send(thread::current().id());
            let _ = held.recv();
            tell
        });
        assert_eq!(overdue.err(), Some(Overdue));
        let overdue = told.recv().expect("it has begun");
        drop(release);
        // The call hands out its end of the channel, which is dropped when the thread is done with
        // it.
        assert!(told.recv().is_err());
        for _ in 0..10 {
            let thread = call("test", Duration::from_secs(60), || thread::current().id());
            assert_ne!(thread, Ok(overdue));
        }
    }

    /// Whoever takes a thread off the list and has not sent the job yet finds it still there,
    /// although its patience is over.
    #[test]
    fn a_thread_that_was_taken_waits_for_its_job() {
        for _ in 0..20 {
            let (sender, receiver) = mpsc::channel::<Job>();
            let idle = &Mutex::new(vec![(7, sender)]);
            thread::scope(|scope| {
                let waiting = {
                    let mut list = lock(idle);
                    // It loses its patience while the list is locked, if it has got there already.
                    let work = move || next_job(&receiver, idle, 7, Duration::ZERO);
                    let waiting = scope.spawn(work);
                    thread::sleep(Duration::from_millis(1));
                    let (_, taken) = list.pop().expect("it is idle");
                    drop(list);
                    // Long enough for one that does not wait to be gone.
                    thread::sleep(Duration::from_millis(1));
                    taken.send(Box::new(|_| Next::End)).map(|()| waiting)
                };
                let waiting = waiting.expect("somebody is there to take the job");
                let job = waiting.join().expect("no panic").expect("a job");
                assert!(matches!(job(&|| ()), Next::End));
            });
        }
    }

    #[test]
    fn a_thread_that_nobody_asks_for_ends_and_is_on_the_list_no_more() {
        let (sender, receiver) = mpsc::channel::<Job>();
        let idle = Mutex::new(vec![(7, sender.clone()), (8, sender)]);
        assert!(next_job(&receiver, &idle, 7, Duration::ZERO).is_none());
        let left: Vec<_> = lock(&idle).iter().map(|(number, _)| *number).collect();
        assert_eq!(left, [8]);
    }

    #[test]
    fn a_panic_is_passed_on() {
        let panicking = || call("test", Duration::from_secs(60), || panic!("on purpose"));
        let panicked = catch_unwind(panicking).expect_err("must panic");
        assert_eq!(panicked.downcast_ref(), Some(&"on purpose"));
        assert_eq!(call("test", Duration::from_secs(60), || 7), Ok(7));
    }
}
