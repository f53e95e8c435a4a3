//! What the thread that counts is asked to do.

use lpm_api::FlowKey;
use tokio::sync::mpsc::UnboundedSender;

use crate::ledger::{Amounts, Counted};

/// Where that thread takes its orders from.
#[derive(Clone, Debug)]
pub(crate) struct UsageQueue(UnboundedSender<Order>);

pub(super) enum Order {
    /// This is what a flow counts now.
    Count(FlowKey, Counted),
    Reserve(Request),
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

/// Orders are carried out one after the other. When the thread has ended, they are dropped.
impl UsageQueue {
    pub(super) fn new(orders: UnboundedSender<Order>) -> Self {
        Self(orders)
    }

    /// A flow counts this now, whatever the limits.
    pub(crate) fn count(&self, flow: FlowKey, counted: Counted) {
        let _ = self.0.send(Order::Count(flow, counted));
    }

    pub(crate) fn reserve(&self, request: Request) {
        let _ = self.0.send(Order::Reserve(request));
    }
}
