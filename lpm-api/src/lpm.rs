//! The trait an LPM implements.

use lpm_rsvp::FlowDescriptor;

use crate::address_table::{AddressRow, AddressTableRefused};
use crate::admit::{AdmitRequest, Answer};
use crate::commit::CommitResv;
use crate::decision::Decision;
use crate::deinit::{DeinitError, DeinitReason};
use crate::hand_over::{HandOver, TakeOverRefused};
use crate::init::{InitError, InitInfo};
use crate::objects::{ObjectsAnswer, ObjectsRequest};
use crate::pe_type::PeType;
use crate::state::DeleteState;

/// A Local Policy Module: decides from policy whether RSVP flows may have what they ask for.
///
/// The PCM creates a value per [`initialize`](Self::initialize), asks it from many threads at
/// once, and takes it down with [`deinitialize`](Self::deinitialize). A panic in any method is
/// caught, counts as a failure of that call, and is reported to the PCM; it never reaches the
/// PCM's stack.
pub trait Lpm: Sized + Send + Sync + 'static {
    /// Starts the LPM (lpmapi `LPM_Initialize`).
    ///
    /// Runs off the threads that decide on messages, within the PCM's deadline.
    ///
    /// # Errors
    ///
    /// Whatever keeps the LPM from working. The PCM records it and unloads the library.
    fn initialize(init: InitInfo<'_>) -> Result<Self, InitError>;

    /// The policy element type this LPM serves, asked once after [`initialize`](Self::initialize).
    fn pe_type(&self) -> PeType {
        PeType::ALL
    }

    /// Learns the addresses of the PCM's host (lpmapi `LPM_IpAddressTable`): once after
    /// [`initialize`](Self::initialize), before any request, and again whenever they change.
    ///
    /// # Errors
    ///
    /// The LPM cannot use the table (`FALSE`). The PCM records it, and goes on with the LPM.
    fn ip_address_table(&self, table: &[AddressRow]) -> Result<(), AddressTableRefused> {
        let _ = table;
        Ok(())
    }

    /// Decides on a message, one decision per flow descriptor (lpmapi `LPM_AdmitRsvpMsg`).
    ///
    /// Called from any thread, from several at once; must not block for long. What takes long, such
    /// as asking a server, is [deferred](AdmitRequest::defer).
    fn admit(&self, request: AdmitRequest<'_>) -> Answer;

    /// Supplies POLICY_DATA objects for an outgoing Path, Resv, PathErr or ResvErr message
    /// (lpmapi `LPM_GetRsvpObjects`), or stops it.
    fn rsvp_objects(&self, request: ObjectsRequest<'_>) -> ObjectsAnswer {
        request.none()
    }

    /// Learns that the SBM reserved resources for a flow, or changed the reservation
    /// (lpmapi `LPM_CommitResv`).
    fn commit_resv(&self, commit: CommitResv<'_>) {
        let _ = commit;
    }

    /// Drops what the LPM keeps for flows that are gone (lpmapi `LPM_DeleteState`). Also called
    /// for flows the LPM never heard of.
    fn delete_state(&self, request: DeleteState<'_>) {
        let _ = request;
    }

    /// Says in a sentence why the LPM decided so on a flow: for the operator, beside the error code
    /// and value, such as `ada: 2 Mbit/s asked, [default] allows 500 kbit/s (policy.toml:7)`.
    ///
    /// Asked after [`admit`](Self::admit) answered, with the same request, and only where somebody
    /// wants to know: when a flow was rejected, or for a report. So nothing has to be kept for it,
    /// but what has changed since may show. Longer texts are cut at 1024 bytes.
    fn explain(
        &self,
        request: &AdmitRequest<'_>,
        flow: &FlowDescriptor<'_>,
        decision: Decision,
    ) -> Option<String> {
        let _ = (request, flow, decision);
        None
    }

    /// Leaves its state to the LPM that takes its place, when the PCM's configuration changes or
    /// the library's file was replaced; `None` where there is nothing to leave.
    ///
    /// Called once at most, when no other method runs any more, and before
    /// [`deinitialize`](Self::deinitialize).
    fn hand_over(&self) -> Option<HandOver> {
        None
    }

    /// Takes over what the LPM whose place it takes has left, after
    /// [`initialize`](Self::initialize) and before any request.
    ///
    /// # Errors
    ///
    /// The LPM does not read this format, or cannot use the state. The PCM records it, and goes on
    /// with the LPM, which then starts with nothing.
    fn take_over(&self, state: HandOver) -> Result<(), TakeOverRefused> {
        Err(TakeOverRefused::unknown_format(state.format))
    }

    /// Ends the LPM (lpmapi `LPM_Deinitialize`): frees resources and closes connections before it
    /// returns. Takes the LPM by value, so that whatever it owned is gone afterwards.
    ///
    /// Called once per initialization, when no other method runs any more. Threads the LPM
    /// started must have ended: a library with live threads stays mapped.
    ///
    /// # Errors
    ///
    /// The PCM records a value other than [`LpmStatus::OK`](crate::LpmStatus::OK) in the event log
    /// with the library's name; the LPM is gone all the same.
    fn deinitialize(self, reason: DeinitReason) -> Result<(), DeinitError> {
        let _ = reason;
        Ok(())
    }
}
