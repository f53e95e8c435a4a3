//! The types and numbers of `lpmapi.h`, by its names in Rust style. Objects are bytes here: see
//! [`order`](super::order).

use std::ffi::{c_int, c_void};

use lpm_abi::AbiDecision;

/// Which initialization, or which request: a number where the header has a pointer to nothing
/// (`LPM_HANDLE`, `RHANDLE`).
pub(super) type Handle = *mut c_void;

/// The status that callbacks return. The header declares it as a pointer (`ULONG *`), so it is as
/// wide as one.
pub(super) type CallbackStatus = usize;

/// `POLICY_DECISION`: the same fields in the same places.
pub(super) type PolicyDecision = AbiDecision;

/// `RsvpObjHdr`, and the object behind it.
#[repr(C)]
pub(super) struct Object {
    pub(super) length: u16,
    pub(super) class: u8,
    pub(super) c_type: u8,
}

/// `FLOW_DESC`: one sender.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct FlowDesc {
    /// SENDER_TSPEC or FLOWSPEC.
    pub(super) traffic: *mut Object,
    /// SENDER_TEMPLATE or FILTER_SPEC.
    pub(super) sender: *mut Object,
}

/// `RSVP_MSG_OBJS`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct MessageObjects {
    pub(super) message_type: c_int,
    pub(super) session: *mut Object,
    pub(super) from_hop: *mut Object,
    pub(super) to_hop: *mut Object,
    pub(super) style: *mut Object,
    pub(super) scope: *mut Object,
    pub(super) flow_count: c_int,
    pub(super) flows: *mut FlowDesc,
    pub(super) policy_data_count: c_int,
    pub(super) policy_data: *mut *mut Object,
    pub(super) error_spec: *mut Object,
    pub(super) adspec: *mut Object,
}

/// `LPM_INIT_INFO`.
#[repr(C)]
pub(super) struct InitInfo {
    pub(super) pcm_version: u32,
    /// Seconds.
    pub(super) result_time_limit: u32,
    pub(super) lpm_count: c_int,
    pub(super) alloc_memory: AllocMemory,
    pub(super) free_memory: FreeMemory,
    pub(super) admit_result: AdmitResult,
    pub(super) objects_result: ObjectsResult,
}

/// `LPMIPTABLE`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct AddressRow {
    pub(super) interface: u32,
    pub(super) media_type: u32,
    /// In network order, as an `IN_ADDR` is everywhere.
    pub(super) address: [u8; 4],
    pub(super) mask: [u8; 4],
}

/// `PALLOCMEM`.
pub(super) type AllocMemory = unsafe extern "system" fn(u32) -> *mut c_void;
/// `PFREEMEM`.
pub(super) type FreeMemory = unsafe extern "system" fn(*mut c_void);
/// `CBADMITRESULT`.
pub(super) type AdmitResult = unsafe extern "system" fn(
    Handle,
    Handle,
    u32,
    c_int,
    c_int,
    *const PolicyDecision,
) -> CallbackStatus;
/// `CBGETRSVPOBJECTS`.
pub(super) type ObjectsResult =
    unsafe extern "system" fn(Handle, Handle, c_int, c_int, *mut *mut Object) -> CallbackStatus;

/// `LPM_Initialize`.
pub(super) type Initialize =
    unsafe extern "system" fn(Handle, *mut InitInfo, *mut u32, *mut u16, *mut c_void) -> u32;
/// `LPM_Deinitialize`.
pub(super) type Deinitialize = unsafe extern "system" fn(Handle) -> u32;
/// `LPM_AdmitRsvpMsg`.
pub(super) type AdmitRsvpMsg = unsafe extern "system" fn(
    Handle,
    *mut Object,
    *mut MessageObjects,
    c_int,
    *mut u8,
    *mut u32,
    *mut PolicyDecision,
    *mut c_void,
) -> u32;
/// `LPM_GetRsvpObjects`.
pub(super) type GetRsvpObjects = unsafe extern "system" fn(
    Handle,
    u32,
    *mut Object,
    *mut MessageObjects,
    *mut c_int,
    *mut *mut *mut Object,
    *mut c_void,
) -> u32;
/// `LPM_DeleteState`.
pub(super) type DeleteState = unsafe extern "system" fn(
    *mut Object,
    c_int,
    *mut Object,
    *mut Object,
    *mut Object,
    c_int,
    *mut *mut Object,
    c_int,
);
/// `LPM_IpAddressTable`; returns a `WINBOOL`.
pub(super) type IpAddressTable = unsafe extern "system" fn(u32, *mut AddressRow) -> c_int;
/// `LPM_CommitResv`.
pub(super) type CommitResv = unsafe extern "system" fn(
    *mut Object,
    *mut Object,
    *mut Object,
    c_int,
    *mut *mut Object,
    *mut Object,
    u32,
);

/// `LPM_RESULT_READY`.
pub(super) const RESULT_READY: u32 = 0;
/// `LPM_RESULT_DEFER`.
pub(super) const RESULT_DEFER: u32 = 1;
/// `PCM_VERSION_1`.
pub(super) const PCM_VERSION: u32 = 1;
/// `LPM_API_VERSION_1`.
pub(super) const API_VERSION: u32 = 1;

/// The fewest bytes that are lent for an object of this class: the size of its structure, so that
/// an LPM that reads a field of an object too short for it reads zeros.
pub(super) const fn size_of_structure(class: u8) -> usize {
    use lpm_rsvp::class;
    match class {
        // RSVP_SESSION, RSVP_HOP, FILTER_SPEC, ERROR_SPEC
        class::SESSION
        | class::RSVP_HOP
        | class::FILTER_SPEC
        | class::SENDER_TEMPLATE
        | class::ERROR_SPEC => 12,
        // RESV_STYLE, RSVP_SCOPE, POLICY_DATA
        class::STYLE | class::SCOPE | class::POLICY_DATA => 8,
        class::SENDER_TSPEC => 36,
        // IS_FLOWSPEC, with the largest of its services
        class::FLOWSPEC => 48,
        class::ADSPEC => 44,
        _ => 4,
    }
}
