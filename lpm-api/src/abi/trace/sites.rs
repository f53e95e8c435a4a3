//! The callsites of the library that the PCM knows, and their numbers.

use std::collections::BTreeMap;
use std::ptr;
use std::sync::{PoisonError, RwLock};

use abi_stable::std_types::{RSlice, RStr};
use lpm_abi::{AbiCallsite, AbiRegistered};
use tracing_core::Metadata;

use crate::abi::level::level_number;

/// Locked for moments only, never while the PCM or the LPM's code is called.
static SITES: RwLock<Sites> = RwLock::new(Sites {
    numbers: BTreeMap::new(),
    metadata: BTreeMap::new(),
});

struct Sites {
    /// By the address of the metadata, which are static.
    numbers: BTreeMap<usize, u32>,
    metadata: BTreeMap<u32, &'static Metadata<'static>>,
}

/// The number of a callsite, if the PCM knows it.
pub(super) fn number(metadata: &Metadata<'_>) -> Option<u32> {
    let sites = SITES.read().unwrap_or_else(PoisonError::into_inner);
    sites.numbers.get(&address(metadata)).copied()
}

/// The callsite with this number.
pub(super) fn metadata(number: u32) -> Option<&'static Metadata<'static>> {
    let sites = SITES.read().unwrap_or_else(PoisonError::into_inner);
    sites.metadata.get(&number).copied()
}

/// Tells the PCM of a callsite, and notes its number.
pub(super) fn register(
    metadata: &'static Metadata<'static>,
    tell: impl FnOnce(AbiCallsite<'_>) -> AbiRegistered,
) -> AbiRegistered {
    let fields = metadata.fields().iter();
    let fields: Vec<_> = fields.map(|field| RStr::from(field.name())).collect();
    let registered = tell(AbiCallsite {
        name: metadata.name().into(),
        target: metadata.target().into(),
        module_path: metadata.module_path().unwrap_or_default().into(),
        file: metadata.file().unwrap_or_default().into(),
        line: metadata.line().unwrap_or_default(),
        level: level_number(*metadata.level()),
        is_span: metadata.is_span(),
        fields: RSlice::from_slice(&fields),
    });
    let mut sites = SITES.write().unwrap_or_else(PoisonError::into_inner);
    sites.numbers.insert(address(metadata), registered.site);
    sites.metadata.insert(registered.site, metadata);
    registered
}

/// Forgets all callsites, and gives their memory back.
pub(super) fn forget() {
    let mut sites = SITES.write().unwrap_or_else(PoisonError::into_inner);
    sites.numbers = BTreeMap::new();
    sites.metadata = BTreeMap::new();
}

fn address(metadata: &Metadata<'_>) -> usize {
    ptr::from_ref(metadata).addr()
}
