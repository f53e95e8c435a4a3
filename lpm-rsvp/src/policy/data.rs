//! POLICY_DATA (RFC 2750 §3): options, then policy elements.

use core::net::IpAddr;

use super::element::{Elements, PolicyElement};
use super::raw_element::RawElements;
use crate::class;
use crate::error::ParseError;
use crate::object::{HEADER, Object, ObjectWalk, Objects, RawObject};
use crate::objects::{FilterSpec, Integrity, RsvpHop, Scope, TimeValues};
use crate::wire;

/// Data Offset and reserved, between object header and options.
const PREFIX: usize = 4;

/// The Data Offset of an object without options: behind object header and prefix.
const DATA_OFFSET: u16 = 8;

/// A POLICY_DATA object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolicyData<'a> {
    object: RawObject<'a>,
    options: &'a [u8],
    elements: &'a [u8],
}

impl<'a> PolicyData<'a> {
    /// The object itself.
    #[must_use]
    pub const fn object(&self) -> RawObject<'a> {
        self.object
    }

    /// The policy elements, in order.
    #[inline]
    #[must_use]
    pub fn elements(&self) -> Elements<'a> {
        Elements::new(self.raw_elements())
    }

    /// The policy elements as they lie in the object.
    #[inline]
    #[must_use]
    pub fn raw_elements(&self) -> RawElements<'a> {
        let before = self.object.body.len().wrapping_sub(self.elements.len());
        let offset = usize::from(self.object.offset).wrapping_add(HEADER);
        RawElements::new(self.elements, offset.wrapping_add(before))
    }

    /// The options: complete RSVP objects with a special meaning here.
    #[must_use]
    pub fn options(&self) -> ObjectWalk<'a> {
        let start = wire::clamp(HEADER.saturating_add(PREFIX));
        ObjectWalk::new(self.options, self.object.offset.saturating_add(start))
    }

    /// The flows this policy is about, by sender. No filter and no [`scope`](Self::scope):
    /// all flows of the session.
    pub fn filter_specs(&self) -> impl Iterator<Item = Result<FilterSpec, ParseError>> + 'a {
        self.options_of(class::FILTER_SPEC).map(RawObject::read)
    }

    /// Whether the policy is about a flow with these senders: it names one of them by a
    /// [`filter`](Self::filter_specs) or its [`scope`](Self::scope), or is about all flows of the
    /// session. So it is for a flow without senders, as in the wildcard style.
    ///
    /// # Errors
    /// One of the options cannot be read.
    pub fn is_about(
        &self,
        mut senders: impl Iterator<Item = FilterSpec> + Clone,
    ) -> Result<bool, ParseError> {
        let mut filters = self.filter_specs().peekable();
        let scope = self.scope().transpose()?;
        if (filters.peek().is_none() && scope.is_none()) || senders.clone().next().is_none() {
            return Ok(true);
        }
        for filter in filters {
            let filter = filter?;
            if senders.clone().any(|sender| sender == filter) {
                return Ok(true);
            }
        }
        Ok(scope.is_some_and(|scope| {
            senders.any(|sender| scope.addresses().any(|address| address == sender.address()))
        }))
    }

    /// The senders this policy is about, by address.
    pub fn scope(&self) -> Option<Result<Scope<'a>, ParseError>> {
        self.options_of(class::SCOPE).next().map(RawObject::read)
    }

    /// The policy node that built this object; `None`: the hop the message came from.
    pub fn originating_hop(&self) -> Option<Result<RsvpHop, ParseError>> {
        self.options_of(class::RSVP_HOP).next().map(RawObject::read)
    }

    /// The policy node this object is for; a node with another address ignores the object.
    pub fn destination_hop(&self) -> Option<Result<RsvpHop, ParseError>> {
        self.options_of(class::RSVP_HOP).nth(1).map(RawObject::read)
    }

    /// Whether the object is meant for the node with these addresses: there is no destination
    /// policy node, or it is one of them.
    #[must_use]
    pub fn is_for(&self, addresses: &[IpAddr]) -> bool {
        match self.destination_hop() {
            None => true,
            Some(Ok(hop)) => addresses.contains(&hop.address),
            Some(Err(_)) => false,
        }
    }

    /// Policy refresh time: how often the policy is refreshed, when less often than the rest.
    pub fn refresh_time(&self) -> Option<Result<TimeValues, ParseError>> {
        self.options_of(class::TIME_VALUES)
            .next()
            .map(RawObject::read)
    }

    /// INTEGRITY: the signature of the policy node that built this object.
    pub fn integrity(&self) -> Option<Result<Integrity<'a>, ParseError>> {
        self.options_of(class::INTEGRITY)
            .next()
            .map(RawObject::read)
    }

    fn options_of(&self, class: u8) -> impl Iterator<Item = RawObject<'a>> + use<'a> {
        self.options()
            .map_while(Result::ok)
            .filter(move |option| option.class == class)
    }
}

impl<'a> Object<'a> for PolicyData<'a> {
    const CLASSES: &'static [u8] = &[class::POLICY_DATA];

    /// Reads the frame: Data Offset. Options and elements are read when they are asked for.
    #[inline]
    fn parse(object: RawObject<'a>) -> Result<Self, ParseError> {
        match split(object.c_type, object.body) {
            Some((options, elements)) => Ok(PolicyData {
                object,
                options,
                elements,
            }),
            None => Err(fault(object)),
        }
    }
}

/// Options and elements in the body of an object of this C-Type.
#[inline]
fn split(c_type: u8, body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[offset1, offset2, _, _], content) = body.split_first_chunk::<PREFIX>()?;
    let options = u16::from_be_bytes([offset1, offset2]).checked_sub(DATA_OFFSET)?;
    let parts = content.split_at_checked(options.into())?;
    (c_type == 1).then_some(parts)
}

/// Why the object cannot be split.
#[cold]
fn fault(object: RawObject<'_>) -> ParseError {
    match wire::u16(object.body, 0) {
        _ if object.c_type != 1 => object.unknown_c_type(),
        None => object.body_length("at least 4"),
        Some(found) => object.value(0, "Data Offset", "8 to the object's length", found),
    }
}

/// The POLICY_DATA objects of a message, in its order.
#[derive(Clone, Debug)]
pub struct PolicyDataObjects<'a>(Objects<'a>);

impl<'a> PolicyDataObjects<'a> {
    pub(crate) const fn new(objects: Objects<'a>) -> Self {
        PolicyDataObjects(objects)
    }
}

impl<'a> Iterator for PolicyDataObjects<'a> {
    type Item = Result<PolicyData<'a>, ParseError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next_of(class::POLICY_DATA).map(PolicyData::parse)
    }
}

impl core::iter::FusedIterator for PolicyDataObjects<'_> {}

/// All policy elements of all POLICY_DATA objects of a message, in its order.
///
/// A fault in one object is an error item; the elements of the next object follow.
#[derive(Clone, Debug)]
pub struct PolicyElements<'a> {
    objects: PolicyDataObjects<'a>,
    current: Elements<'a>,
}

impl<'a> PolicyElements<'a> {
    pub(crate) const fn new(objects: Objects<'a>) -> Self {
        PolicyElements {
            objects: PolicyDataObjects::new(objects),
            current: Elements::new(RawElements::new(&[], 0)),
        }
    }
}

impl<'a> Iterator for PolicyElements<'a> {
    type Item = Result<PolicyElement<'a>, ParseError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(element) = self.current.next() {
                return Some(element);
            }
            match self.objects.next()? {
                Ok(data) => self.current = data.elements(),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl core::iter::FusedIterator for PolicyElements<'_> {}
