//! What is kept of a Path or Resv.

use lpm_api::Interface;
use lpm_host::ReceivedMessage;
use lpm_rsvp::{
    CommonHeader, FilterSpec, FlowDescriptor, Message, MessageType, Object, ObjectIndex, RawObject,
    ResvStyle, class,
};

use super::lifetime::{Life, Time, Timers};
use super::reservations::ReservationKey;

/// The state of a flow.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// The message that made it, or refreshed it last, with only what names the flow and its traffic:
    /// what policy is told later on. Its only flow descriptor is that of the flow.
    message: Box<[u8]>,
    /// In ascending order; empty for any sender.
    pub(super) senders: Vec<FilterSpec>,
    pub(super) interface: Interface,
    pub(super) life: Life,
    /// Whose resources it has a part in, for a Resv.
    pub(super) reservation: Option<ReservationKey>,
}

impl State {
    /// The state that a flow descriptor of a Path or Resv makes now.
    pub(super) fn of(
        received: &ReceivedMessage<'_>,
        descriptor: &FlowDescriptor<'_>,
        timers: Timers,
        now: Time,
    ) -> State {
        let message = received.message;
        let mut senders: Vec<_> = match message.style() {
            Some(ResvStyle::WildcardFilter) => Vec::new(),
            _ => descriptor.filters().collect(),
        };
        senders.sort_unstable();
        senders.dedup();
        State {
            message: excerpt(&message, descriptor.index(), &senders),
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
        if let Ok(message) = Message::parse(&self.message, index) {
            self.message = excerpt(&message, 0, left);
        }
        self.senders = left.to_vec();
    }

    /// About how much memory it takes besides its own size, in bytes.
    pub(super) fn cost(&self) -> usize {
        self.message.len() + size_of_val(self.senders.as_slice())
    }
}

/// A Path or Resv with only one of its flow descriptors, of which only these senders, and without what
/// names neither flow nor traffic. (A WF flow has no senders.)
fn excerpt(message: &Message<'_>, flow: u16, senders: &[FilterSpec]) -> Box<[u8]> {
    let is_distinct = message.style() == Some(ResvStyle::FixedFilter);
    let is_path = message.message_type() == MessageType::Path;
    let mut objects = Vec::new();
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
    frame(message, &objects)
}

/// A message with the header of another one and some of its objects, without a checksum.
fn frame(message: &Message<'_>, objects: &[RawObject<'_>]) -> Box<[u8]> {
    /// Of an object: length, class and C-Type.
    const OBJECT_HEADER: usize = 4;

    // Less than the message had, whose length has 16 bits.
    let length = |bytes: usize| u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes();
    let bodies: usize = objects
        .iter()
        .map(|object| OBJECT_HEADER + object.body.len())
        .sum();
    let [high, low] = length(CommonHeader::LENGTH + bodies);
    let [first, message_type, _, _, send_ttl, reserved, ..] = *message.bytes() else {
        return Box::default();
    };
    let mut bytes = vec![first, message_type, 0, 0, send_ttl, reserved, high, low];
    for object in objects {
        bytes.extend(length(OBJECT_HEADER + object.body.len()));
        bytes.extend([object.class, object.c_type]);
        bytes.extend(object.body);
    }
    bytes.into()
}
