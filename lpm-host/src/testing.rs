//! Run an LPM inside a unit test: no shared library, a clock that stands still.
//!
//! [`TestPcm`] is a [`Pcm`] with one LPM that is [built in](crate::LpmSource::built_in), and a
//! [`ManualClock`]. So what a test sees is what any PCM does: a flow that is refused is one that
//! the LPM is told to forget, and answers that come late are not taken. Requests are made on the
//! test's thread. Messages come from [`messages`].
//!
//! Feature `testing`; an LPM has the crate among its `[dev-dependencies]`:
//!
//! ```toml
//! [dev-dependencies]
//! lpm-host = { version = "0.1", features = ["testing"] }
//! ```
//!
//! A test takes three lines:
//!
//! ```
//! use lpm_host::testing::{TestPcm, messages};
//! # use lpm_api::lpm_rsvp::PolicyElement;
//! # use lpm_api::{AdmitRequest, Answer, Decision, InitError, InitInfo, Lpm, LpmPolicyError, Priority};
//! #
//! # struct Named(String);
//! #
//! # impl Lpm for Named {
//! #     fn initialize(init: InitInfo<'_>) -> Result<Self, InitError> {
//! #         Ok(Self(init.config().to_owned()))
//! #     }
//! #
//! #     fn admit(&self, request: AdmitRequest<'_>) -> Answer {
//! #         let named = request.policy_elements().any(|element| match element {
//! #             PolicyElement::AuthUser(user) => {
//! #                 user.locator().is_some_and(|name| name.to_string() == self.0)
//! #             }
//! #             _ => false,
//! #         });
//! #         request.decide_all(match named {
//! #             true => Decision::accept(Priority::MIN),
//! #             false => Decision::reject(LpmPolicyError::UnknownUser),
//! #         })
//! #     }
//! # }
//!
//! # fn test() {
//! let pcm = TestPcm::<Named>::start("CN=Alice").unwrap();
//! assert_eq!(pcm.admit(&messages::path().user("CN=Alice").build()), [Decision::accept(Priority::MIN)]);
//! assert_eq!(pcm.admit(&messages::path().user("CN=Bob").build()), [Decision::reject(LpmPolicyError::UnknownUser)]);
//! # }
//! # test();
//! ```
//!
//! Besides [`TestPcm`], which is about one LPM, a test may use a [`Pcm`] with any number of LPMs
//! that are [built in](crate::LpmSource::built_in), and a [`ManualClock`]. Neither needs a library.
//!
//! What this does not show is what becomes of the library: whether it loads, holds its own under
//! many threads, and can be unloaded. `pcm check` does.

mod answer;
mod builder;
mod looked_into;
pub mod messages;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use lpm_abi::{AbiAddressRow, AbiCommit, AbiDeleteState};
use lpm_api::abi::abi_message;
use lpm_api::{
    AddressRow, AddressTableRefused, CommitDecision, Decision, DeinitReason, DeleteReason, Lpm,
    LpmHandle, LpmStatus, PeType,
};

pub use self::answer::{Answer, Answered, Pending, Supplied};
pub use self::builder::TestPcmBuilder;
use self::looked_into::Made;
pub use self::messages::{MessageBuilder, TestMessage};
use crate::ask::outgoing;
use crate::error::{LpmStartError, StartError};
use crate::initialized::InitializedLpm;
use crate::lock::lock;
pub use crate::lpm::error::LpmError;
use crate::lpm::instance::Instance;
use crate::manual_clock::ManualClock;
use crate::message::{OutgoingMessage, ReceivedMessage};
use crate::pcm::Pcm;
use crate::seat::seated::Slot;

/// A PCM with one LPM, driven call by call by a unit test; see [the module](self).
///
/// A call in which the LPM panics fails the test. Several threads may make calls at once.
pub struct TestPcm<L: Lpm> {
    /// Until it is deinitialized.
    lpm: Option<Arc<L>>,
    about: InitializedLpm,
    pcm: Pcm,
    clock: ManualClock,
    begun: SystemTime,
    elapsed: Mutex<Duration>,
}

