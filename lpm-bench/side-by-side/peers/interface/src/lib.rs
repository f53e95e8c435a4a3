//! How peers are asked: the shape of `lpm-api`'s `admit`, in each peer's own terms.
//!
//! Every peer accepts each flow without looking: what is timed is the way there.

// What `sabi_trait` generates.
#![allow(non_local_definitions)]

use abi_stable::library::RootModule;
use abi_stable::package_version_strings;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{RBox, RSlice, RSliceMut};
use abi_stable::{StableAbi, sabi_trait};
use stabby::slice::{Slice, SliceMut};

/// Priority of what is granted.
pub const GRANTED: u32 = 1;

/// What is decided on a flow.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, StableAbi)]
pub struct Decision {
    /// The LPM priority value.
    pub lpv: u32,
    /// RFC 2205, appendix B.
    pub error_code: u16,
    /// The same.
    pub error_value: u16,
}

impl Decision {
    /// Before anybody has decided.
    pub const UNANSWERED: Self = Self {
        lpv: u32::MAX,
        error_code: 0,
        error_value: 0,
    };
    /// Yes.
    pub const ACCEPT: Self = Self {
        lpv: GRANTED,
        ..Self::UNANSWERED
    };
}

/// A question, as an abi_stable object gets it.
#[repr(C)]
#[derive(StableAbi)]
pub struct Request<'a> {
    /// Which one.
    pub handle: u64,
    /// The RSVP message.
    pub message: RSlice<'a, u8>,
}

/// A peer as an abi_stable object.
#[sabi_trait]
pub trait Stable: Send + Sync {
    /// Decides on each flow.
    fn admit(&self, request: &Request<'_>, decisions: RSliceMut<'_, Decision>) -> u32;
}

/// An abi_stable object.
pub type StableObject = Stable_TO<'static, RBox<()>>;

/// What abi_stable's own loader looks for.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PeerModuleRef)))]
#[sabi(missing_field(panic))]
pub struct PeerModule {
    /// Makes a peer.
    #[sabi(last_prefix_field)]
    pub new: extern "C" fn() -> StableObject,
}

impl RootModule for PeerModuleRef {
    abi_stable::declare_root_module_statics! {PeerModuleRef}
    const BASE_NAME: &'static str = "peer_library";
    const NAME: &'static str = "peer_library";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

/// What is decided on a flow, as stabby has it.
#[stabby::stabby]
#[derive(Clone, Copy)]
pub struct StabbyDecision {
    /// The LPM priority value.
    pub lpv: u32,
    /// RFC 2205, appendix B.
    pub error_code: u16,
    /// The same.
    pub error_value: u16,
}

/// A question, as stabby has it.
#[stabby::stabby]
pub struct StabbyRequest<'a> {
    /// Which one.
    pub handle: u64,
    /// The RSVP message.
    pub message: Slice<'a, u8>,
}

/// A peer as a stabby object.
#[stabby::stabby]
pub trait Stabby {
    /// Decides on each flow.
    extern "C" fn admit<'a, 'b>(
        &'a self,
        request: &'a StabbyRequest<'b>,
        decisions: SliceMut<'a, StabbyDecision>,
    ) -> u32;
}

/// A stabby object.
pub type StabbyObject = stabby::dynptr!(stabby::boxed::Box<dyn Stabby + Send + Sync + 'static>);

/// A function of C.
pub type AdmitFunction = unsafe extern "C" fn(
    message: *const u8,
    length: usize,
    decisions: *mut Decision,
    flows: usize,
) -> u32;
