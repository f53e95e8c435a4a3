//! Lifecycle calls into LPMs: on another thread, within a deadline.
//!
//! Where the host watches what an LPM leaves in threads, a thread that is done waits a while for the next
//! call. One whose call is overdue is never used again.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

thread_local!(static IS_LIFECYCLE_THREAD: Cell<bool> = const { Cell::new(false) });

/// Whether this thread starts or stops LPMs, so that it must not wait for the end of that.
pub(crate) fn on_lifecycle_thread() -> bool {
    IS_LIFECYCLE_THREAD.get()
}

/// Marks this thread as one that starts or stops LPMs.
pub(crate) fn enter_lifecycle_thread() {
    IS_LIFECYCLE_THREAD.set(true);
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
    let errand = Arc::new(Errand {
        call: Mutex::new(Some(call)),
        outcome: Mutex::new(Outcome::Awaited),
        changed: Condvar::new(),
    });
    let theirs = Arc::clone(&errand);
    let Some(thread) = hand_over(name, Box::new(move |offer| theirs.run(offer))) else {
        let call = lock(&errand.call).take();
        return call.map(|call| call()).ok_or(Overdue);
    };
    let outcome = lock(&errand.outcome);
    let is_awaited = |outcome: &mut Outcome<_>| matches!(outcome, Outcome::Awaited);
    let waited = errand
        .changed
        .wait_timeout_while(outcome, limit, is_awaited);
    let (mut outcome, _) = waited.unwrap_or_else(PoisonError::into_inner);
    let Outcome::There(result) = std::mem::replace(&mut *outcome, Outcome::NotAwaited) else {
        return Err(Overdue);
    };
    drop(outcome);
    if let Some(thread) = thread {
        // Its thread-locals end with it.
        let _ = thread.join();
    }
    // A panic is this host's, since LPMs' panics do not leave them.
    result.or_else(|panic| resume_unwind(panic))
}

/// A call on its way.
struct Errand<F, R> {
    call: Mutex<Option<F>>,
    outcome: Mutex<Outcome<R>>,
    changed: Condvar,
}

enum Outcome<R> {
    Awaited,
    There(thread::Result<R>),
    /// The call is overdue, or its outcome was taken.
    NotAwaited,
}

impl<F: FnOnce() -> R, R> Errand<F, R> {
    /// Makes the call; offers the thread for others, unless the call is overdue.
    fn run(&self, offer: &dyn Fn()) -> Next {
        let call = lock(&self.call).take();
        let Some(call) = call else { return Next::End };
        let result = catch_unwind(AssertUnwindSafe(call));
        let mut outcome = lock(&self.outcome);
        if !matches!(*outcome, Outcome::Awaited) {
            return Next::End;
        }
        // First, so that whoever gets the result finds an idle thread.
        offer();
        *outcome = Outcome::There(result);
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

/// Threads that wait for a job, by a number of their own; the last to have come is the first to go.
static IDLE: Mutex<Vec<(u64, Sender<Job>)>> = Mutex::new(Vec::new());

/// Whether threads are used again. Where thread-locals of an LPM are destroyed only when their thread
/// ends, it ends.
const REUSE: bool = cfg!(all(
    target_os = "linux",
    target_env = "gnu",
    target_pointer_width = "64"
));

/// Has an idle thread do the job, or a new one, which is returned if it ends afterwards; `None` if there
/// is no thread.
fn hand_over(name: &str, mut job: Job) -> Option<Option<JoinHandle<()>>> {
    loop {
        // Not locked any longer.
        let idle = lock(&IDLE).pop();
        let Some((_, idle)) = idle else { break };
        match idle.send(job) {
            Ok(()) => return Some(None),
            // It had waited long enough just now.
            Err(mpsc::SendError(back)) => job = back,
        }
    }
    let name = if REUSE { "lpm-lifecycle" } else { name };
    let thread = thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || work(job));
    thread.ok().map(|thread| (!REUSE).then_some(thread))
}

fn work(mut job: Job) {
    /// An LPM is initialized, deinitialized and unloaded in quick succession, then not for hours.
    const PATIENCE: Duration = Duration::from_secs(10);
    static NEXT: Mutex<u64> = Mutex::new(0);
    enter_lifecycle_thread();
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
        job = match receiver.recv_timeout(PATIENCE) {
            Ok(next) => next,
            Err(_) => {
                lock(&IDLE).retain(|(idle, _)| *idle != this);
                // It may have been given one before that.
                match receiver.try_recv() {
                    Ok(next) => next,
                    Err(_) => return,
                }
            }
        };
    }
}

/// Held for moments only; no foreign code runs meanwhile.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        // The call hands out its end of the channel, which is dropped when the thread is done with it.
        assert!(told.recv().is_err());
        for _ in 0..10 {
            let thread = call("test", Duration::from_secs(60), || thread::current().id());
            assert_ne!(thread, Ok(overdue));
        }
    }

    #[test]
    fn a_panic_is_passed_on() {
        let panicking = || call("test", Duration::from_secs(60), || panic!("on purpose"));
        let panicked = catch_unwind(panicking).expect_err("must panic");
        assert_eq!(panicked.downcast_ref(), Some(&"on purpose"));
        assert_eq!(call("test", Duration::from_secs(60), || 7), Ok(7));
    }
}
