//! Run an LPM inside a unit test: no shared library, no threads, a clock that stands still.
//!
//! [`TestPcm`] plays the PCM. It calls the LPM through the same adapter that a loaded library is called
//! through, so what a test sees is what a PCM would see, and it does exactly what the test says, in that
//! order, on the test's thread. Messages come from [`messages`].
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
//! Nothing here loads a library, starts a thread or calls the system but for memory, so that such tests
//! suit interpreters and checkers as well. Under valgrind this module's own tests pass; under Miri
//! (`cargo +nightly miri test`) nobody has run them yet.
//!
//! What this does not show is what becomes of the library: whether it loads, holds its own under many
//! threads, and can be unloaded. `pcm check` does.

mod desk;
mod in_process;
pub mod messages;

use std::cell::Cell;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use abi_stable::std_types::RVec;
use lpm_abi::{
    API_VERSION, AbiAddressRow, AbiAdmit, AbiAnswer, AbiCommit, AbiDecision, AbiDeinitialize,
    AbiDeleteState, AbiInit, AbiInitialized, AbiLpmBox, AbiObjectsRequest,
};
use lpm_api::abi::abi_message;
use lpm_api::{
    AddressRow, AddressTableRefused, CommitDecision, Decision, DeinitReason, DeleteReason, Lpm,
    LpmHandle, LpmStatus, PeType,
};

use self::desk::Desk;
pub use self::desk::Pending;
pub use self::messages::{MessageBuilder, TestMessage};
use crate::error::LpmStartError;
use crate::lpm::calls::{AdmitCall, Call};
use crate::message::ReceivedMessage;

/// What an LPM answers to a request for decisions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answered {
    /// One decision per flow descriptor of the message.
    Decided {
        /// The decisions, in the message's order.
        decisions: Vec<Decision>,
        /// Whether the LPM asks for a refresh at once.
        immediate_refresh: bool,
    },
    /// None, so that a PCM rejects the flows: the LPM panicked ([`LpmStatus::PANICKED`]), dropped the
    /// token ([`LpmStatus::FORGOTTEN`]), let the time pass ([`LpmStatus::TIME_OUT`]), gave an answer that
    /// is none ([`LpmStatus::INVALID_RESULTS`]), or was deinitialized first
    /// ([`LpmStatus::INVALID_LPM_HANDLE`]).
    Failed(LpmStatus),
}

/// What an LPM supplies for an outgoing message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Supplied {
    /// POLICY_DATA objects in network byte order, one after the other; empty: none.
    Objects(Vec<u8>),
    /// The message is not to go out.
    Drop,
    /// Nothing, with the statuses of [`Answered::Failed`]; the message goes out without.
    Failed(LpmStatus),
}

/// How a [`TestPcm`] initializes its LPM.
#[derive(Clone, Debug)]
#[must_use]
pub struct TestPcmBuilder<L> {
    name: String,
    config: String,
    config_source: String,
    config_dir: Option<PathBuf>,
    result_time_limit: Duration,
    now: SystemTime,
    lpm: PhantomData<fn() -> L>,
}

impl<L: Lpm> TestPcmBuilder<L> {
    /// The name that the configuration gives the LPM; default `test`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The LPM's configuration; default empty.
    pub fn config(mut self, text: impl Into<String>) -> Self {
        self.config = text.into();
        self
    }

    /// Where that comes from, for the LPM's error messages; default `configuration`.
    pub fn config_source(mut self, source: impl Into<String>) -> Self {
        self.config_source = source.into();
        self
    }