impl<L: Lpm> TestPcmBuilder<L> {
    /// Initializes the LPM, and tells it that the host has no addresses.
    ///
    /// # Errors
    ///
    /// The LPM refuses, or panics: [`LpmStartError::Initialize`].
    ///
    /// # Panics
    ///
    /// When the configuration's directory is not UTF-8.
    pub fn start(self) -> Result<TestPcm<L>, LpmStartError> {
        let slot = Made::<L>::default();
        let (config, begun) = self.configured(looked_into::source(&slot));
        let clock = ManualClock::new();
        let pcm = Pcm::builder().lpm(config).clock(&clock).build();
        let pcm = pcm.unwrap_or_else(|error| panic!("{error}"));
        let started = match pcm.become_dsbm() {
            Ok(startup) => startup.lpms.into_iter().next(),
            Err(StartError::Lpms { failures }) => match failures.into_iter().next() {
                Some(failure) => return Err(failure.error),
                None => None,
            },
            Err(error) => panic!("{error}"),
        };
        let lpm = lock(&slot).take();
        Ok(TestPcm {
            about: started.expect("an LPM started, or failed"),
            lpm: Some(lpm.expect("whoever is initialized leaves the LPM there")),
            pcm,
            clock,
            begun,
            elapsed: Mutex::default(),
        })
    }
}

impl<L: Lpm> TestPcm<L> {
    /// Initializes the LPM with this configuration.
    ///
    /// # Errors
    ///
    /// As [`TestPcmBuilder::start`].
    pub fn start(config: &str) -> Result<Self, LpmStartError> {
        Self::builder().config(config).start()
    }

    /// For an LPM that needs more than a configuration.
    pub fn builder() -> TestPcmBuilder<L> {
        TestPcmBuilder::new()
    }

    /// The LPM itself, to look into.
    #[must_use]
    pub fn lpm(&self) -> &L {
        let lpm = self.lpm.as_ref();
        lpm.expect("only `deinitialize` and `drop` take it")
    }

    /// The LPM's handle.
    #[must_use]
    pub const fn handle(&self) -> LpmHandle {
        self.about.handle
    }

    /// The policy element type that the LPM serves.
    #[must_use]
    pub const fn pe_type(&self) -> PeType {
        self.about.pe_type
    }

