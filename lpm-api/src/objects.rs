//! Policy data for messages on their way out.

use abi_stable::std_types::RVec;
use lpm_abi::Defer;
use lpm_rsvp::Message;

use crate::callbacks::PcmCallbacks;
use crate::deferral::ObjectsDeferral;
use crate::interface::Interface;
use crate::pe_type::PeType;

/// An outgoing Path, Resv, PathErr or ResvErr message that the LPM may add POLICY_DATA objects to
/// (lpmapi `LPM_GetRsvpObjects`).
#[derive(Debug)]
pub struct ObjectsRequest<'a> {
    pub(crate) interface: Interface,
    pub(crate) message: Message<'a>,
    pub(crate) max_policy_data_size: u32,
    pub(crate) pe_type: PeType,
    pub(crate) objects: &'a mut RVec<u8>,
    pub(crate) defer: Defer<'a>,
    pub(crate) callbacks: PcmCallbacks,
}

impl<'a> ObjectsRequest<'a> {
    /// The interface the message goes out on.
    #[must_use]
    pub const fn interface(&self) -> Interface {
        self.interface
    }

    /// The message as it is so far, without the policy data of any LPM.
    #[must_use]
    pub const fn message(&self) -> Message<'a> {
        self.message
    }

    /// How many bytes of POLICY_DATA objects, headers included, the message has room for.
    #[must_use]
    pub const fn max_policy_data_size(&self) -> usize {
        self.max_policy_data_size as usize
    }

    /// The policy element type this LPM serves; elements of another one are not taken from it.
    #[must_use]
    pub const fn pe_type(&self) -> PeType {
        self.pe_type
    }

    /// Supplies no objects.
    pub fn none(self) -> ObjectsAnswer {
        ObjectsAnswer::READY
    }

    /// Supplies POLICY_DATA objects in network byte order, one after the other, as
    /// [`lpm_rsvp::build`] makes them. An LPM that serves one type supplies elements of that type
    /// and no options; one that serves [`PeType::ALL`] supplies what it likes.
    ///
    /// The PCM does not take objects that are malformed, do not fit, or break that rule: they are
    /// left out, and an event tells.
    ///
    /// ```
    /// use lpm_api::lpm_rsvp::PreemptionPriority;
    /// use lpm_api::lpm_rsvp::build::{PolicyData, policy_data_object};
    /// use lpm_api::{ObjectsAnswer, ObjectsRequest};
    ///
    /// fn rsvp_objects(request: ObjectsRequest<'_>, priority: PreemptionPriority) -> ObjectsAnswer {
    ///     match policy_data_object(&PolicyData::new().element(priority)) {
    ///         Ok(object) if object.len() <= request.max_policy_data_size() => request.supply(&object),
    ///         _ => request.none(),
    ///     }
    /// }
    /// ```
    pub fn supply(self, policy_data: &[u8]) -> ObjectsAnswer {
        self.objects.extend_from_slice(policy_data);
        ObjectsAnswer::READY
    }

    /// Stops the message: it does not go out (lpmapi `LPV_DROP_MSG`).
    pub fn drop_message(self) -> ObjectsAnswer {
        ObjectsAnswer {
            deferred: false,
            drop_message: true,
        }
    }

    /// Puts the answer off. The message goes out without this LPM's objects where they do not
    /// come within the [result time limit](crate::InitInfo::result_time_limit).
    pub fn defer(self) -> (ObjectsDeferral, ObjectsAnswer) {
        let deferral = ObjectsDeferral::new(self.callbacks, self.defer.issue());
        let answer = ObjectsAnswer {
            deferred: true,
            drop_message: false,
        };
        (deferral, answer)
    }
}

/// That a request for objects was answered, or put off; only [`ObjectsRequest`]'s methods make one.
#[derive(Debug)]
#[must_use = "return the answer from `rsvp_objects`"]
pub struct ObjectsAnswer {
    pub(crate) deferred: bool,
    pub(crate) drop_message: bool,
}

impl ObjectsAnswer {
    const READY: Self = Self {
        deferred: false,
        drop_message: false,
    };
}
