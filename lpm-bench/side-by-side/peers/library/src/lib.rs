//! The peers that are loaded from a shared library.

use std::slice;

use abi_stable::export_root_module;
use abi_stable::prefix_type::PrefixTypeTrait;
use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::std_types::RSliceMut;
use peer_interface::{
    Decision, PeerModule, PeerModuleRef, Request, Stabby, StabbyDecision, StabbyObject,
    StabbyRequest, Stable, Stable_TO, StableObject,
};
use stabby::slice::SliceMut;

struct Accepts;

impl Stable for Accepts {
    fn admit(&self, _: &Request<'_>, mut decisions: RSliceMut<'_, Decision>) -> u32 {
        decisions.as_mut_slice().fill(Decision::ACCEPT);
        0
    }
}

#[export_root_module]
fn module() -> PeerModuleRef {
    PeerModule { new }.leak_into_prefix()
}

extern "C" fn new() -> StableObject {
    Stable_TO::from_value(Accepts, TD_Opaque)
}

impl Stabby for Accepts {
    extern "C" fn admit<'a, 'b>(
        &'a self,
        _: &'a StabbyRequest<'b>,
        decisions: SliceMut<'a, StabbyDecision>,
    ) -> u32 {
        let decisions: &mut [StabbyDecision] = decisions.into();
        decisions.fill(StabbyDecision {
            lpv: Decision::ACCEPT.lpv,
            error_code: 0,
            error_value: 0,
        });
        0
    }
}

/// Makes a stabby object.
#[stabby::export]
pub extern "C" fn new_stabby() -> StabbyObject {
    stabby::boxed::Box::new(Accepts).into()
}

/// Decides like a plugin with a C interface.
///
/// # Safety
///
/// There are as many decisions as it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn admit(
    _: *const u8,
    _: usize,
    decisions: *mut Decision,
    flows: usize,
) -> u32 {
    // SAFETY: the caller's promise.
    let decisions = unsafe { slice::from_raw_parts_mut(decisions, flows) };
    decisions.fill(Decision::ACCEPT);
    0
}
