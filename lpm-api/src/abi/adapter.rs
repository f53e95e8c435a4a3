//! The LPM side of the ABI: an [`Lpm`] behind functions that never unwind.

use std::time::Duration;

use abi_stable::std_types::{ROption, RResult, RSlice, RSliceMut, RStr, RString, RVec};
use lpm_abi::{
    AbiAddressRow, AbiAdmit, AbiAnswer, AbiCommit, AbiDecision, AbiDeinitialize, AbiDeleteState,
    AbiExtension, AbiFailure, AbiInit, AbiInitialized, AbiLpm, AbiLpm_TO, AbiObjectsRequest,
    LpmHandle, LpmStatus,
};

use super::caught::{Panicked, caught};
use super::export::Export;
use super::message::{commit_resv, delete_state, message};
use crate::address_table::{AddressRow, AddressTableRefused};
use crate::admit::AdmitRequest;
use crate::callbacks::PcmCallbacks;
use crate::deinit::DeinitReason;
use crate::init::InitInfo;
use crate::lpm::Lpm;
use crate::objects::ObjectsRequest;
use crate::pe_type::PeType;

/// An initialized LPM; empty once it is deinitialized.
struct Adapter<E: Export> {
    lpm: Option<E::Lpm>,
    pe_type: PeType,
    callbacks: PcmCallbacks,
}

/// [`AbiLpmModule::initialize`](super::AbiLpmModule::initialize) for the LPM of `E`.
pub(super) extern "C" fn initialize<E: Export>(
    init: AbiInit<'_>,
) -> RResult<AbiInitialized, AbiFailure> {
    let initialized = caught(|| {
        let init = init_info(&init);
        let lpm = E::Lpm::initialize(init).map_err(|error| failure(&error, error.status()))?;
        let pe_type = lpm.pe_type();
        let adapter = Adapter::<E> {
            lpm: Some(lpm),
            pe_type,
            callbacks: init.callbacks(),
        };
        Ok(AbiInitialized {
            lpm: AbiLpm_TO::from_value(adapter, abi_stable::sabi_trait::TD_Opaque),
            pe_type: u32::from(pe_type.p_type()),
        })
    });
    initialized
        .unwrap_or_else(|Panicked| Err(panicked("initialize")))
        .into()
}

impl<E: Export> AbiLpm for Adapter<E> {
    fn admit(&self, request: &AbiAdmit<'_>, decisions: RSliceMut<'_, AbiDecision>) -> AbiAnswer {
        let Some(lpm) = &self.lpm else {
            return AbiAnswer::failed(LpmStatus::INVALID_LPM_HANDLE);
        };
        let answer = caught(|| {
            lpm.admit(AdmitRequest {
                abi: request,
                pe_type: self.pe_type,
                decisions: decisions.into_mut_slice(),
                callbacks: &self.callbacks,
            })
        });
        match answer {
            Ok(answer) => AbiAnswer::with_flags(answer.flags),
            Err(Panicked) => AbiAnswer::failed(LpmStatus::PANICKED),
        }
    }

    fn rsvp_objects(&self, request: &AbiObjectsRequest<'_>, objects: &mut RVec<u8>) -> AbiAnswer {
        let Some(lpm) = &self.lpm else {
            return AbiAnswer::failed(LpmStatus::INVALID_LPM_HANDLE);
        };
        let answer = caught(|| {
            lpm.rsvp_objects(ObjectsRequest {
                interface: request.interface.into(),
                message: message(&request.message),
                max_policy_data_size: request.max_policy_data_size,
                pe_type: self.pe_type,
                objects,
                defer: request.defer,
                callbacks: self.callbacks,
            })
        });
        match answer {
            Ok(answer) => AbiAnswer::with_flags(
                flag(answer.drop_message, AbiAnswer::DROP_MESSAGE)
                    | flag(answer.deferred, AbiAnswer::DEFERRED),
            ),
            Err(Panicked) => AbiAnswer::failed(LpmStatus::PANICKED),
        }
    }

    fn commit_resv(&self, commit: &AbiCommit<'_>) -> u32 {
        self.tell(|lpm| {
            if let Some(commit) = commit_resv(commit) {
                lpm.commit_resv(commit);
            }
            LpmStatus::OK
        })
    }

    fn delete_state(&self, request: &AbiDeleteState<'_>) -> u32 {
        self.tell(|lpm| {
            if let Some(state) = delete_state(request) {
                lpm.delete_state(state);
            }
            LpmStatus::OK
        })
    }

    fn ip_address_table(&self, table: RSlice<'_, AbiAddressRow>) -> u32 {
        self.tell(|lpm| {
            let table: Vec<AddressRow> = table.iter().copied().map(AddressRow::from).collect();
            match lpm.ip_address_table(&table) {
                Ok(()) => LpmStatus::OK,
                Err(AddressTableRefused) => LpmStatus::REFUSED,
            }
        })
    }

    fn extension(&self, id: RStr<'_>) -> ROption<AbiExtension<'_>> {
        let lpm = self.lpm.as_ref();
        lpm.and_then(|lpm| E::extension(lpm, id.as_str())).into()
    }

    fn deinitialize(&mut self, reason: AbiDeinitialize) -> RResult<(), AbiFailure> {
        let reason = match reason {
            AbiDeinitialize::Demotion => DeinitReason::Demotion,
            AbiDeinitialize::Shutdown => DeinitReason::Shutdown,
            AbiDeinitialize::Reconfiguration => DeinitReason::Reconfiguration,
        };
        let Some(lpm) = self.lpm.take() else {
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

impl<E: Export> Adapter<E> {
    /// A call whose result is a status.
    fn tell(&self, call: impl FnOnce(&E::Lpm) -> LpmStatus) -> u32 {
        let status = match &self.lpm {
            Some(lpm) => caught(|| call(lpm)).unwrap_or(LpmStatus::PANICKED),
            None => LpmStatus::INVALID_LPM_HANDLE,
        };
        status.0
    }
}

impl<E: Export> Drop for Adapter<E> {
    fn drop(&mut self) {
        // An LPM that the PCM never took on, or gave up on, is still here; its destructor must not
        // unwind into the PCM.
        let lpm = self.lpm.take();
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
        callbacks: PcmCallbacks::new(LpmHandle::new(init.handle), init.callbacks),
    }
}

fn flag(is_set: bool, bit: u32) -> u32 {
    if is_set { bit } else { 0 }
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
