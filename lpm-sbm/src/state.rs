//! What is kept of a Path or Resv.

use std::ops::Range;

use lpm_api::{Interface, Priority};
use lpm_host::ReceivedMessage;
use lpm_rsvp::{
    CommonHeader, FilterSpec, FlowDescriptor, Message, MessageType, Object, ObjectEntry,
    ObjectIndex, ResvStyle, class,
};
use smallvec::SmallVec;

use crate::lifetime::{Life, Time, Timers};

/// Senders in ascending order; none for any sender.
pub(crate) type Senders = SmallVec<[FilterSpec; 1]>;

/// The state of a flow.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// The message that made it, or refreshed it last, with only what names the flow and its traffic:
    /// what policy is told later on. Its only flow descriptor is that of the flow.
    message: Box<[u8]>,
    pub(crate) senders: Senders,
    pub(crate) interface: Interface,
    pub(crate) life: Life,
    /// Of a Resv that has resources on that interface: the priority that policy gave it.
    pub(crate) priority: Option<Priority>,
}

impl State {
    /// The state that a flow descriptor of a Path or Resv makes now.
    pub(crate) fn of(
        received: &ReceivedMessage<'_>,
        descriptor: &FlowDescriptor<'_>,
        timers: Timers,
        now: Time,
    ) -> State {
        let message = received.message;
        let mut senders: Senders = match message.style() {
            Some(ResvStyle::WildcardFilter) => Senders::new(),
            _ => descriptor.filters().collect(),
        };
        senders.sort_unstable();
        senders.dedup();
        State {
            message: Excerpt::of(&message, descriptor.index(), &senders).to_bytes(),
            senders,
            interface: received.interface,
            life: timers.start(message.time_values(), now),
            priority: None,
        }
    }

    /// Whether a flow descriptor of a message that came in now would make the same state, but for its timers.
    pub(crate) fn is_said_by(&self, received: &ReceivedMessage<'_>, flow: u16) -> bool {
        if self.interface != received.interface {
            return false;
        }
        let message = &received.message;
        let Some(mut comparison) = Comparison::new(&self.message, message.bytes()) else {
            return false;
        };
        // A FILTER_SPEC that the state does not have is a sender that it does not have.
        select(message, flow, |_| true, |object| comparison.add(object));
        comparison.finish()
    }

    /// The message. `None` if it cannot be read, which one that was read before always can.
    pub(crate) fn message<'a>(&'a self, index: &'a mut ObjectIndex) -> Option<Message<'a>> {
        Message::parse(&self.message, index).ok()
    }

    /// Takes senders away; some of `left`, which is in ascending order, are there.
    pub(crate) fn narrow(&mut self, left: &[FilterSpec], index: &mut ObjectIndex) {
        let message = Message::parse(&self.message, index);
        let narrowed = message.map(|message| Excerpt::of(&message, 0, left).to_bytes());
        if let Ok(narrowed) = narrowed {
            self.message = narrowed;
        }
        self.senders = left.into();
    }

    /// About how much memory it takes besides its own size, in bytes.
    pub(crate) fn cost(&self) -> usize {
        self.message.len() + size_of_val(self.senders.as_slice())
    }
}

/// A Path or Resv with only one of its flow descriptors, of which only these senders, and without what
/// names neither flow nor traffic. (A WF flow has no senders.)
struct Excerpt<'a> {
    /// The start of the common header, without a checksum.
    header: [u8; CommonHeader::LENGTH],
    objects: SmallVec<[&'a [u8]; 8]>,
}

impl<'a> Excerpt<'a> {
    fn of(message: &Message<'a>, flow: u16, senders: &[FilterSpec]) -> Excerpt<'a> {
        let bytes = message.bytes();
        let is_sender = |object: &ObjectEntry| {
            let sender = FilterSpec::parse(object.object(bytes));
            sender.is_ok_and(|sender| senders.binary_search(&sender).is_ok())
        };
        let mut objects = SmallVec::new();
        select(message, flow, is_sender, |object| {
            objects.push(bytes.get(place(object)).unwrap_or_default());
        });
        Excerpt {
            header: header(message, &objects),
            objects,
        }
    }

    fn to_bytes(&self) -> Box<[u8]> {
        let mut bytes = Vec::with_capacity(length(&self.objects));
        bytes.extend(self.header);
        for object in &self.objects {
            bytes.extend_from_slice(object);
        }
        bytes.into()
    }
}

/// An excerpt's bytes next to the objects of a message, which are compared in as few pieces as can be.
struct Comparison<'a> {
    message: &'a [u8],
    /// What of the excerpt the message does not have yet; `None` once they differ.
    rest: Option<&'a [u8]>,
    /// What of the message is to be compared with that next.
    piece: Range<usize>,
}

