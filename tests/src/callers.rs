//! Threads of the host that live longer than the libraries they call.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{Builder, JoinHandle};

use lpm_host::Pcm;
use lpm_host::error::PcmError;

use crate::messages::{admit, path};

/// Threads that ask PCMs when they are told to.
pub struct Callers(Vec<Caller>);

struct Caller {
    orders: Sender<Arc<Pcm>>,
    done: Receiver<Result<(), PcmError>>,
    thread: JoinHandle<()>,
}

impl Callers {
    /// Starts so many threads, named `caller`.
    ///
    /// # Panics
    ///
    /// When the system refuses a thread.
    #[must_use]
    pub fn start(count: usize) -> Self {
        let caller = |_| {
            let (orders, ordered) = mpsc::channel::<Arc<Pcm>>();
            let (report, done) = mpsc::channel();
            let work = move || {
                for pcm in ordered {
                    let decided = admit(&pcm, &path(4000)).map(drop);
                    drop(pcm);
                    // Nobody may wait for it.
                    let _ = report.send(decided);
                }
            };
            let thread = Builder::new().name("caller".to_owned()).spawn(work);
            Caller {
                orders,
                done,
                thread: thread.expect("a thread"),
            }
        };
        Self((0..count).map(caller).collect())
    }

    /// Has each thread ask the PCM once, and waits until all have.
    ///
    /// # Panics
    ///
    /// When a thread has ended, or the PCM is not in charge.
    pub fn ask(&self, pcm: &Arc<Pcm>) {
        self.order(pcm);
        for decided in self.wait() {
            decided.expect("in charge");
        }
    }

    /// Waits until each thread has done one more thing that it was ordered to; returns what the PCM
    /// said.
    ///
    /// # Panics
    ///
    /// When a thread has ended.
    pub fn wait(&self) -> Vec<Result<(), PcmError>> {
        let callers = self.0.iter();
        callers
            .map(|caller| caller.done.recv().expect("the caller answers"))
            .collect()
    }

    /// Has each thread ask the PCM once, and does not wait.
    ///
    /// # Panics
    ///
    /// When a thread has ended.
    pub fn order(&self, pcm: &Arc<Pcm>) {
        for caller in &self.0 {
            caller
                .orders
                .send(Arc::clone(pcm))
                .expect("the caller waits");
        }
    }

    /// Lets the threads end, and does not wait.
    pub fn dismiss(self) {
        drop(self);
    }

    /// Ends the threads, which runs the destructors of all their thread-locals.
    ///
    /// # Panics
    ///
    /// When a thread panicked.
    pub fn end(self) {
        for Caller { orders, thread, .. } in self.0 {
            drop(orders);
            thread.join().expect("no panic");
        }
    }
}
