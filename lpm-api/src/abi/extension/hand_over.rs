//! [`Lpm::hand_over`] and [`Lpm::take_over`] across the boundary.

use std::ptr;

use abi_stable::std_types::{ROption, RResult, RSlice, RVec};
use lpm_abi::{AbiExtension, AbiFailure, AbiHandOver, Erased, LpmStatus};

use crate::abi::caught::{Panicked, caught};
use crate::abi::failure::{failure, panicked};
use crate::abi::instance::Instance;
use crate::hand_over::HandOver;
use crate::lpm::Lpm;

/// How this LPM hands over and takes over.
pub(crate) fn hand_over<L: Lpm>(instance: &Instance<L>) -> AbiExtension<'_> {
    let functions = const {
        &AbiHandOver {
            hand_over: give::<L>,
            take_over: take::<L>,
        }
    };
    // SAFETY: the functions are those for `L`.
    unsafe { AbiExtension::new(instance, functions) }
}

/// # Safety
///
/// `instance` refers to an `Instance<L>`.
unsafe extern "C" fn give<L: Lpm>(
    instance: &Erased,
    limit: u64,
    state: &mut RVec<u8>,
) -> RResult<ROption<u32>, AbiFailure> {
    // SAFETY: the caller's promise.
    let Instance { lpm, .. } = unsafe { &*ptr::from_ref(instance).cast::<Instance<L>>() };
    let given = caught(|| {
        let Some(HandOver { format, bytes }) = lpm.hand_over() else {
            return Ok(ROption::RNone);
        };
        if u64::try_from(bytes.len()).is_ok_and(|length| length <= limit) {
            state.extend_from_slice(&bytes);
            return Ok(ROption::RSome(format));
        }
        let found = bytes.len();
        Err(failure(
            &format_args!("hands over {found} bytes, of which the PCM takes {limit}"),
            LpmStatus::INVALID_RESULTS,
        ))
    });
    given
        .unwrap_or_else(|Panicked| Err(panicked("hand_over")))
        .into()
}

/// # Safety
///
/// `instance` refers to an `Instance<L>`.
unsafe extern "C" fn take<L: Lpm>(
    instance: &Erased,
    format: u32,
    state: RSlice<'_, u8>,
) -> RResult<(), AbiFailure> {
    // SAFETY: the caller's promise.
    let Instance { lpm, .. } = unsafe { &*ptr::from_ref(instance).cast::<Instance<L>>() };
    let taken = caught(|| {
        let bytes = state.to_vec();
        let refused = lpm.take_over(HandOver { format, bytes });
        refused.map_err(|refused| failure(&refused, LpmStatus::REFUSED))
    });
    taken
        .unwrap_or_else(|Panicked| Err(panicked("take_over")))
        .into()
}