    /// The directory from which relative paths in the configuration are meant; has to be UTF-8.
    pub fn config_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.config_dir = Some(dir.into());
        self
    }

    /// How long answers that are put off may take, by the clock of the [`TestPcm`]; default 5 s.
    pub const fn result_time_limit(mut self, limit: Duration) -> Self {
        self.result_time_limit = limit;
        self
    }

    /// What the clock shows at first; default noon (UTC) of 2026-01-01, a Thursday.
    pub const fn now(mut self, now: SystemTime) -> Self {
        self.now = now;
        self
    }

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
        let handle = next_handle();
        let limit = self.result_time_limit;
        let dir = self.config_dir.as_ref().map(|dir| {
            dir.to_str()
                .expect("the configuration's directory is UTF-8")
        });
        let desk = Desk::open(handle, limit);
        let started = in_process::initialize::<L>(AbiInit {
            handle: handle.number(),
            result_time_limit: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
            lpm_count: 1,
            pcm_version: API_VERSION,
            name: self.name.as_str().into(),
            config: self.config.as_str().into(),
            config_source: self.config_source.as_str().into(),
            config_dir: dir.map(Into::into).into(),
            callbacks: desk::CALLBACKS,
        });
        let (lpm, pe_type, abi) = match started {
            Ok(started) => started,
            Err((status, message)) => {
                desk.close();
                return Err(LpmStartError::Initialize { status, message });
            }
        };
        let pcm = TestPcm {
            started: Some(Started { lpm, abi }),
            handle,
            pe_type,
            desk,
            begun: self.now,
        };
        // As a PCM does before any request. A refusal is the LPM's right.
        let _ = pcm.ip_address_table(&[]);
        Ok(pcm)
    }
}

/// A PCM with one LPM, driven call by call by a unit test; see [the module](self).
///
/// A call in which the LPM panics fails the test. Several threads may make calls at once.
pub struct TestPcm<L: Lpm> {
    /// Until it is deinitialized.
    started: Option<Started<L>>,
    handle: LpmHandle,
    pe_type: PeType,
    desk: Arc<Desk>,
    begun: SystemTime,
}

