//! Writing POLICY_DATA (RFC 2750 §3) with its elements (RFC 3181, RFC 3182).

use alloc::vec::Vec;
use core::net::IpAddr;

use super::error::BuildError;
use super::writer::Writer;
use crate::class;
use crate::error::ParseError;
use crate::objects::{FilterSpec, RsvpHop, TimeValues};
use crate::policy::{PolicyErrorValue, PreemptionPriority, p_type};

/// A POLICY_DATA object in the making.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyData {
    /// Complete options, one after another.
    options: Vec<u8>,
    elements: Vec<Element>,
    fault: Option<BuildError>,
}

/// A policy element: P-Type and data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    p_type: u16,
    data: Vec<u8>,
}

/// An AUTH_USER or AUTH_APP element in the making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    p_type: u16,
    /// Attributes, each filled up to a multiple of 4 bytes.
    data: Vec<u8>,
    signature: Option<Vec<u8>>,
}

impl PolicyData {
    /// An object without options and elements.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a received object.
    ///
    /// # Errors
    /// A fault in the framing of options or elements.
    pub fn from_view(data: &crate::policy::PolicyData<'_>) -> Result<Self, ParseError> {
        let mut built = Self::new();
        for option in data.options() {
            let option = option?;
            built = built.option(|writer| {
                writer.object(option.class, option.c_type, |writer| {
                    writer.bytes(option.body);
                });
            });
        }
        for element in data.raw_elements() {
            let element = element?;
            built = built.element(Element::new(element.p_type, element.data));
        }
        Ok(built)
    }

    /// Appends an element.
    #[must_use]
    pub fn element(mut self, element: impl Into<Element>) -> Self {
        self.elements.push(element.into());
        self
    }

    /// Says that the policy is about this sender's flow; may be called several times.
    #[must_use]
    pub fn filter_spec(self, filter: FilterSpec) -> Self {
        self.option(|writer| writer.sender(class::FILTER_SPEC, &filter))
    }

    /// Names the policy node that built the object and, if given, the one it is for.
    #[must_use]
    pub fn hops(self, originating: RsvpHop, destination: Option<RsvpHop>) -> Self {
        self.option(|writer| {
            writer.hop(&originating);
            if let Some(destination) = &destination {
                writer.hop(destination);
            }
        })
    }

    /// Says that the policy is about these senders, all of one address family.
    #[must_use]
    pub fn scope(self, addresses: &[IpAddr]) -> Self {
        let mut addresses = addresses.to_vec();
        addresses.sort_unstable();
        addresses.dedup();
        self.option(|writer| writer.scope(&addresses))
    }

    /// Sets how often the policy is refreshed.
    #[must_use]
    pub fn refresh_time(self, time_values: TimeValues) -> Self {
        self.option(|writer| writer.time_values(&time_values))
    }

    #[cfg(feature = "integrity")]
    pub(crate) fn has_option(&self, class: u8) -> bool {
        crate::object::ObjectWalk::new(&self.options, 0)
            .map_while(Result::ok)
            .any(|option| option.class == class)
    }

    /// Puts an option before the others.
    #[cfg(feature = "integrity")]
    pub(crate) fn first_option(mut self, class: u8, c_type: u8, body: &[u8]) -> Self {
        let others = core::mem::take(&mut self.options);
        let mut built = self.option(|writer| writer.object(class, c_type, |w| w.bytes(body)));
        built.options.extend_from_slice(&others);
        built
    }

    fn option(mut self, write: impl FnOnce(&mut Writer)) -> Self {
        let mut writer = Writer::default();
        write(&mut writer);
        match writer.finish() {
            Ok(option) => self.options.extend_from_slice(&option),
            Err(fault) => self.fault = Some(fault),
        }
        self
    }
}

/// A POLICY_DATA object, its header included, in network byte order: what a policy module supplies
/// for a message that another makes. Policy is opaque to RSVP (RFC 2205 §3.10): elements are
/// written as they are, also ones that strict parsing refuses.
///
/// # Errors
/// The object or an element is longer than its length field can say; a SCOPE of both families.
pub fn policy_data_object(data: &PolicyData) -> Result<Vec<u8>, BuildError> {
    let mut writer = Writer::default();
    writer.policy_data(data);
    writer.finish()
}