    /// What the clock shows: when the next message is received.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.begun + *lock(&self.elapsed)
    }

    /// Lets time pass. Requests whose answers are late then have [failed](LpmStatus::TIME_OUT).
    pub fn advance(&self, by: Duration) {
        let passed = {
            let mut elapsed = lock(&self.elapsed);
            let before = elapsed.as_millis();
            *elapsed += by;
            // What passes in whole milliseconds.
            u64::try_from(elapsed.as_millis() - before).unwrap_or(u64::MAX)
        };
        self.clock.advance(Duration::from_millis(passed));
    }

    /// Tells the LPM the addresses of the host.
    ///
    /// # Errors
    ///
    /// The LPM cannot use them.
    ///
    /// # Panics
    ///
    /// When the LPM panics.
    pub fn ip_address_table(&self, table: &[AddressRow]) -> Result<(), AddressTableRefused> {
        let rows: Vec<_> = table.iter().copied().map(AbiAddressRow::from).collect();
        match self.tell(|lpm| lpm.ip_address_table(&rows)) {
            LpmStatus::REFUSED => Err(AddressTableRefused),
            status => {
                succeeded("ip_address_table", status);
                Ok(())
            }
        }
    }

    /// Has the LPM decide on a message that is received now: one decision per flow descriptor.
    /// Waits for an answer that another thread is to give.
    ///
    /// # Panics
    ///
    /// When there is no answer, for one of the reasons in [`Answered::Failed`], or none for a
    /// minute.
    #[must_use]
    pub fn admit(&self, message: &TestMessage) -> Vec<Decision> {
        match self.admit_later(message).wait() {
            Answered::Decided { decisions, .. } => decisions,
            Answered::Failed(status) => panic!("admit failed: {status}"),
        }
    }

    /// Has the LPM decide on a message that is received now, and does not wait for an answer that
    /// is put off.
    ///
    /// # Panics
    ///
    /// Never: only [`deinitialize`](Self::deinitialize) ends the PCM.
    pub fn admit_later(&self, message: &TestMessage) -> Pending<Answered> {
        let admission = self.pcm.admit_later(&self.received(message));
        Pending::new(admission.unwrap_or_else(|error| panic!("{error}")))
    }

    /// Has the LPM decide on a message that is received now, and say why it decides so on the flow
    /// at this position ([`Lpm::explain`]).
    ///
    /// # Panics
    ///
    /// Never: only [`deinitialize`](Self::deinitialize) ends the PCM.
    #[must_use]
    pub fn explain(&self, message: &TestMessage, flow: u16) -> Option<String> {
        let received = self.received(message);
        let verdict = self.pcm.admit(&received);
        let verdict = verdict.unwrap_or_else(|error| panic!("{error}"));
        self.pcm.explain(&received, &verdict, flow)
    }

    fn received<'m>(&self, message: &'m TestMessage) -> ReceivedMessage<'m> {
        ReceivedMessage {
            message: message.view(),
            interface: message.interface(),
            received: self.now(),
            integrity_verified: message.integrity_verified(),
        }
    }

    /// Asks the LPM for the objects of a message that is to go out, with room for so many bytes of
    /// them. Waits for an answer that another thread is to give.
    ///
    /// # Panics
    ///
    /// When there is no answer for a minute.
    #[must_use]
    pub fn rsvp_objects(&self, message: &TestMessage, room: u32) -> Supplied {
        self.rsvp_objects_later(message, room).wait()
    }

    /// Asks the LPM for the objects of a message that is to go out, and does not wait for an answer
    /// that is put off.
    ///
    /// # Panics
    ///
    /// Never: only [`deinitialize`](Self::deinitialize) ends the PCM.
    pub fn rsvp_objects_later(&self, message: &TestMessage, room: u32) -> Pending<Supplied> {
        let outgoing = OutgoingMessage {
            message: message.view(),
            interface: message.interface(),
            max_policy_data_size: room,
        };
        let serving = self.pcm.serving();
        let roster = serving
            .in_charge()
            .unwrap_or_else(|error| panic!("{error}"));
        Pending::new(outgoing::rsvp_objects(&roster, &outgoing, serving))
    }

    /// Tells the LPM that resources were reserved, or changed, for the flow descriptor with this
    /// index.
    ///
    /// # Panics
    ///
    /// When the LPM panics.
    pub fn commit_resv(&self, message: &TestMessage, flow: u16, decision: CommitDecision) {
        let status = self.tell(|lpm| {
            lpm.commit_resv(&AbiCommit {
                decision: decision as u32,
                flow,
                interface: message.interface().into(),
                message: abi_message(message.view()),
                merged: [][..].into(),
            })
        });
        succeeded("commit_resv", status);
    }

    /// Tells the LPM that the state of all flows of the message is gone.
    ///
    /// # Panics
    ///
    /// When the LPM panics.
    pub fn delete_state(&self, message: &TestMessage, reason: DeleteReason) {
        let status = self.tell(|lpm| {
            lpm.delete_state(&AbiDeleteState {
                reason: reason as u32,
                flow: None.into(),
                interface: Some(message.interface().into()).into(),
                message: abi_message(message.view()),
            })
        });
        succeeded("delete_state", status);
    }

    /// Makes a call whose status a PCM puts on record, and a test is to see.
    fn tell(&self, call: impl FnOnce(&Instance) -> LpmStatus) -> LpmStatus {
        let seats = self.pcm.serving().seats();
        let told = seats.first().map(|seat| match &*seat.gate.enter() {
            Slot::Running(lpm) => call(lpm),
            Slot::Closed => LpmStatus::INVALID_LPM_HANDLE,
        });
        told.unwrap_or(LpmStatus::INVALID_LPM_HANDLE)
    }

    /// Deinitializes the LPM: what it has not answered has failed, and it is gone afterwards.
    ///
    /// # Errors
    ///
    /// The status and the message of the LPM.
    pub fn deinitialize(mut self, reason: DeinitReason) -> Result<(), LpmError> {
        self.stop(reason)
    }

    fn stop(&mut self, reason: DeinitReason) -> Result<(), LpmError> {
        // Then the LPM is the adapter's alone, and goes by value.
        self.lpm = None;
        let Ok(teardown) = self.pcm.stop(reason) else {
            return Ok(());
        };
        let stopped = teardown.lpms.into_iter().next();
        match stopped.filter(|lpm| !lpm.status.is_ok()) {
            Some(lpm) => Err(LpmError {
                status: lpm.status,
                message: lpm.detail.unwrap_or_default(),
            }),
            None => Ok(()),
        }
    }
}

impl<L: Lpm> Drop for TestPcm<L> {
    /// Deinitializes the LPM for [`DeinitReason::Shutdown`], whatever it says.
    fn drop(&mut self) {
        let _ = self.stop(DeinitReason::Shutdown);
    }
}

impl<L: Lpm> std::fmt::Debug for TestPcm<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestPcm")
            .field("handle", &self.about.handle)
            .field("pe_type", &self.about.pe_type)
            .finish_non_exhaustive()
    }
}

fn succeeded(function: &str, status: LpmStatus) {
    assert!(status.is_ok(), "{function} failed: {status}");
}
