//! What is kept of a Path or Resv.

use std::sync::Arc;

use lpm_api::Interface;
use lpm_host::ReceivedMessage;
use lpm_rsvp::{
    CommonHeader, FilterSpec, FlowDescriptor, Message, MessageType, Object, ObjectIndex, RawObject,
    ResvStyle, class,
};
use smallvec::SmallVec;

use super::lifetime::{Life, Time, Timers};
use super::reservations::ReservationKey;

/// Senders in ascending order; none for any sender.
pub(super) type Senders = SmallVec<[FilterSpec; 1]>;

/// The state of a flow.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// The message that made it, or refreshed it last, with only what names the flow and its traffic:
    /// what policy is told later on. Its only flow descriptor is that of the flow.
    message: Arc<[u8]>,
    pub(super) senders: Senders,
    pub(super) interface: Interface,
    pub(super) life: Life,
    /// Whose resources it has a part in, for a Resv.
    pub(super) reservation: Option<ReservationKey>,
}

impl State {
    /// The state that a flow descriptor of a Path or Resv makes now, in place of the old one.
    pub(super) fn of(
        received: &ReceivedMessage<'_>,
        descriptor: &FlowDescriptor<'_>,
        timers: Timers,
        now: Time,
        old: Option<&State>,
    ) -> State {
        let message = received.message;
        let mut senders: Senders = match message.style() {
            Some(ResvStyle::WildcardFilter) => Senders::new(),
            _ => descriptor.filters().collect(),
        };
        senders.sort_unstable();
        senders.dedup();
        let excerpt = Excerpt::of(&message, descriptor.index(), &senders);
        State {
            message: match old {
                // Most messages are refreshes, which say the same again.
                Some(old) if excerpt.is(&old.message) => Arc::clone(&old.message),
                _ => excerpt.to_bytes(),
            },
            senders,
            interface: received.interface,
            life: timers.start(message.time_values(), now),
            reservation: None,
        }
    }

    /// The message. `None` if it cannot be read, which one that was read before always can.
    pub(super) fn message<'a>(&'a self, index: &'a mut ObjectIndex) -> Option<Message<'a>> {
        Message::parse(&self.message, index).ok()
    }

    /// Takes senders away; some of `left`, which is in ascending order, are there.
    pub(super) fn narrow(&mut self, left: &[FilterSpec], index: &mut ObjectIndex) {
        let message = Message::parse(&self.message, index);
        let narrowed = message.map(|message| Excerpt::of(&message, 0, left).to_bytes());
        if let Ok(narrowed) = narrowed {
            self.message = narrowed;
        }
        self.senders = left.into();
    }

    /// About how much memory it takes besides its own size, in bytes.
    pub(super) fn cost(&self) -> usize {
        self.message.len() + size_of_val(self.senders.as_slice())
    }
}

/// A Path or Resv with only one of its flow descriptors, of which only these senders, and without what
/// names neither flow nor traffic. (A WF flow has no senders.)
struct Excerpt<'a> {
    /// The start of the common header, without a checksum.
    header: [u8; CommonHeader::LENGTH],
    objects: SmallVec<[RawObject<'a>; 8]>,
}

impl<'a> Excerpt<'a> {
    /// Of an object: length, class and C-Type.
    const OBJECT_HEADER: usize = 4;

    fn of(message: &Message<'a>, flow: u16, senders: &[FilterSpec]) -> Excerpt<'a> {
        let is_distinct = message.style() == Some(ResvStyle::FixedFilter);
        let is_path = message.message_type() == MessageType::Path;
        let mut objects = SmallVec::new();
        // Of an FF list: the FLOWSPEC that holds for the next filter, and that filter's place.
        let mut flow_spec = message.find(class::FLOWSPEC);
        let mut filters = 0;
        for object in message.objects() {
            match object.class {
                class::SESSION | class::RSVP_HOP | class::TIME_VALUES | class::STYLE => {
                    objects.push(object);
                }
                class::SENDER_TEMPLATE | class::SENDER_TSPEC if is_path => objects.push(object),
                class::FLOWSPEC if is_distinct => flow_spec = Some(object),
                class::FLOWSPEC => objects.push(object),
                class::FILTER_SPEC if is_distinct => {
                    if filters == flow {
                        objects.extend(flow_spec);
                        objects.push(object);
                    }
                    filters += 1;
                }
                class::FILTER_SPEC => {
                    let sender = FilterSpec::parse(object);
                    if sender.is_ok_and(|sender| senders.binary_search(&sender).is_ok()) {
                        objects.push(object);
                    }
                }
                _ => {}
            }
        }
        Excerpt {
            header: header(message, &objects),
            objects,
        }
    }

    /// Whether these are its bytes.
    fn is(&self, bytes: &[u8]) -> bool {
        let Some(mut rest) = bytes.strip_prefix(&self.header) else {
            return false;
        };
        for object in &self.objects {
            let Some(after) = rest
                .strip_prefix(&object_header(object))
                .and_then(|body| body.strip_prefix(object.body))
            else {
                return false;
            };
            rest = after;
        }
        rest.is_empty()
    }

    fn to_bytes(&self) -> Arc<[u8]> {
        let mut bytes = Vec::with_capacity(length(&self.objects));
        bytes.extend(self.header);
        for object in &self.objects {
            bytes.extend(object_header(object));
            bytes.extend(object.body);
        }
        bytes.into()
    }
}

fn header(message: &Message<'_>, objects: &[RawObject<'_>]) -> [u8; CommonHeader::LENGTH] {
    let [high, low] = length_field(length(objects));
    match *message.bytes() {
        [first, message_type, _, _, send_ttl, reserved, ..] => {
            [first, message_type, 0, 0, send_ttl, reserved, high, low]
        }
        // A message has a header.
        _ => [0; CommonHeader::LENGTH],
    }
}

fn object_header(object: &RawObject<'_>) -> [u8; Excerpt::OBJECT_HEADER] {
    let [high, low] = length_field(Excerpt::OBJECT_HEADER + object.body.len());
    [high, low, object.class, object.c_type]
}

fn length(objects: &[RawObject<'_>]) -> usize {
    let objects = objects.iter();
    let objects = objects.map(|object| Excerpt::OBJECT_HEADER + object.body.len());
    CommonHeader::LENGTH + objects.sum::<usize>()
}

/// Less than the message had, whose length has 16 bits.
fn length_field(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes()
}
