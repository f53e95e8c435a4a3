//! The functions that an LPM against `lpmapi.h` exports, found by name.

use std::ffi::CString;

use libunload::Library;

use super::header::{
    AdmitRsvpMsg, CommitResv, Deinitialize, DeleteState, GetRsvpObjects, Initialize, IpAddressTable,
};

/// The names of the functions, all of which an LPM has.
pub(crate) const NAMES: [&str; 7] = [
    "LPM_Initialize",
    "LPM_Deinitialize",
    "LPM_AdmitRsvpMsg",
    "LPM_GetRsvpObjects",
    "LPM_CommitResv",
    "LPM_DeleteState",
    "LPM_IpAddressTable",
];

/// The functions.
#[derive(Clone, Copy)]
pub(crate) struct Exports {
    pub(super) initialize: Initialize,
    pub(super) deinitialize: Deinitialize,
    pub(super) admit: AdmitRsvpMsg,
    pub(super) rsvp_objects: GetRsvpObjects,
    pub(super) commit_resv: CommitResv,
    pub(super) delete_state: DeleteState,
    pub(super) ip_address_table: IpAddressTable,
}

/// Why a library is no LPM against `lpmapi.h`.
#[derive(Debug)]
pub(crate) enum NotExported {
    /// It has none of the functions.
    All,
    /// It lacks these.
    Some(Vec<&'static str>),
}

impl Exports {
    /// Those of a library.
    pub(crate) fn of(library: &Library) -> Result<Self, NotExported> {
        let name = |name: &str| CString::new(name).unwrap_or_default();
        let is_missing = |function: &&str| library.symbol(&name(function)).is_none();
        let missing: Vec<_> = NAMES.into_iter().filter(is_missing).collect();
        if missing.len() == NAMES.len() {
            return Err(NotExported::All);
        }
        let [
            initialize,
            deinitialize,
            admit,
            rsvp_objects,
            commit_resv,
            delete_state,
            ip_address_table,
        ] = NAMES.map(name);
        // SAFETY: in every library that the caller vouches for, functions of these names are those
        // of `lpmapi.h`, whose types stand in `header`.
        let found = unsafe {
            (|| {
                Some(Self {
                    initialize: library.function(&initialize)?,
                    deinitialize: library.function(&deinitialize)?,
                    admit: library.function(&admit)?,
                    rsvp_objects: library.function(&rsvp_objects)?,
                    commit_resv: library.function(&commit_resv)?,
                    delete_state: library.function(&delete_state)?,
                    ip_address_table: library.function(&ip_address_table)?,
                })
            })()
        };
        found.ok_or(NotExported::Some(missing))
    }
}
