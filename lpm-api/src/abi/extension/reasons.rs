//! [`Lpm::explain`] across the boundary.

use std::ptr;

use abi_stable::std_types::RSliceMut;
use lpm_abi::{AbiAdmit, AbiDecision, AbiExtension, AbiReasons, Erased};

use crate::abi::caught::caught;
use crate::abi::instance::Instance;
use crate::admit::AdmitRequest;
use crate::decision::Decision;
use crate::lpm::Lpm;

/// The reasons of this LPM.
pub(crate) fn reasons<L: Lpm>(instance: &Instance<L>) -> AbiExtension<'_> {
    let functions = const {
        &AbiReasons {
            explain: explain::<L>,
        }
    };
    // SAFETY: the functions are those for `L`.
    unsafe { AbiExtension::new(instance, functions) }
}

/// # Safety
///
/// `instance` refers to an `Instance<L>`.
unsafe extern "C" fn explain<L: Lpm>(
    instance: &Erased,
    request: &AbiAdmit<'_>,
    flow: u16,
    decision: AbiDecision,
    mut buffer: RSliceMut<'_, u8>,
) -> usize {
    // SAFETY: the caller's promise.
    let Instance { lpm, terms } = unsafe { &*ptr::from_ref(instance).cast::<Instance<L>>() };
    let written = caught(|| {
        let request = AdmitRequest {
            abi: request,
            terms,
        };
        let flow = request.message().flow_descriptors().nth(flow.into())?;
        let reason = lpm.explain(&request, &flow, Decision::from_abi(decision)?)?;
        Some(write(&reason, buffer.as_mut_slice()))
    });
    written.ok().flatten().unwrap_or_default()
}

/// Writes as many whole characters as there is room for, and says how many bytes that are.
fn write(text: &str, buffer: &mut [u8]) -> usize {
    let most = text.len().min(buffer.len());
    let fits = (0..=most).rev().find(|&end| text.is_char_boundary(end));
    let (text, fits) = (text.as_bytes(), fits.unwrap_or_default());
    if let (Some(room), Some(text)) = (buffer.get_mut(..fits), text.get(..fits)) {
        room.copy_from_slice(text);
    }
    fits
}
