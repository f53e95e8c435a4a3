//! Limits that hold for several PCMs together.
//!
//! Without this, a limit holds in one process. With it, all PCMs that name the same Redis server
//! and [`prefix`](UsageConfig::prefix) count together: a flow under a limit on the number of flows
//! or on a sum that holds everywhere is reserved there before it is admitted, in one step that
//! checks and counts (a script on the server). Limits of a subnet stay those of the PCM that serves
//! it.
//!
//! What a PCM counts stands under its lease, which a thread of its own renews. When the PCM dies,
//! the lease ends, and what it counted with it. A PCM that is deinitialized gives the lease back.
//!
//! A server that begins anew, with an empty memory or an old one, grants nothing new for as long as
//! a lease lasts: until every PCM that is alive has put back what it counts, and the leases of the
//! others are over.
//!
//! When the server cannot be reached, flows that are admitted stay so. New ones under such a limit
//! are rejected for want of resources, or counted by this PCM alone
//! ([`when_unreachable`](UsageConfig::when_unreachable)). Once the server is back, everything is
//! counted there again. Should the lease have ended in the meantime, others may have had the room,
//! and the limit is exceeded until enough flows end.

mod bounded;
mod config;
mod queue;
mod server;
mod worker;

use std::thread::{self, JoinHandle};

use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::oneshot;

use crate::no_thread::NoThread;
use worker::Worker;

pub(crate) use config::KEYS;
pub use config::{ServerUrl, UsageConfig, WhenUnreachable};
pub(crate) use queue::{Request, Reserved, UsageQueue};

/// The thread that counts on the server. It has given back what it counted, closed its connection
/// and ended when this is dropped.
#[derive(Debug)]
pub(crate) struct SharedUsage {
    queue: UsageQueue,
    /// Dropped to end the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl SharedUsage {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread, or no event queue for it.
    pub(crate) fn start(config: UsageConfig) -> Result<Self, NoThread> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(NoThread::for_the("shared usage"))?;
        let (sender, orders) = unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("lpm-shared-usage".to_owned())
            .spawn(move || {
                runtime.block_on(async { Worker::new(config, orders).run(stopped).await });
            })
            .map_err(NoThread::for_the("shared usage"))?;
        Ok(Self {
            queue: UsageQueue::new(sender),
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    pub(crate) fn queue(&self) -> UsageQueue {
        self.queue.clone()
    }
}

impl Drop for SharedUsage {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic in it was reported where it happened.
            let _ = thread.join();
        }
    }
}
