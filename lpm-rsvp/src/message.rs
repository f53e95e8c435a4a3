//! A whole message: bytes plus index.

use crate::class;
use crate::error::{ErrorKind, ParseError};
use crate::header::CommonHeader;
use crate::intserv::{AdSpec, Tspec};
use crate::message_type::MessageType;
use crate::object::{Object, ObjectEntry, Objects, RawObject};
use crate::objects::{
    ErrorSpec, FilterSpec, Integrity, ResvConfirm, ResvStyle, RsvpHop, Scope, Session, TimeValues,
};
use crate::policy::{PolicyDataObjects, PolicyElements};
use crate::wire;

/// An RSVP message: its bytes in network order and the index of its objects, both borrowed.
///
/// The accessors that return `Option` give `None` for an object that is absent, and also for
/// one that cannot be read. In a message from [`parse`](Message::parse) only the objects that
/// are opaque to RSVP can be there and not be readable; [`find`](Message::find) with
/// [`RawObject::read`] tells the two apart.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    entries: &'a [ObjectEntry],
    /// How many flow descriptors there are, or `UNCOUNTED`.
    flows: u32,
}

/// More flow descriptors than a message has room for.
const UNCOUNTED: u32 = u32::MAX;

impl<'a> Message<'a> {
    /// A message with an index that was made before, in constant time and unchecked.
    ///
    /// Views of a message whose index does not belong to it give nonsense, but never panic.
    #[must_use]
    pub const fn from_index(bytes: &'a [u8], objects: &'a [ObjectEntry]) -> Self {
        Message {
            bytes,
            entries: objects,
            flows: UNCOUNTED,
        }
    }

    /// The same message, of which was kept what [`counted_flows`](Self::counted_flows) said.
    #[inline]
    #[must_use]
    pub const fn with_counted_flows(self, flows: Option<u32>) -> Self {
        let flows = match flows {
            None => UNCOUNTED,
            Some(flows) => flows,
        };
        Self { flows, ..self }
    }

