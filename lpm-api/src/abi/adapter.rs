//! The LPM side of the ABI: an [`Lpm`] behind functions that never unwind.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use abi_stable::std_types::{RResult, RSliceMut, RString};

use super::message::{delete_state, message};
use super::object::{AbiLpm, AbiLpm_TO};
use super::types::{
    AbiAdmit, AbiAnswer, AbiDecision, AbiDeinitialize, AbiDeleteState, AbiFailure, AbiInit,
    AbiInitialized,
};
use crate::{AdmitRequest, DeinitReason, InitInfo, Lpm, LpmHandle, LpmStatus, RequestHandle};

/// An initialized LPM; empty once it is deinitialized.
struct Adapter<L: Lpm>(Option<L>);

/// [`AbiLpmModule::initialize`](super::AbiLpmModule::initialize) for `L`.
pub(super) extern "C" fn initialize<L: Lpm>(
    init: AbiInit<'_>,
) -> RResult<AbiInitialized, AbiFailure> {
    let initialized = caught(|| {
        let lpm =
            L::initialize(init_info(&init)).map_err(|error| failure(&error, error.status()))?;
        let pe_type = u32::from(lpm.pe_type().p_type());
        let lpm = AbiLpm_TO::from_value(Adapter(Some(lpm)), abi_stable::sabi_trait::TD_Opaque);
        Ok(AbiInitialized { lpm, pe_type })
    });
    initialized
        .unwrap_or_else(|Panicked| Err(panicked("initialize")))
        .into()
}

impl<L: Lpm> AbiLpm for Adapter<L> {
    fn admit(&self, request: &AbiAdmit<'_>, decisions: RSliceMut<'_, AbiDecision>) -> AbiAnswer {
        let Some(lpm) = &self.0 else {
            return failed(LpmStatus::INVALID_LPM_HANDLE);
        };
        let answer = caught(|| {
            lpm.admit(AdmitRequest {
                handle: RequestHandle::new(request.request),
                interface: request.interface.into(),
                received: request.received.into(),
                integrity_verified: request.integrity_verified,
                message: message(&request.message),
                decisions: decisions.into_mut_slice(),
            })
        });
        match answer {
            Ok(answer) if answer.request.number() == request.request => AbiAnswer {
                status: LpmStatus::OK.0,
                action_flags: u32::from(answer.immediate_refresh)
                    * AbiAnswer::FORCE_IMMEDIATE_REFRESH,
            },
            // The answer to another request, kept from before.
            Ok(_) => failed(LpmStatus::INVALID_REQUEST_HANDLE),
            Err(Panicked) => failed(LpmStatus::PANICKED),
        }
    }

    fn delete_state(&self, request: &AbiDeleteState<'_>) -> u32 {
        let Some(lpm) = &self.0 else {
            return LpmStatus::INVALID_LPM_HANDLE.0;
        };
        let Some(state) = delete_state(request) else {
            return LpmStatus::OK.0;
        };
        match caught(|| lpm.delete_state(state)) {
            Ok(()) => LpmStatus::OK.0,
            Err(Panicked) => LpmStatus::PANICKED.0,
        }
    }

    fn deinitialize(&mut self, reason: AbiDeinitialize) -> RResult<(), AbiFailure> {
        let reason = match reason {
            AbiDeinitialize::Demotion => DeinitReason::Demotion,
            AbiDeinitialize::Shutdown => DeinitReason::Shutdown,
            AbiDeinitialize::Reconfiguration => DeinitReason::Reconfiguration,
        };
        let Some(lpm) = self.0.take() else {
            let status = LpmStatus::INVALID_LPM_HANDLE;
            return RResult::RErr(failure(&"the LPM is deinitialized already", status));
        };
        match caught(|| lpm.deinitialize(reason)) {
            Ok(Ok(())) => RResult::ROk(()),
            Ok(Err(error)) => RResult::RErr(failure(&error, error.status())),
            Err(Panicked) => RResult::RErr(panicked("deinitialize")),
        }
    }
}

impl<L: Lpm> Drop for Adapter<L> {
    fn drop(&mut self) {
        // An LPM that the PCM never took on, or gave up on, is still here; its destructor must not
        // unwind into the PCM.
        let lpm = self.0.take();
        let _ = caught(|| drop(lpm));
    }
}

fn init_info<'a>(init: &AbiInit<'a>) -> InitInfo<'a> {
    InitInfo {
        handle: LpmHandle::new(init.handle),
        name: init.name.as_str(),
        config: init.config.as_str(),
        config_source: init.config_source.as_str(),
        config_dir: init.config_dir.map(|dir| dir.as_str()).into_option(),
        result_time_limit: Duration::from_millis(init.result_time_limit),
        lpm_count: init.lpm_count,
        pcm_version: init.pcm_version,
    }
}

/// The call panicked; the panic hook has told the PCM where and why.
pub(super) struct Panicked;

/// Runs the LPM's code and stops its panics here.
pub(super) fn caught<R>(call: impl FnOnce() -> R) -> Result<R, Panicked> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| {
        // A payload may panic when it is dropped; that one is leaked instead.
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            mem::forget(second);
        }
        Panicked
    })
}

fn failed(status: LpmStatus) -> AbiAnswer {
    AbiAnswer {
        status: status.0,
        action_flags: 0,
    }
}

fn failure(message: &dyn std::fmt::Display, status: LpmStatus) -> AbiFailure {
    AbiFailure {
        status: status.0,
        message: RString::from(message.to_string()),
    }
}

fn panicked(function: &str) -> AbiFailure {
    failure(&format_args!("panicked in {function}"), LpmStatus::PANICKED)
}
