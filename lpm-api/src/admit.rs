//! The request for a decision, and its answer.

use std::time::SystemTime;

use lpm_abi::{AbiAdmit, AbiAnswer};
use lpm_rsvp::{FlowDescriptor, Message, PolicyElement, Text};

use crate::abi::message::message;
use crate::callbacks::PcmCallbacks;
use crate::decision::Decision;
use crate::deferral::Deferral;
use crate::flow_key::FlowKey;
use crate::interface::Interface;
use crate::pe_type::PeType;

/// One RSVP message to decide on (lpmapi `LPM_AdmitRsvpMsg`).
///
/// Path, Resv, PathErr and ResvErr messages are decided on; teardowns come as
/// [`DeleteState`](crate::DeleteState). The PCM has checked the message's form and checksum.
#[derive(Debug)]
pub struct AdmitRequest<'a> {
    /// What crossed the boundary; most LPMs want little of it, so it is converted when asked for.
    pub(crate) abi: &'a AbiAdmit<'a>,
    pub(crate) terms: &'a Terms,
}

/// What holds for every request to an LPM. Apart, so that a request is two words, which go into
/// registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) pe_type: PeType,
    pub(crate) callbacks: PcmCallbacks,
}

impl<'a> AdmitRequest<'a> {
    /// The interface the message came in on.
    #[must_use]
    pub fn interface(&self) -> Interface {
        self.abi.call.interface().into()
    }

    /// The message, in network byte order behind typed views.
    #[must_use]
    pub fn message(&self) -> Message<'a> {
        message(&self.abi.message)
    }

    /// When the message was received; from the capture's clock where one is replayed.
    #[must_use]
    pub fn received(&self) -> SystemTime {
        self.abi.call.received()
    }

    /// Whether the message bore an INTEGRITY object (RFC 2747) that the PCM verified.
    #[must_use]
    pub const fn integrity_verified(&self) -> bool {
        self.abi.integrity_verified
    }

    /// How many decisions the answer takes: one per flow descriptor of the message.
    #[must_use]
    pub const fn flow_count(&self) -> usize {
        self.abi.places.len()
    }

    /// The flows that the message asks for, in the order of their decisions.
    pub fn flows(&self) -> impl Iterator<Item = FlowDescriptor<'a>> + use<'a> {
        self.message().flow_descriptors()
    }

    /// The message's policy elements of the type that this LPM serves
    /// ([`Lpm::pe_type`](crate::Lpm::pe_type)); all of them for [`PeType::ALL`]. The others are in
    /// [`message`](Self::message).
    pub fn policy_elements(&self) -> impl Iterator<Item = PolicyElement<'a>> + use<'a> {
        let pe_type = self.terms.pe_type;
        self.message()
            .policy_elements()
            .filter_map(Result::ok)
            .filter(move |element| pe_type.serves(element.p_type()))
    }

    /// The name of the user who asks: the first that an AUTH_USER element says, its policy locator
    /// (a DN) or else its credential, if that is a name (RFC 3182). Names that are encrypted, and
    /// tickets and certificates, are in [`policy_elements`](Self::policy_elements).
    ///
    /// Whoever sent the message says so; nothing has proved it. In a network whose hosts are not
    /// trusted ask for [`integrity_verified`](Self::integrity_verified), too.
    #[must_use]
    pub fn user(&self) -> Option<Text<'a>> {
        let mut elements = self.message().policy_elements().filter_map(Result::ok);
        elements.find_map(|element| match element {
            PolicyElement::AuthUser(identity) => identity.name(),
            _ => None,
        })
    }

    /// What tells a flow of this message from every other, the same in each refresh of it; see
    /// [`FlowKey::of`].
    #[must_use]
    pub fn flow_key(&self, flow: &FlowDescriptor<'a>) -> Option<FlowKey> {
        FlowKey::of(&self.message(), flow)
    }

    /// Answers with one decision per flow descriptor, asked for in the message's order.
    ///
    /// The decisions are written where the PCM reads them; nothing is allocated.
    ///
    /// ```
    /// use lpm_api::{AdmitRequest, Answer, Decision, LpmPolicyError, Priority};
    ///
    /// fn admit(request: AdmitRequest<'_>) -> Answer {
    ///     request.decide(|flow| match flow.rate() {
    ///         Some(rate) if rate > 125_000.0 => Decision::reject(LpmPolicyError::NoPrivileges),
    ///         Some(_) => Decision::accept(Priority::MIN),
    ///         None => Decision::DontCare,
    ///     })
    /// }
    /// ```
    #[inline]
    pub fn decide(self, mut decide: impl FnMut(FlowDescriptor<'a>) -> Decision) -> Answer {
        let mut flows = self.message().flow_descriptors();
        for place in self.abi.places.as_slice() {
            let decision = flows.next().map_or(Decision::DontCare, &mut decide);
            place.set(decision.into());
        }
        Answer::READY
    }

    /// Answers with the same decision for every flow descriptor.
    #[inline]
    pub fn decide_all(self, decision: Decision) -> Answer {
        match self.abi.places.as_slice() {
            // As nearly always.
            [place] => place.set(decision.into()),
            places => places.iter().for_each(|place| place.set(decision.into())),
        }
        Answer::READY
    }

    /// Puts the answer off (lpmapi `LPM_RESULT_DEFER`): the [`Deferral`] may be completed from any
    /// thread, within the [result time limit](crate::InitInfo::result_time_limit); the [`Answer`]
    /// is what to return from [`admit`](crate::Lpm::admit).
    ///
    /// What the decision needs has to be copied out of the message before. Never blocks.
    ///
    /// ```
    /// use std::sync::mpsc::Sender;
    ///
    /// use lpm_api::{AdmitRequest, Answer, Deferral};
    ///
    /// fn admit(request: AdmitRequest<'_>, desk: &Sender<Deferral>) -> Answer {
    ///     let (deferral, answer) = request.defer();
    ///     // Where nobody is at the desk, the deferral is dropped, and the flows are rejected.
    ///     let _ = desk.send(deferral);
    ///     answer
    /// }
    /// ```
    pub fn defer(self) -> (Deferral, Answer) {
        let request = self.abi.call.issue();
        let deferral = Deferral::new(self.terms.callbacks, request, self.flow_count());
        (deferral, Answer::DEFERRED)
    }
}

/// That a request was answered, or put off; only [`AdmitRequest`]'s methods make one.
#[derive(Debug)]
#[must_use = "return the answer from `admit`"]
pub struct Answer {
    /// Flags of [`AbiAnswer`].
    pub(crate) flags: u32,
}

impl Answer {
    const READY: Self = Self { flags: 0 };
    const DEFERRED: Self = Self {
        flags: AbiAnswer::DEFERRED,
    };

    /// Asks for an RSVP refresh at once rather than at the next refresh time
    /// (lpmapi `FORCE_IMMEDIATE_REFRESH`).
    pub const fn with_immediate_refresh(mut self) -> Self {
        self.flags |= AbiAnswer::FORCE_IMMEDIATE_REFRESH;
        self
    }
}
