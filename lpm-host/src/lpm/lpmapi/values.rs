//! Values between the host and an LPM against `lpmapi.h`.

use std::cell::Cell;
use std::net::IpAddr;
use std::ptr;

use lpm_abi::{AbiAddressRow, AbiDecision};
use lpm_api::AddressRow as Row;

use super::header::{AddressRow, Handle, InitInfo};
use super::lent::{Area, Lent};

/// What an LPM was told when it was initialized.
pub(super) struct Kept(Box<Cell<InitInfo>>);

// SAFETY: nobody but the LPM reads or writes it.
unsafe impl Send for Kept {}
// SAFETY: the same.
unsafe impl Sync for Kept {}

impl Kept {
    pub(super) fn new(init: InitInfo) -> Self {
        Self(Box::new(Cell::new(init)))
    }

    pub(super) fn pointer(&mut self) -> *mut InitInfo {
        self.0.as_ptr()
    }
}

/// A handle, which the header declares as a pointer.
pub(super) fn as_pointer(handle: u64) -> Handle {
    // Libraries are loaded only where pointers have room for it.
    ptr::without_provenance_mut(usize::try_from(handle).unwrap_or_default())
}

/// The decision in a word of memory.
pub(super) fn decision(word: u64) -> AbiDecision {
    let [a, b, c, d, e, f, g, h] = word.to_ne_bytes();
    AbiDecision {
        lpv: u32::from_ne_bytes([a, b, c, d]),
        error_code: u16::from_ne_bytes([e, f]),
        error_value: u16::from_ne_bytes([g, h]),
    }
}

/// The number of 32 bits at the start of an area.
pub(super) fn first(lent: &Lent, area: Area) -> u32 {
    let [a, b, c, d, ..] = lent.read(area).next().unwrap_or_default().to_ne_bytes();
    u32::from_ne_bytes([a, b, c, d])
}

/// A row of the address table; `None` for IPv6, which the header does not know.
pub(super) fn row(row: &AbiAddressRow) -> Option<AddressRow> {
    let row = Row::from(*row);
    let IpAddr::V4(address) = row.address else {
        return None;
    };
    let mask = u32::MAX.checked_shl(32u32.saturating_sub(row.prefix_length.into()));
    Some(AddressRow {
        interface: row.interface_index,
        media_type: row.media_type,
        address: address.octets(),
        mask: mask.unwrap_or_default().to_be_bytes(),
    })
}
