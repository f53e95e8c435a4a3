//! What a runner reports to its PCM, from any thread: events, and results that come later.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use lpm_abi::{AbiDecision, AbiResult};
use lpm_api::LpmStatus;

use super::frames::{Kind, Writer};
use super::words::Put;
use crate::event::{Event, EventLog};
use crate::lock::lock;
use crate::requests::relay::Relay;

/// Requests that were put off whose number of flows is remembered.
const MOST_OPEN: usize = 1 << 16;

/// The way to the PCM.
pub(super) struct Up {
    writer: Arc<Writer>,
    waits: Mutex<Waits>,
    told: Condvar,
    /// The number of flows of requests that an answer may come for later.
    flows: Mutex<BTreeMap<u64, usize>>,
}

/// Threads that wait for what the PCM says of a result.
#[derive(Default)]
struct Waits {
    last: u64,
    /// By number; `None` while nothing was said.
    statuses: BTreeMap<u64, Option<LpmStatus>>,
}

impl Up {
    pub(super) fn new(writer: Arc<Writer>) -> Arc<Self> {
        Arc::new(Self {
            writer,
            waits: Mutex::default(),
            told: Condvar::new(),
            flows: Mutex::default(),
        })
    }

    /// Sends a frame, if it is not too long; where that fails otherwise the PCM is gone, and this
    /// process ends soon.
    pub(super) fn send(&self, kind: Kind, write: impl FnOnce(&mut Put<'_>)) {
        let _ = self.try_send(kind, write);
    }

    /// The same; whether it is not too long.
    fn try_send(&self, kind: Kind, write: impl FnOnce(&mut Put<'_>)) -> bool {
        let sent = self.writer.send(kind, |mut put| write(&mut put));
        !sent.is_err_and(|error| error.kind() == io::ErrorKind::FileTooLarge)
    }

    /// How many frames were sent.
    pub(super) fn sent(&self) -> u64 {
        self.writer.sent()
    }

    /// The PCM has said this of a result.
    pub(super) fn is_told(&self, number: u64, status: LpmStatus) {
        let mut waits = lock(&self.waits);
        if let Some(wait) = waits.statuses.get_mut(&number) {
            *wait = Some(status);
        }
        drop(waits);
        self.told.notify_all();
    }

    /// Notes a request that may be answered later.
    pub(super) fn may_be_answered(&self, request: u64, flows: usize) {
        let mut open = lock(&self.flows);
        if open.len() == MOST_OPEN {
            open.pop_first();
        }
        open.insert(request, flows);
    }

    /// Hands a result to the PCM, and waits for what it says.
    fn hand_in(
        &self,
        kind: Kind,
        result: &AbiResult,
        write: impl FnOnce(&mut Put<'_>),
    ) -> LpmStatus {
        let number = {
            let mut waits = lock(&self.waits);
            waits.last += 1;
            let number = waits.last;
            waits.statuses.insert(number, None);
            number
        };
        let head = |put: &mut Put<'_>| {
            put.number(number).number(result.request);
            put.number(result.status).number(result.flags);
        };
        let is_sent = self.try_send(kind, |put| {
            head(put);
            write(put);
        });
        if !is_sent {
            self.send(Kind::Refused, |put| {
                head(put);
                put.text("more than any message has room for");
            });
        }
        let is_silent = |waits: &mut Waits| matches!(waits.statuses.get(&number), Some(None));
        let waits = self.told.wait_while(lock(&self.waits), is_silent);
        let mut waits = waits.unwrap_or_else(PoisonError::into_inner);
        waits
            .statuses
            .remove(&number)
            .flatten()
            .unwrap_or(LpmStatus::FAILED)
    }
}

impl Relay for Up {
    fn flows(&self, request: u64) -> Option<usize> {
        lock(&self.flows).remove(&request)
    }

    fn decisions(&self, result: &AbiResult, decisions: &[AbiDecision]) -> LpmStatus {
        self.hand_in(Kind::Decisions, result, |put| {
            put.plain(decisions);
        })
    }

    fn wrong_count(&self, result: &AbiResult, found: usize, expected: usize) -> LpmStatus {
        self.hand_in(Kind::WrongCount, result, |put| {
            put.number(found as u64).number(expected as u64);
        })
    }

    fn objects(&self, result: &AbiResult, objects: &[u8]) -> LpmStatus {
        self.hand_in(Kind::Objects, result, |put| {
            put.plain(objects);
        })
    }

    fn refuse(&self, result: &AbiResult, what: &str) -> LpmStatus {
        self.hand_in(Kind::Refused, result, |put| {
            put.text(what);
        })
    }
}

/// Where the runner's own events go.
pub(super) struct EventsUp(pub(super) Arc<Up>);

impl EventLog for EventsUp {
    fn record(&self, event: &Event) {
        self.0.send(Kind::Event, |put| {
            put.number(event.id.number());
            put.number(event.status.is_some());
            put.number(event.status.unwrap_or(LpmStatus::OK).0);
            put.text(&event.detail);
        });
    }
}