    /// The message in network byte order, header included.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The index of the objects.
    #[must_use]
    pub const fn entries(&self) -> &'a [ObjectEntry] {
        self.entries
    }

    /// The common header; all zeros when there are not even the bytes of a header, which
    /// [`parse`](Message::parse) does not let pass.
    #[must_use]
    pub fn header(&self) -> CommonHeader {
        CommonHeader::parse(self.bytes).unwrap_or(CommonHeader {
            version: 0,
            flags: 0,
            message_type: MessageType::Other(0),
            checksum: 0,
            send_ttl: 0,
            length: 0,
        })
    }

    /// The message type.
    #[inline(always)]
    #[must_use]
    pub fn message_type(&self) -> MessageType {
        MessageType::from(wire::u8(self.bytes, 1).unwrap_or_default())
    }

    /// How many [`flow_descriptors`](Self::flow_descriptors) there are, where parsing has counted
    /// them on its way: in Path and Resv messages as nearly all senders make them.
    #[inline]
    pub const fn counted_flows(&self) -> Option<u32> {
        match self.flows {
            UNCOUNTED => None,
            flows => Some(flows),
        }
    }

    /// All objects, in order.
    #[inline]
    #[must_use]
    pub fn objects(&self) -> Objects<'a> {
        Objects::new(self.bytes, self.entries)
    }

    /// The first object of a class.
    #[inline]
    #[must_use]
    pub fn find(&self, class: u8) -> Option<RawObject<'a>> {
        Some(self.entry(class)?.object(self.bytes))
    }

    #[inline]
    fn entry(&self, class: u8) -> Option<&'a ObjectEntry> {
        self.entries.iter().find(|entry| entry.class == class)
    }

    /// SESSION.
    #[inline]
    #[must_use]
    pub fn session(&self) -> Option<Session> {
        let entry = self.entry(class::SESSION)?;
        Session::read(entry.c_type, entry.body(self.bytes))
    }

    /// RSVP_HOP: the node the message comes from.
    #[inline]
    #[must_use]
    pub fn hop(&self) -> Option<RsvpHop> {
        let entry = self.entry(class::RSVP_HOP)?;
        RsvpHop::read(entry.c_type, entry.body(self.bytes))
    }

    /// TIME_VALUES.
    #[must_use]
    pub fn time_values(&self) -> Option<TimeValues> {
        self.first(class::TIME_VALUES)
    }

    /// ERROR_SPEC.
    #[must_use]
    pub fn error_spec(&self) -> Option<ErrorSpec> {
        self.first(class::ERROR_SPEC)
    }

    /// SCOPE.
    #[must_use]
    pub fn scope(&self) -> Option<Scope<'a>> {
        self.first(class::SCOPE)
    }

    /// STYLE.
    #[inline]
    #[must_use]
    pub fn style(&self) -> Option<ResvStyle> {
        let entry = self.entry(class::STYLE)?;
        ResvStyle::read(entry.c_type, entry.body(self.bytes))
    }

    /// RESV_CONFIRM.
    #[must_use]
    pub fn resv_confirm(&self) -> Option<ResvConfirm> {
        self.first(class::RESV_CONFIRM)
    }

    /// SENDER_TEMPLATE.
    #[inline]
    #[must_use]
    pub fn sender_template(&self) -> Option<FilterSpec> {
        let entry = self.entry(class::SENDER_TEMPLATE)?;
        FilterSpec::read(entry.c_type, entry.body(self.bytes))
    }

    /// SENDER_TSPEC; `None` also when its token bucket is missing or not a legal one.
    #[must_use]
    pub fn sender_tspec(&self) -> Option<Tspec> {
        self.first(class::SENDER_TSPEC)
    }

    /// ADSPEC.
    #[must_use]
    pub fn adspec(&self) -> Option<AdSpec<'a>> {
        self.first(class::ADSPEC)
    }

    /// INTEGRITY.
    #[must_use]
    pub fn integrity(&self) -> Option<Integrity<'a>> {
        self.first(class::INTEGRITY)
    }

    /// The messages in a Bundle (RFC 2961 §3): each as many bytes as its own header says, to be
    /// parsed by itself. Nothing for other message types. Ends after the first error.
    #[must_use]
    pub fn bundled(&self) -> Bundled<'a> {
        let bundle = self.message_type() == MessageType::Bundle;
        let rest = if bundle {
            self.bytes.get(CommonHeader::LENGTH..)
        } else {
            None
        };
        Bundled {
            rest: rest.unwrap_or_default(),
            at: CommonHeader::LENGTH,
        }
    }

    /// The POLICY_DATA objects, in order.
    #[must_use]
    pub fn policy_data(&self) -> PolicyDataObjects<'a> {
        PolicyDataObjects::new(self.objects())
    }

    /// The policy elements of all POLICY_DATA objects, in order.
    #[inline]
    #[must_use]
    pub fn policy_elements(&self) -> PolicyElements<'a> {
        PolicyElements::new(self.objects())
    }

    #[inline]
    fn first<T: Object<'a>>(&self, class: u8) -> Option<T> {
        T::parse(self.find(class)?).ok()
    }
}

/// Iterator over the messages in a Bundle, see [`Message::bundled`].
#[derive(Clone, Debug)]
pub struct Bundled<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Bundled<'a> {
    type Item = Result<&'a [u8], ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = core::mem::take(&mut self.rest);
        if bytes.is_empty() {
            return None;
        }
        let length = match CommonHeader::parse(bytes) {
            Ok(header) => usize::from(header.length),
            Err(error) => {
                return Some(Err(ParseError {
                    offset: wire::clamp(self.at),
                    ..error
                }));
            }
        };
        let split = bytes.split_at_checked(length);
        let Some((message, rest)) = split.filter(|_| length >= CommonHeader::LENGTH) else {
            let (header, found) = (wire::clamp(length), wire::clamp(bytes.len()));
            let kind = ErrorKind::MessageLength { header, found };
            return Some(Err(ParseError::message(wire::clamp(self.at), kind)));
        };
        self.rest = rest;
        self.at = self.at.saturating_add(length);
        Some(Ok(message))
    }
}

impl core::iter::FusedIterator for Bundled<'_> {}
