//! RSVP messages across the boundary.

use std::mem::{align_of, offset_of, size_of};
use std::slice;

use abi_stable::std_types::RSlice;
use lpm_abi::{AbiCommit, AbiDeleteState, AbiMessage, AbiObjectEntry};
use lpm_rsvp::{Message, ObjectEntry, ObjectWalk};

use crate::commit::{CommitDecision, CommitResv};
use crate::state::{DeleteReason, DeleteState};

const _: () = {
    assert!(size_of::<AbiObjectEntry>() == size_of::<ObjectEntry>());
    assert!(align_of::<AbiObjectEntry>() == align_of::<ObjectEntry>());
    assert!(offset_of!(AbiObjectEntry, offset) == offset_of!(ObjectEntry, offset));
    assert!(offset_of!(AbiObjectEntry, length) == offset_of!(ObjectEntry, length));
    assert!(offset_of!(AbiObjectEntry, class) == offset_of!(ObjectEntry, class));
    assert!(offset_of!(AbiObjectEntry, c_type) == offset_of!(ObjectEntry, c_type));
};

/// A message as it crosses the boundary.
#[inline]
#[must_use]
pub fn abi_message(message: Message<'_>) -> AbiMessage<'_> {
    let entries = message.entries();
    // SAFETY: the assertions above guarantee that both types have the same size, alignment
    // and fields in the same places; the fields are plain integers; pointer and length are
    // those of a live slice.
    let objects = unsafe { slice::from_raw_parts(entries.as_ptr().cast(), entries.len()) };
    AbiMessage {
        bytes: message.bytes().into(),
        objects: RSlice::from_slice(objects),
    }
}

/// The view of a message that crossed the boundary.
#[must_use]
pub fn message<'a>(abi: &AbiMessage<'a>) -> Message<'a> {
    let objects = abi.objects.as_slice();
    // SAFETY: as in the conversion the other way round.
    let entries: &'a [ObjectEntry] =
        unsafe { slice::from_raw_parts(objects.as_ptr().cast(), objects.len()) };
    Message::from_index(abi.bytes.as_slice(), entries)
}

/// The news of deleted state that crossed the boundary; `None` for a reason this version does not
/// know.
#[must_use]
pub fn delete_state<'a>(abi: &AbiDeleteState<'a>) -> Option<DeleteState<'a>> {
    Some(DeleteState {
        reason: DeleteReason::from_number(abi.reason)?,
        interface: abi.interface.map(Into::into).into_option(),
        message: message(&abi.message),
        flow: abi.flow.into_option(),
    })
}

/// The news of a reservation that crossed the boundary; `None` for a decision this version does not
/// know.
#[must_use]
pub fn commit_resv<'a>(abi: &AbiCommit<'a>) -> Option<CommitResv<'a>> {
    let merged = ObjectWalk::new(abi.merged.as_slice(), 0).next();
    Some(CommitResv {
        decision: CommitDecision::from_number(abi.decision)?,
        interface: abi.interface.into(),
        message: message(&abi.message),
        flow: abi.flow,
        merged: merged.and_then(Result::ok),
    })
}