impl<'a> Comparison<'a> {
    /// `None` if they differ in their headers.
    fn new(excerpt: &'a [u8], message: &'a [u8]) -> Option<Comparison<'a>> {
        let [
            first,
            message_type,
            _,
            _,
            send_ttl,
            reserved,
            _,
            _,
            rest @ ..,
        ] = excerpt
        else {
            return None;
        };
        let [a, b, _, _, c, d, ..] = message else {
            return None;
        };
        ([first, message_type, send_ttl, reserved] == [a, b, c, d]).then_some(Comparison {
            message,
            rest: Some(rest),
            piece: 0..0,
        })
    }

    fn add(&mut self, object: &ObjectEntry) {
        let place = place(object);
        if place.start != self.piece.end {
            self.compare();
            self.piece.start = place.start;
        }
        self.piece.end = place.end;
    }

    /// Whether they are the same.
    fn finish(mut self) -> bool {
        self.compare();
        self.rest.is_some_and(<[u8]>::is_empty)
    }

    fn compare(&mut self) {
        let piece = self.message.get(self.piece.clone());
        self.rest = self
            .rest
            .zip(piece)
            .and_then(|(rest, piece)| rest.strip_prefix(piece));
    }
}

/// Takes, in order, the objects that name a flow and its traffic; of the FILTER_SPECs that senders share,
/// those which `is_sender`.
fn select<'a>(
    message: &Message<'a>,
    flow: u16,
    is_sender: impl Fn(&ObjectEntry) -> bool,
    mut take: impl FnMut(&'a ObjectEntry),
) {
    let is_path = message.message_type() == MessageType::Path;
    let is_distinct = !is_path && message.style() == Some(ResvStyle::FixedFilter);
    // Of an FF list: the FLOWSPEC that holds for the next filter, and that filter's place.
    let mut flow_spec = None;
    let mut filters = 0;
    for object in message.entries() {
        match object.class {
            class::SESSION | class::RSVP_HOP | class::TIME_VALUES | class::STYLE => take(object),
            class::SENDER_TEMPLATE | class::SENDER_TSPEC if is_path => take(object),
            class::FLOWSPEC if is_distinct => flow_spec = Some(object),
            class::FLOWSPEC => take(object),
            class::FILTER_SPEC if is_distinct => {
                if filters == flow {
                    // Some senders put the first one behind its FILTER_SPEC.
                    let mut entries = message.entries().iter();
                    let first = || entries.find(|entry| entry.class == class::FLOWSPEC);
                    flow_spec.or_else(first).into_iter().for_each(&mut take);
                    take(object);
                }
                filters += 1;
            }
            class::FILTER_SPEC if is_sender(object) => take(object),
            _ => {}
        }
    }
}

/// Where in its message an object is.
fn place(object: &ObjectEntry) -> Range<usize> {
    let start = usize::from(object.offset);
    start..start + usize::from(object.length)
}

fn header(message: &Message<'_>, objects: &[&[u8]]) -> [u8; CommonHeader::LENGTH] {
    // Less than the message had, whose length has 16 bits.
    let length = u16::try_from(length(objects)).unwrap_or(u16::MAX);
    let [high, low] = length.to_be_bytes();
    match *message.bytes() {
        [first, message_type, _, _, send_ttl, reserved, ..] => {
            [first, message_type, 0, 0, send_ttl, reserved, high, low]
        }
        // A message has a header.
        _ => [0; CommonHeader::LENGTH],
    }
}

