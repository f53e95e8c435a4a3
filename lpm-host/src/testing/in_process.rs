//! An LPM that is part of the test's own program.

use std::any::Any;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::sync::Arc;

use lpm_abi::{AbiExtension, AbiInit, AbiInitialized};
use lpm_api::abi::{Export, Package};
use lpm_api::{
    AddressRow, AddressTableRefused, AdmitRequest, Answer, CommitResv, Decision, DeinitError,
    DeinitReason, DeleteState, HandOver, InitError, InitInfo, Lpm, LpmStatus, ObjectsAnswer,
    ObjectsRequest, PeType, TakeOverRefused,
};
use lpm_rsvp::FlowDescriptor;

thread_local! {
    /// The LPM that the last call of `initialize` on this thread made.
    static MADE: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

/// The LPM, as itself and behind the ABI; or its status and message.
pub(super) type Initialized<L> = Result<(Arc<L>, PeType, AbiInitialized), (LpmStatus, String)>;

/// Initializes an LPM through the functions that a library of it would export.
pub(super) fn initialize<L: Lpm>(init: AbiInit<'_>) -> Initialized<L> {
    let module = lpm_api::abi::module::<InProcess<L>>();
    let initialized = module.initialize()(init).into_result();
    let made = MADE.take().and_then(|made| made.downcast::<Arc<L>>().ok());
    match (initialized, made) {
        (Ok(initialized), Some(lpm)) => {
            let p_type = u16::try_from(initialized.pe_type()).unwrap_or_default();
            Ok((*lpm, PeType::new(p_type), initialized))
        }
        (Err(failure), _) => Err((LpmStatus(failure.status), failure.message.into_string())),
        // `Shared::initialize` has just put it there.
        (Ok(_), None) => Err((LpmStatus::INVALID_LPM_HANDLE, String::new())),
    }
}

struct InProcess<L>(PhantomData<L>);

impl<L: Lpm> Export for InProcess<L> {
    type Lpm = Shared<L>;
    const PACKAGE: Package = Package {
        name: "test",
        version: "0.0.0",
        authors: "",
    };

    /// None: a test has the LPM itself, and with it what it implements.
    fn extension<'a>(_: &'a Self::Lpm, _: &str) -> Option<AbiExtension<'a>> {
        None
    }
}

/// An LPM that the test may look into while the adapter has it.
struct Shared<L>(Arc<L>);

impl<L: Lpm> Lpm for Shared<L> {
    fn initialize(init: InitInfo<'_>) -> Result<Self, InitError> {
        let lpm = Arc::new(L::initialize(init)?);
        MADE.set(Some(Box::new(Arc::clone(&lpm))));
        Ok(Self(lpm))
    }

    fn pe_type(&self) -> PeType {
        self.0.pe_type()
    }

    fn ip_address_table(&self, table: &[AddressRow]) -> Result<(), AddressTableRefused> {
        self.0.ip_address_table(table)
    }

    fn admit(&self, request: AdmitRequest<'_>) -> Answer {
        self.0.admit(request)
    }

    fn rsvp_objects(&self, request: ObjectsRequest<'_>) -> ObjectsAnswer {
        self.0.rsvp_objects(request)
    }

    fn commit_resv(&self, commit: CommitResv<'_>) {
        self.0.commit_resv(commit);
    }

    fn delete_state(&self, request: DeleteState<'_>) {
        self.0.delete_state(request);
    }

    fn explain(
        &self,
        request: &AdmitRequest<'_>,
        flow: &FlowDescriptor<'_>,
        decision: Decision,
    ) -> Option<String> {
        self.0.explain(request, flow, decision)
    }

    fn hand_over(&self) -> Option<HandOver> {
        self.0.hand_over()
    }

    fn take_over(&self, state: HandOver) -> Result<(), TakeOverRefused> {
        self.0.take_over(state)
    }

    fn deinitialize(self, reason: DeinitReason) -> Result<(), DeinitError> {
        match Arc::into_inner(self.0) {
            Some(lpm) => lpm.deinitialize(reason),
            // The test's reference borrows what is being deinitialized, so this is never reached.
            None => Err(DeinitError::new(NonZeroU32::MIN, "the LPM is in use")),
        }
    }
}
