//! An LPM that is built in, and that its test may look into while the PCM has it.

use std::any::Any;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use lpm_abi::{AbiExtension, AbiInit};
use lpm_api::abi::{Export, Package};
use lpm_api::{
    AddressRow, AddressTableRefused, AdmitRequest, Answer, CommitResv, Decision, DeinitError,
    DeinitReason, DeleteState, HandOver, InitError, InitInfo, Lpm, ObjectsAnswer, ObjectsRequest,
    PeType, TakeOverRefused,
};
use lpm_rsvp::FlowDescriptor;

use crate::lpm::built_in::{self, BuiltIn};
use crate::source::{Kind, LpmSource};

thread_local! {
    /// The LPM that the last call of `initialize` on this thread made.
    static MADE: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

/// Where the LPM is found that was initialized last.
pub(super) type Made<L> = Arc<Mutex<Option<Arc<L>>>>;

/// This LPM as a source; whatever is initialized from it is put into the slot.
pub(super) fn source<L: Lpm>(slot: &Made<L>) -> LpmSource {
    let slot = Arc::clone(slot);
    let initialize = move |init: AbiInit<'_>| {
        let initialized = built_in::initialize::<InProcess<L>>(init)?;
        let made = MADE.take().and_then(|made| made.downcast().ok());
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = made.map(|made| *made);
        Ok(initialized)
    };
    let lpm = BuiltIn::initialized_by::<InProcess<L>>(Arc::new(initialize));
    LpmSource(Kind::BuiltIn(lpm))
}

struct InProcess<L>(PhantomData<fn() -> L>);

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
