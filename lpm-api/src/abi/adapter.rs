//! The LPM side of the ABI: an [`Lpm`] behind functions that never unwind.

use std::time::Duration;

use abi_stable::std_types::{ROption, RResult, RSlice, RStr, RVec};
use lpm_abi::{
    AbiAddressRow, AbiAdmit, AbiAnswer, AbiCommit, AbiDeinitialize, AbiDeleteState, AbiExtension,
    AbiFailure, AbiHandOver, AbiInit, AbiInitialized, AbiLpm, AbiObjectsRequest, AbiReasons, Admit,
    ExtensionFunctions, LpmHandle, LpmStatus,
};

use super::caught::{Panicked, caught};
use super::export::Export;
use super::extension;
use super::failure::{failure, panicked};
use super::instance::Instance;
use super::message::{commit_resv, delete_state, message};
use crate::address_table::{AddressRow, AddressTableRefused};
use crate::admit::{AdmitRequest, Terms};
use crate::callbacks::PcmCallbacks;
use crate::deinit::DeinitReason;
use crate::init::InitInfo;
use crate::lpm::Lpm;
use crate::objects::ObjectsRequest;

/// An initialized LPM; empty once it is deinitialized.
struct Adapter<E: Export>(Option<Instance<E::Lpm>>);

/// [`AbiLpmModule::initialize`](super::AbiLpmModule::initialize) for the LPM of `E`.
pub(super) extern "C" fn initialize<E: Export>(
    init: AbiInit<'_>,
) -> RResult<AbiInitialized, AbiFailure> {
    let initialized = caught(|| {
        let init = init_info(&init);
        let lpm = E::Lpm::initialize(init).map_err(|error| failure(&error, error.status()))?;
        let pe_type = lpm.pe_type();
        let callbacks = init.callbacks();
        let terms = Terms { pe_type, callbacks };
        let adapter = Adapter::<E>(Some(Instance { lpm, terms }));
        Ok(AbiInitialized::new(adapter, u32::from(pe_type.p_type())))
    });
    initialized
        .unwrap_or_else(|Panicked| Err(panicked("initialize")))
        .into()
}

impl<E: Export> Admit for Adapter<E> {
    #[inline]
    fn admit(&self, request: &AbiAdmit<'_>) -> AbiAnswer {
        let Some(Instance { lpm, terms }) = &self.0 else {
            return AbiAnswer::failed(LpmStatus::INVALID_LPM_HANDLE);
        };
        let request = AdmitRequest {
            abi: request,
            terms,
        };
        match caught(|| lpm.admit(request)) {
            Ok(answer) => AbiAnswer::with_flags(answer.flags),
            Err(Panicked) => AbiAnswer::failed(LpmStatus::PANICKED),
        }
    }
}

impl<E: Export> AbiLpm for Adapter<E> {
    fn rsvp_objects(&self, request: &AbiObjectsRequest<'_>, objects: &mut RVec<u8>) -> AbiAnswer {
        let Some(Instance { lpm, terms }) = &self.0 else {
            return AbiAnswer::failed(LpmStatus::INVALID_LPM_HANDLE);
        };
        let answer = caught(|| {
            lpm.rsvp_objects(ObjectsRequest {
                interface: request.interface.into(),
                message: message(&request.message),
                max_policy_data_size: request.max_policy_data_size,
                pe_type: terms.pe_type,
                objects,
                defer: request.defer,
                callbacks: terms.callbacks,
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
        let offered = self.0.as_ref().and_then(|instance| match id.as_str() {
            AbiReasons::ID => Some(extension::reasons(instance)),
            AbiHandOver::ID => Some(extension::hand_over(instance)),
            other => E::extension(&instance.lpm, other),
        });
        offered.into()
    }

    fn deinitialize(&mut self, reason: AbiDeinitialize) -> RResult<(), AbiFailure> {
        let reason = match reason {
            AbiDeinitialize::Demotion => DeinitReason::Demotion,
            AbiDeinitialize::Shutdown => DeinitReason::Shutdown,
            AbiDeinitialize::Reconfiguration => DeinitReason::Reconfiguration,
        };
        let Some(Instance { lpm, .. }) = self.0.take() else {
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
        let status = match &self.0 {
            Some(Instance { lpm, .. }) => caught(|| call(lpm)).unwrap_or(LpmStatus::PANICKED),
            None => LpmStatus::INVALID_LPM_HANDLE,
        };
        status.0
    }
}

impl<E: Export> Drop for Adapter<E> {
    fn drop(&mut self) {
        // An LPM that the PCM never took on, or gave up on, is still here; its destructor must not
        // unwind into the PCM.
        let instance = self.0.take();
        let _ = caught(|| drop(instance));
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
