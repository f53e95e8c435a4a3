//! A child process that runs one LPM, as the PCM sees it.

use std::io;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use lpm_api::LpmStatus;

use super::super::lpmapi::conduct::Conduct;
use super::super::trace;
use super::calls::Function;
use super::child::{LISTENS, Running};
use super::frames::{Kind, Writer};
use super::link::{Link, NoAnswer};
use super::memory::Memory;
use super::task::Description;
use super::words::{Malformed, Put, Take};
use crate::lock::lock;

/// A process that runs an LPM, until it has ended.
pub(crate) struct Process {
    pub(super) link: Link,
    to_runner: Arc<Writer>,
    child: Mutex<Option<Arc<Running>>>,
    id: OnceLock<u32>,
    /// Why it is to end.
    why: OnceLock<Why>,
    has_ended: Mutex<bool>,
    end: Condvar,
    conduct: Arc<Conduct>,
    /// What it runs, once that is initialized.
    pub(super) description: OnceLock<Description>,
    /// By what number its logs are known.
    library: u64,
}

/// Why a process is to end.
pub(super) enum Why {
    /// It was told to.
    Told,
    /// It is killed for what it did.
    Killed(String),
}

impl Process {
    /// One that is to be started, with this end of the wire to it.
    pub(super) fn new(
        memory: Memory,
        to_runner: Arc<Writer>,
        conduct: Arc<Conduct>,
        library: u64,
    ) -> Self {
        Self {
            link: Link::new(memory),
            to_runner,
            child: Mutex::default(),
            id: OnceLock::new(),
            why: OnceLock::new(),
            has_ended: Mutex::new(false),
            end: Condvar::new(),
            conduct,
            description: OnceLock::new(),
            library,
        }
    }

    /// Its number in the system, once it was started.
    pub(crate) fn id(&self) -> Option<u32> {
        self.id.get().copied()
    }

    /// Where it runs an LPM against `lpmapi.h`: whether that kept to its memory.
    pub(crate) fn conduct(&self) -> Option<&Arc<Conduct>> {
        let is_in_c = self.description.get().is_some_and(|lpm| lpm.is_in_c);
        is_in_c.then_some(&self.conduct)
    }

    /// The version of the package that its library was built from.
    pub(crate) fn version(&self) -> Option<&str> {
        self.description.get()?.version.as_deref()
    }

    /// Whether it serves no more calls.
    pub(crate) fn has_ended(&self) -> bool {
        self.link.has_ended()
    }

    /// Makes a call, which `write` says and whose answer `read` takes; `issue` gives it a handle,
    /// where it asks for one.
    pub(super) fn call<R>(
        &self,
        function: Function,
        write: impl FnOnce(&mut Put<'_>),
        issue: impl Fn() -> u64,
        read: impl FnOnce(&mut Take<'_>) -> Result<R, Malformed>,
    ) -> Result<R, LpmStatus> {
        self.call_with(function, write, &[], issue, read)
    }

    /// The same with `more` after what `write` says.
    pub(super) fn call_with<R>(
        &self,
        function: Function,
        write: impl FnOnce(&mut Put<'_>),
        more: &[u64],
        issue: impl Fn() -> u64,
        read: impl FnOnce(&mut Take<'_>) -> Result<R, Malformed>,
    ) -> Result<R, LpmStatus> {
        if let Some(Why::Killed(_)) = self.why() {
            // It may still be there, in places that it was to give back.
            return Err(LpmStatus::ENDED);
        }
        let write = |mut put: Put<'_>| {
            put.number(function as u64);
            write(&mut put);
        };
        let called = self
            .link
            .call(write, more, issue, |mut take| read(&mut take));
        called.map_err(|why| match why {
            NoAnswer::Ended => LpmStatus::ENDED,
            NoAnswer::TooLong => LpmStatus::REFUSED,
            NoAnswer::Malformed => {
                self.kill(format!("it broke the protocol: {Malformed}"));
                LpmStatus::ENDED
            }
        })
    }

    /// Whether a call into the LPM is under way there.
    pub(crate) fn is_calling(&self) -> bool {
        self.link.is_calling()
    }

    /// Ends it at once, for what it did.
    pub(crate) fn kill(&self, why: String) {
        // What it did first counts.
        let _ = self.why.set(Why::Killed(why));
        self.kill_child();
    }

    /// Tells it to end, and waits for that: so long, and then it is killed.
    pub(crate) fn end(&self, limit: Duration) {
        let _ = self.why.set(Why::Told);
        self.link.close();
        self.tell(Kind::End, |_| {});
        let is_running = |has_ended: &mut bool| !*has_ended;
        let waited = self
            .end
            .wait_timeout_while(lock(&self.has_ended), limit, is_running);
        let (has_ended, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            drop(has_ended);
            self.kill_child();
            drop(self.end.wait_while(lock(&self.has_ended), is_running));
        }
    }

    /// Tells it if this host's `tracing` filters have changed.
    pub(crate) fn refresh_level(&self) {
        trace::refresh(self.library, |level| {
            self.tell(Kind::Level, |mut put| {
                put.number(level);
            });
        });
    }

    /// Tells it something; one that does not listen is killed. Where it cannot be told anything it
    /// is ending.
    pub(super) fn tell(&self, kind: Kind, write: impl FnOnce(Put<'_>)) {
        let told = self.to_runner.send(kind, write);
        if told.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            self.kill(format!(
                "it did not hear what it was told within {LISTENS:?}"
            ));
        }
    }

    /// It was started.
    pub(super) fn began(&self, child: &Arc<Running>) {
        let _ = self.id.set(child.process.id());
        *lock(&self.child) = Some(Arc::clone(child));
        if self.why.get().is_some() {
            // Nobody waits for it any more.
            child.process.kill();
        }
    }

    /// It is gone.
    pub(super) fn is_over(&self) {
        *lock(&self.child) = None;
        *lock(&self.has_ended) = true;
        self.end.notify_all();
    }

    pub(super) fn why(&self) -> Option<&Why> {
        self.why.get()
    }

    fn kill_child(&self) {
        if let Some(child) = &*lock(&self.child) {
            child.process.kill();
        }
    }
}
