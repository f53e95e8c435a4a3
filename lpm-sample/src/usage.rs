//! Limits that hold for several PCMs together.
//!
//! Without this, a limit holds in one process. With it, all PCMs that name the same Redis server and
//! [`prefix`](UsageConfig::prefix) count together: a flow under a limit on the number of flows or
//! on a sum that holds everywhere is reserved there before it is admitted, in one step that checks
//! and counts (a script on the server). Limits of a subnet stay those of the PCM that serves it.
//!
//! What a PCM counts stands under its lease, which a thread of its own renews. When the PCM dies,
//! the lease ends, and what it counted with it. A PCM that is deinitialized gives the lease back.
//!
//! When the server cannot be reached, flows that are admitted stay so. New ones under such a limit
//! are rejected for want of resources, or counted by this PCM alone
//! ([`when_unreachable`](UsageConfig::when_unreachable)). Once the server is back, everything is
//! counted there again. Should the lease have ended in the meantime, others may have had the room,
//! and the limit is exceeded until enough flows end.

mod config;
mod server;
mod worker;

use std::io;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use lpm_api::FlowKey;

use crate::ledger::{Amounts, Counted};
use worker::Worker;

pub(crate) use config::KEYS;
pub use config::{ServerUrl, UsageConfig, WhenUnreachable};

/// The thread that counts on the server. It has given back what it counted, closed its connection
/// and ended when this is dropped.
#[derive(Debug)]
pub(crate) struct SharedUsage {
    queue: UsageQueue,
    thread: Option<JoinHandle<()>>,
}

/// Where that thread takes its orders from.
#[derive(Clone, Debug)]
pub(crate) struct UsageQueue(Sender<Order>);

enum Order {
    /// This is what a flow counts now.
    Count(FlowKey, Counted),
    Reserve(Request),
    Stop,
}

/// A flow to be counted, if no limit is exceeded.
pub(crate) struct Request {
    pub(crate) flow: FlowKey,
    pub(crate) account: String,
    pub(crate) amounts: Amounts,
    /// The most flows, rate and peak rate of the account.
    pub(crate) limits: [Option<u64>; 3],
    /// Is told what came of it; dropped unused when the LPM ends first.
    pub(crate) then: Box<dyn FnOnce(Reserved) + Send>,
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reserved {
    /// It is counted.
    Granted,
    /// It would exceed the limit of this number, and is not counted.
    Exceeds(usize),
    /// The server cannot be reached.
    Unreachable,
}

impl SharedUsage {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub(crate) fn start(config: UsageConfig) -> io::Result<SharedUsage> {
        let (sender, orders) = mpsc::channel();
        let mut worker = Worker::new(config, orders);
        let thread = thread::Builder::new()
            .name("lpm-shared-usage".to_owned())
            .spawn(move || worker.run())?;
        Ok(SharedUsage {
            queue: UsageQueue(sender),
            thread: Some(thread),
        })
    }

    pub(crate) fn queue(&self) -> UsageQueue {
        self.queue.clone()
    }
}

impl Drop for SharedUsage {
    fn drop(&mut self) {
        let _ = self.queue.0.send(Order::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic in it was reported where it happened.
            let _ = thread.join();
        }
    }
}

/// Orders are carried out one after the other. When the thread has ended, they are dropped.
impl UsageQueue {
    /// A flow counts this now, whatever the limits.
    pub(crate) fn count(&self, flow: FlowKey, counted: Counted) {
        let _ = self.0.send(Order::Count(flow, counted));
    }

    pub(crate) fn reserve(&self, request: Request) {
        let _ = self.0.send(Order::Reserve(request));
    }
}
