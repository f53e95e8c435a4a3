//! An initialized LPM.

use std::sync::Arc;

use abi_stable::std_types::RSliceMut;
use lpm_api::abi::{
    AbiAdmit, AbiAnswer, AbiDecision, AbiDeinitialize, AbiDeleteState, AbiInitialized, AbiLpmBox,
};
use lpm_api::{DeinitReason, LpmHandle, LpmStatus, PeType};

use super::{LoadedModule, panics};

/// One initialization of an LPM. Dropping it drops the LPM's object, before it lets go of the
/// library whose code does that.
pub(crate) struct Instance {
    lpm: AbiLpmBox,
    pub(crate) name: Arc<str>,
    pub(crate) handle: LpmHandle,
    pub(crate) pe_type: PeType,
    pub(crate) module: Arc<LoadedModule>,
}

impl Instance {
    /// The LPM that `module` initialized; `Err` with the PE type where that is none.
    pub(crate) fn new(
        name: Arc<str>,
        handle: LpmHandle,
        initialized: AbiInitialized,
        module: Arc<LoadedModule>,
    ) -> Result<Self, u32> {
        let AbiInitialized { lpm, pe_type } = initialized;
        match u16::try_from(pe_type) {
            Ok(p_type) => Ok(Self {
                lpm,
                name,
                handle,
                pe_type: PeType::new(p_type),
                module,
            }),
            Err(_) => Err(pe_type),
        }
    }

    /// Asks for decisions, one per place of the buffer.
    pub(crate) fn admit(&self, request: &AbiAdmit<'_>, decisions: &mut [AbiDecision]) -> AbiAnswer {
        panics::during(|| {
            self.lpm
                .admit(request, RSliceMut::from_mut_slice(decisions))
        })
    }

    /// Tells that state is gone.
    pub(crate) fn delete_state(&self, state: &AbiDeleteState<'_>) -> LpmStatus {
        LpmStatus(panics::during(|| self.lpm.delete_state(state)))
    }

    /// Deinitializes the LPM and drops its object.
    pub(crate) fn deinitialize(mut self, reason: DeinitReason) -> Result<(), (LpmStatus, String)> {
        let reason = match reason {
            DeinitReason::Demotion => AbiDeinitialize::Demotion,
            DeinitReason::Reconfiguration => AbiDeinitialize::Reconfiguration,
            _ => AbiDeinitialize::Shutdown,
        };
        let done = panics::during(|| self.lpm.deinitialize(reason)).into_result();
        done.map_err(|failure| {
            (
                LpmStatus(failure.status),
                String::from(failure.message.as_str()),
            )
        })
    }
}