/// The LPM, as itself and behind the ABI.
struct Started<L> {
    lpm: Arc<L>,
    abi: AbiInitialized,
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
        TestPcmBuilder {
            name: String::from("test"),
            config: String::new(),
            config_source: String::from("configuration"),
            config_dir: None,
            result_time_limit: Duration::from_secs(5),
            now: UNIX_EPOCH + Duration::from_secs(1_767_268_800),
            lpm: PhantomData,
        }
    }

    /// The LPM itself, to look into.
    #[must_use]
    pub fn lpm(&self) -> &L {
        &self.started().lpm
    }

    /// The LPM's handle.
    #[must_use]
    pub const fn handle(&self) -> LpmHandle {
        self.handle
    }

    /// The policy element type that the LPM serves.
    #[must_use]
    pub const fn pe_type(&self) -> PeType {
        self.pe_type
    }

    /// What the clock shows: when the next message is received.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.begun + self.desk.elapsed()
    }

    /// Lets time pass. Requests whose answers are late then have [failed](LpmStatus::TIME_OUT).
    pub fn advance(&self, by: Duration) {
        self.desk.advance(by);
    }

    /// Tells the LPM the addresses of the host.
    ///
    /// # Errors
    ///
    /// The LPM cannot use them.
    pub fn ip_address_table(&self, table: &[AddressRow]) -> Result<(), AddressTableRefused> {
        let rows: Vec<_> = table.iter().copied().map(AbiAddressRow::from).collect();
        let status = self.abi().ip_address_table(rows.as_slice().into());
        match LpmStatus(status) {
            LpmStatus::REFUSED => Err(AddressTableRefused),
            status => {
                succeeded("ip_address_table", status);
                Ok(())
            }
        }
    }

    /// Has the LPM decide on a message that is received now: one decision per flow descriptor. Waits for
    /// an answer that another thread is to give.
    ///
    /// # Panics
    ///
    /// When there is no answer, for one of the reasons in [`Answered::Failed`], or none for a minute.
    #[must_use]
    pub fn admit(&self, message: &TestMessage) -> Vec<Decision> {
        match self.admit_later(message).wait() {
            Answered::Decided { decisions, .. } => decisions,
            Answered::Failed(status) => panic!("admit failed: {status}"),
        }
    }

    /// Has the LPM decide on a message that is received now, and does not wait for an answer that is put
    /// off.
    pub fn admit_later(&self, message: &TestMessage) -> Pending<Answered> {
        let flow_count = message.view().flow_descriptors().count();
        let received = ReceivedMessage {
            message: message.view(),
            interface: message.interface(),
            received: self.now(),
            integrity_verified: message.integrity_verified(),
        };
        let call = AdmitCall::new(&received, || self.desk.expect_decisions(flow_count));
        let mut decisions = vec![AbiDecision::UNANSWERED; flow_count];
        let answer = self.started().abi.admit(&AbiAdmit {
            places: Cell::from_mut(&mut *decisions).as_slice_of_cells().into(),
            ..call.request()
        });
        match (call.issued(), answer.status()) {
            (Some(request), LpmStatus::OK) => self.desk.pending(request),
            (_, status) => Pending::here(desk::decided(status, answer.flags(), &decisions)),
        }
    }

    /// Asks the LPM for the objects of a message that is to go out, with room for so many bytes of them.
    /// Waits for an answer that another thread is to give.
    ///
    /// # Panics
    ///
    /// When there is no answer for a minute.
    #[must_use]
    pub fn rsvp_objects(&self, message: &TestMessage, room: u32) -> Supplied {
        self.rsvp_objects_later(message, room).wait()
    }

    /// Asks the LPM for the objects of a message that is to go out, and does not wait for an answer that
    /// is put off.
    pub fn rsvp_objects_later(&self, message: &TestMessage, room: u32) -> Pending<Supplied> {
        let call = Call::new(|| self.desk.expect_objects(self.pe_type, room));
        let mut objects = RVec::new();
        let request = AbiObjectsRequest {
            interface: message.interface().into(),
            max_policy_data_size: room,
            message: abi_message(message.view()),
            defer: call.defer(),
        };
        let answer = self.abi().rsvp_objects(&request, &mut objects);
        let drops = answer.flags() & AbiAnswer::DROP_MESSAGE != 0;
        match (call.issued(), answer.status()) {
            (Some(request), LpmStatus::OK) => self.desk.pending(request),
            (_, status) => {
                Pending::here(desk::supplied(status, drops, &objects, self.pe_type, room))
            }
        }
    }

    /// Tells the LPM that resources were reserved, or changed, for the flow descriptor with this index.
    ///
    /// # Panics
    ///
    /// When the LPM panics.
    pub fn commit_resv(&self, message: &TestMessage, flow: u16, decision: CommitDecision) {
        let status = self.abi().commit_resv(&AbiCommit {
            decision: decision as u32,
            flow,
            interface: message.interface().into(),
            message: abi_message(message.view()),
            merged: [][..].into(),
        });
        succeeded("commit_resv", LpmStatus(status));
    }

    /// Tells the LPM that the state of all flows of the message is gone.
    ///
    /// # Panics
    ///
    /// When the LPM panics.
    pub fn delete_state(&self, message: &TestMessage, reason: DeleteReason) {
        let status = self.abi().delete_state(&AbiDeleteState {
            reason: reason as u32,
            flow: None.into(),
            interface: Some(message.interface().into()).into(),
            message: abi_message(message.view()),
        });
        succeeded("delete_state", LpmStatus(status));
    }

    /// Deinitializes the LPM: what it has not answered has failed, and it is gone afterwards.
    ///
    /// # Errors
    ///
    /// The status and the message of the LPM.
    pub fn deinitialize(mut self, reason: DeinitReason) -> Result<(), (LpmStatus, String)> {
        self.stop(reason)
    }

    fn stop(&mut self, reason: DeinitReason) -> Result<(), (LpmStatus, String)> {
        let Some(Started { lpm, mut abi }) = self.started.take() else {
            return Ok(());
        };
        self.desk.close();
        // Then the LPM is the adapter's alone, and goes by value.
        drop(lpm);
        let reason = match reason {
            DeinitReason::Demotion => AbiDeinitialize::Demotion,
            DeinitReason::Reconfiguration => AbiDeinitialize::Reconfiguration,
            _ => AbiDeinitialize::Shutdown,
        };
        let done = abi.deinitialize(reason);
        done.map_err(|failure| (LpmStatus(failure.status), failure.message.into_string()))
    }

    fn started(&self) -> &Started<L> {
        let started = self.started.as_ref();
        started.expect("only `deinitialize` and `drop` take it")
    }

    fn abi(&self) -> &AbiLpmBox {
        self.started().abi.lpm()
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
            .field("handle", &self.handle)
            .field("pe_type", &self.pe_type)
            .finish_non_exhaustive()
    }
}

fn succeeded(function: &str, status: LpmStatus) {
    assert!(status.is_ok(), "{function} failed: {status}");
}

fn next_handle() -> LpmHandle {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    LpmHandle::new(NEXT.fetch_add(1, Ordering::Relaxed))
}
