//! Flow descriptors: which senders, with what traffic (RFC 2205 §3.1.3, §3.1.4).

use crate::class;
use crate::intserv::{FlowSpec, ServiceRequest, Tspec, token_bucket};
use crate::message::Message;
use crate::message_type::MessageType;
use crate::object::ObjectEntry;
use crate::objects::{FilterSpec, ResvStyle};

/// One flow of a message: what gets one decision.
#[derive(Clone, Copy, Debug)]
pub struct FlowDescriptor<'a> {
    message: Message<'a>,
    index: u16,
    /// The FLOWSPEC, or for a sender descriptor the SENDER_TSPEC.
    traffic: Option<&'a ObjectEntry>,
    /// The FILTER_SPECs or the SENDER_TEMPLATE; other classes in between do not count.
    filters: &'a [ObjectEntry],
}

impl<'a> FlowDescriptor<'a> {
    /// Position among the flow descriptors of the message, from 0.
    #[must_use]
    pub const fn index(&self) -> u16 {
        self.index
    }

    /// The senders: one for FF and for a sender descriptor, one or more for SE, none for WF.
    #[inline]
    #[must_use]
    pub fn filters(&self) -> Filters<'a> {
        Filters {
            message: self.message,
            entries: self.filters.iter(),
        }
    }

    /// The index entry of the FLOWSPEC, or for a sender descriptor of the SENDER_TSPEC; `None`
    /// where the message leaves it out.
    #[inline]
    #[must_use]
    pub const fn traffic_entry(&self) -> Option<&'a ObjectEntry> {
        self.traffic
    }

    /// The index entries of the FILTER_SPECs, or the one of the SENDER_TEMPLATE. Others may stand
    /// in between.
    #[inline]
    #[must_use]
    pub const fn filter_entries(&self) -> &'a [ObjectEntry] {
        self.filters
    }

    /// The FLOWSPEC; `None` for sender descriptors and where a message leaves it out.
    #[inline]
    #[must_use]
    pub fn flow_spec(&self) -> Option<FlowSpec<'a>> {
        let object = self.traffic?.object(self.message.bytes());
        object.read().ok()
    }

    /// The token bucket of the flow: that of the FLOWSPEC, or for a sender descriptor the
    /// sender's. Rates in bytes/s. `None` when there is none (null service, ResvTear) or when
    /// it is not legal: a policy that limits rates then has nothing to accept.
    #[inline]
    #[must_use]
    pub fn tspec(&self) -> Option<Tspec> {
        let (entry, bytes) = (self.traffic?, self.message.bytes());
        match entry.class {
            class::SENDER_TSPEC if entry.c_type != 2 => None,
            class::SENDER_TSPEC | class::FLOWSPEC => {
                Tspec::usual(entry.body(bytes)).or_else(|| token_bucket(entry.object(bytes)).ok())
            }
            _ => None,
        }
    }

    /// The rate that the flow asks for, in bytes/s: the rate R that is to be reserved where the
    /// service is guaranteed (RFC 2212), else the token rate r of its [`tspec`](Self::tspec). The
    /// null service (RFC 2997) asks for none: 0.
    ///
    /// `None` where [`tspec`](Self::tspec) is for other reasons than that.
    #[must_use]
    pub fn rate(&self) -> Option<f32> {
        match self.flow_spec().map(|flow_spec| flow_spec.service()) {
            Some(Ok(ServiceRequest::Guaranteed(_, rspec))) => Some(rspec.rate),
            Some(Ok(ServiceRequest::Null { .. })) => Some(0.0),
            _ => self.tspec().map(|tspec| tspec.rate),
        }
    }
}

/// Iterator over the senders of a [`FlowDescriptor`].
#[derive(Clone, Debug)]
pub struct Filters<'a> {
    message: Message<'a>,
    entries: core::slice::Iter<'a, ObjectEntry>,
}

impl Iterator for Filters<'_> {
    type Item = FilterSpec;

    #[inline]
    fn next(&mut self) -> Option<FilterSpec> {
        let bytes = self.message.bytes();
        self.entries.find_map(|entry| match entry.class {
            class::FILTER_SPEC | class::SENDER_TEMPLATE => {
                FilterSpec::read(entry.c_type, entry.body(bytes))
            }
            _ => None,
        })
    }
}

impl core::iter::FusedIterator for Filters<'_> {}