impl Element {
    /// An element of any P-Type; without data it deletes the state of its P-Type.
    pub fn new(p_type: u16, data: impl Into<Vec<u8>>) -> Self {
        Self {
            p_type,
            data: data.into(),
        }
    }
}

impl From<PreemptionPriority> for Element {
    fn from(priority: PreemptionPriority) -> Self {
        let mut writer = Writer::default();
        writer.bytes(&[
            0,
            priority.merge_strategy.number(),
            priority.error.number(),
            0,
        ]);
        writer.u16(priority.preemption_priority);
        writer.u16(priority.defending_priority);
        Self::new(p_type::PREEMPTION_PRI, writer.as_slice())
    }
}

impl From<Identity> for Element {
    fn from(mut identity: Identity) -> Self {
        if let Some(signature) = identity.signature.take() {
            identity = identity.attribute(3, 0, &signature);
        }
        Self {
            p_type: identity.p_type,
            data: identity.data,
        }
    }
}

impl Identity {
    /// The identity of a user.
    #[must_use]
    pub fn user() -> Self {
        Self {
            p_type: p_type::AUTH_USER,
            data: Vec::new(),
            signature: None,
        }
    }

    /// The identity of an application.
    #[must_use]
    pub fn app() -> Self {
        Self {
            p_type: p_type::AUTH_APP,
            data: Vec::new(),
            signature: None,
        }
    }

    /// Appends a POLICY_LOCATOR: a distinguished name (RFC 1779). Sent as ASCII if it is, else
    /// as UTF-16 in network byte order.
    #[must_use]
    pub fn locator(self, name: &str) -> Self {
        self.name(1, name)
    }

    /// Appends a CREDENTIAL that is a plain name. Sent as ASCII if it is, else as UTF-16 in
    /// network byte order.
    #[must_use]
    pub fn credential(self, name: &str) -> Self {
        self.name(2, name)
    }

    /// Appends a CREDENTIAL that is a Kerberos ticket.
    #[must_use]
    pub fn kerberos_ticket(self, ticket: &[u8]) -> Self {
        self.attribute(2, 3, ticket)
    }

    /// Appends a POLICY_ERROR_OBJECT, for PathErr and ResvErr.
    #[must_use]
    pub fn policy_error(self, error: PolicyErrorValue, detail: &[u8]) -> Self {
        let mut value = Writer::default();
        value.u16(0);
        value.u16(error.number());
        value.bytes(detail);
        self.attribute(4, 0, value.as_slice())
    }

    /// Appends any attribute, for what has no method of its own.
    #[must_use]
    pub fn attribute(mut self, a_type: u8, sub_type: u8, value: &[u8]) -> Self {
        let mut writer = Writer::default();
        writer.counted("attribute", |writer| {
            writer.bytes(&[a_type, sub_type]);
            writer.bytes(value);
        });
        self.data.extend_from_slice(writer.as_slice());
        self
    }

    /// Sets the DIGITAL_SIGNATURE, which becomes the last attribute. What it has to cover is
    /// the finished element before it, see [`crate::Identity::signed`].
    #[must_use]
    pub fn signature(mut self, signature: impl Into<Vec<u8>>) -> Self {
        self.signature = Some(signature.into());
        self
    }

    fn name(self, a_type: u8, name: &str) -> Self {
        if name.is_ascii() {
            return self.attribute(a_type, 1, name.as_bytes());
        }
        let mut units = Writer::default();
        for unit in name.encode_utf16() {
            units.u16(unit);
        }
        self.attribute(a_type, 2, units.as_slice())
    }
}

impl Writer {
    pub(super) fn policy_data(&mut self, data: &PolicyData) {
        if let Some(fault) = data.fault {
            self.fault(fault);
        }
        self.object(class::POLICY_DATA, 1, |writer| {
            let data_offset = data.options.len().saturating_add(8);
            // An offset that does not fit makes an object that does not fit either.
            writer.u16(u16::try_from(data_offset).unwrap_or(u16::MAX));
            writer.u16(0);
            writer.bytes(&data.options);
            for element in &data.elements {
                writer.counted("policy element", |writer| {
                    writer.u16(element.p_type);
                    writer.bytes(&element.data);
                });
            }
        });
    }
}