fn length(objects: &[&[u8]]) -> usize {
    CommonHeader::LENGTH + objects.iter().map(|object| object.len()).sum::<usize>()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use lpm_api::FlowKey;
    use lpm_rsvp::build::{Flows, Identity, Path, PolicyData, Resv};
    use lpm_rsvp::{RsvpHop, ServiceRequest, Session, TimeValues, Tspec};
    use proptest::prelude::*;
    use std::net::Ipv4Addr;
    use std::time::SystemTime;

    /// What a message says, in small numbers.
    #[derive(Clone, Copy, Debug)]
    struct Said {
        /// 0 a Path, 1 WF, 2 FF, 3 SE.
        kind: u8,
        session: u8,
        senders: [u16; 2],
        rate: u8,
        hop: u8,
        refresh_ms: u32,
        user: Option<bool>,
        interface: u32,
    }

    impl Said {
        fn message(&self) -> Vec<u8> {
            let session = Session::new([10, 0, 1, self.session], 17, 5004).unwrap();
            let hop = RsvpHop {
                address: Ipv4Addr::new(10, 0, 9, self.hop).into(),
                logical_interface: 0,
            };
            let time_values = TimeValues {
                refresh_ms: self.refresh_ms,
            };
            let tspec = Tspec {
                rate: self.rate.into(),
                bucket: 1.0,
                peak_rate: 1.0,
                min_policed: 1,
                max_packet: 1,
            };
            let service = ServiceRequest::ControlledLoad(tspec);
            let senders = self
                .senders
                .map(|port| FilterSpec::new([10, 0, 0, 7], port));
            let policy = self.user.map(|user| {
                let user = Identity::user().credential(if user { "ada" } else { "grace" });
                PolicyData::new().element(user)
            });
            let flows = match self.kind {
                0 => {
                    let path = Path::new(session, hop, time_values, senders[0], tspec);
                    let path = policy.into_iter().fold(path, Path::policy_data);
                    return path.build().unwrap();
                }
                1 => Flows::WildcardFilter(service),
                2 => Flows::FixedFilter(senders.map(|sender| (service, sender)).into()),
                _ => Flows::SharedExplicit(service, senders.into()),
            };
            let resv = Resv::new(session, hop, time_values, flows);
            let resv = policy.into_iter().fold(resv, Resv::policy_data);
            resv.build().unwrap()
        }

        /// Has `look` look at the message, flow by flow.
        fn received(&self, mut look: impl FnMut(&ReceivedMessage<'_>, &FlowDescriptor<'_>)) {
            let (bytes, mut index) = (self.message(), ObjectIndex::new());
            let received = ReceivedMessage {
                message: Message::parse(&bytes, &mut index).unwrap(),
                interface: Interface {
                    index: self.interface,
                    address: Ipv4Addr::UNSPECIFIED.into(),
                },
                received: SystemTime::UNIX_EPOCH,
                integrity_verified: false,
            };
            for flow in received.message.flow_descriptors() {
                look(&received, &flow);
            }
        }
    }

    fn state(received: &ReceivedMessage<'_>, flow: &FlowDescriptor<'_>) -> State {
        let timers = Timers {
            missed_refreshes: 3,
            max_duration: None,
        };
        State::of(received, flow, timers, Time::default())
    }

    /// A flow that a Path announces, and its state.
    pub(crate) fn of_path() -> (FlowKey, State) {
        let said = Said {
            kind: 0,
            session: 0,
            senders: [1, 2],
            rate: 1,
            hop: 1,
            refresh_ms: 30_000,
            user: None,
            interface: 1,
        };
        let mut made = None;
        said.received(|received, flow| {
            let key = FlowKey::of(&received.message, flow).unwrap();
            made = Some((key, state(received, flow)));
        });
        made.unwrap()
    }

    fn any_said() -> impl Strategy<Value = Said> {
        let senders = prop_oneof![Just([1, 2]), Just([2, 1]), Just([1, 3])];
        let others = (1..3_u8, 1..3_u8, 1..3_u32, any::<Option<bool>>(), 1..3_u32);
        (0..4_u8, 1..3_u8, senders, others).prop_map(
            |(kind, session, senders, (rate, hop, refresh_ms, user, interface))| Said {
                kind,
                session,
                senders,
                rate,
                hop,
                refresh_ms,
                user,
                interface,
            },
        )
    }

    proptest! {
        #[test]
        fn what_says_the_same_makes_the_same(said in any_said(), other in any_said(), like in any::<bool>()) {
            // Else hardly any two would be alike.
            let other = if like { Said { user: other.user, senders: other.senders, ..said } } else { other };
            let mut kept = Vec::new();
            said.received(|received, flow| kept.push(state(received, flow)));
            other.received(|received, flow| {
                let new = state(received, flow);
                for old in &kept {
                    let is_same = old.message == new.message
                        && old.senders == new.senders
                        && old.interface == new.interface
                        && old.life == new.life;
                    assert_eq!(old.is_said_by(received, flow.index()), is_same);
                }
            });
        }
    }
}