impl<'a> Message<'a> {
    /// The flows the message is about.
    ///
    /// Resv, ResvErr, ResvTear, ResvConf: one flow for WF and SE, one per FILTER_SPEC for FF,
    /// none for a style that is not known. Path, PathErr, PathTear: the sender, if named.
    #[inline]
    #[must_use]
    pub fn flow_descriptors(&self) -> FlowDescriptors<'a> {
        FlowDescriptors::new(*self)
    }
}

/// Iterator over the flow descriptors of a message, see [`Message::flow_descriptors`].
#[derive(Clone, Debug)]
pub struct FlowDescriptors<'a> {
    message: Message<'a>,
    kind: Kind,
    /// The entries not read yet.
    rest: core::slice::Iter<'a, ObjectEntry>,
    /// The FLOWSPEC that the next filter belongs to, unless it brings its own.
    flow_spec: Option<&'a ObjectEntry>,
    index: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// One flow with all the filters there are: WF and SE, and sender descriptors.
    Whole,
    /// One flow for each filter: FF.
    PerFilter,
    Done,
}

impl<'a> FlowDescriptors<'a> {
    #[inline]
    pub(crate) fn new(message: Message<'a>) -> Self {
        let entries = message.entries();
        let flows = |kind, rest: &'a [ObjectEntry], flow_spec| FlowDescriptors {
            message,
            kind,
            rest: rest.iter(),
            flow_spec,
            index: 0,
        };
        match message.message_type() {
            MessageType::Path | MessageType::PathErr | MessageType::PathTear => {
                match first(entries, class::SENDER_TEMPLATE) {
                    Some(template) => {
                        let template = core::slice::from_ref(template);
                        flows(Kind::Whole, template, first(entries, class::SENDER_TSPEC))
                    }
                    None => flows(Kind::Done, &[], None),
                }
            }
            MessageType::Resv
            | MessageType::ResvErr
            | MessageType::ResvTear
            | MessageType::ResvConf => {
                let mut list = entries.iter();
                let style = list
                    .find(|entry| entry.class == class::STYLE)
                    .and_then(|entry| ResvStyle::read(entry.c_type, entry.body(message.bytes())));
                let list = list.as_slice();
                let empty = || !list.iter().any(|entry| is_flow(entry.class));
                let spec = first(list, class::FLOWSPEC);
                match style {
                    // A wildcard ResvTear may leave out its FLOWSPEC and still is about a flow.
                    Some(ResvStyle::WildcardFilter)
                        if message.message_type() == MessageType::ResvTear || !empty() =>
                    {
                        flows(Kind::Whole, &[], spec)
                    }
                    Some(ResvStyle::SharedExplicit) if !empty() => flows(Kind::Whole, list, spec),
                    // Some senders put the one FLOWSPEC behind its FILTER_SPEC.
                    Some(ResvStyle::FixedFilter) => flows(Kind::PerFilter, list, spec),
                    _ => flows(Kind::Done, &[], None),
                }
            }
            _ => flows(Kind::Done, &[], None),
        }
    }

    #[inline]
    fn flow(&mut self, filters: &'a [ObjectEntry]) -> FlowDescriptor<'a> {
        let index = self.index;
        self.index = index.saturating_add(1);
        FlowDescriptor {
            message: self.message,
            index,
            traffic: self.flow_spec,
            filters,
        }
    }
}

impl<'a> Iterator for FlowDescriptors<'a> {
    type Item = FlowDescriptor<'a>;

    #[inline]
    fn next(&mut self) -> Option<FlowDescriptor<'a>> {
        match self.kind {
            Kind::Done => None,
            Kind::Whole => {
                self.kind = Kind::Done;
                Some(self.flow(self.rest.as_slice()))
            }
            Kind::PerFilter => loop {
                let entry = self.rest.next()?;
                match entry.class {
                    class::FLOWSPEC => self.flow_spec = Some(entry),
                    class::FILTER_SPEC => return Some(self.flow(core::slice::from_ref(entry))),
                    _ => {}
                }
            },
        }
    }
}

impl core::iter::FusedIterator for FlowDescriptors<'_> {}

const fn is_flow(class: u8) -> bool {
    matches!(class, class::FLOWSPEC | class::FILTER_SPEC)
}

#[inline]
fn first(entries: &[ObjectEntry], class: u8) -> Option<&ObjectEntry> {
    entries.iter().find(|entry| entry.class == class)
}
