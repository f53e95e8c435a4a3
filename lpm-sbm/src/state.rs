//! What is kept of a Path or Resv.

use lpm_api::{Interface, Priority};
use lpm_host::ReceivedMessage;
use lpm_rsvp::{FilterSpec, FlowDescriptor, Message, ObjectIndex, ResvStyle};
use smallvec::SmallVec;

use crate::excerpt::Parts;
use crate::lifetime::{Life, Time, Timers};
use crate::message_ids::StateId;

/// Senders in ascending order; none for any sender.
pub(crate) type Senders = SmallVec<[FilterSpec; 1]>;

/// The state of a flow.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// The message that made it, or refreshed it last, with only what names the flow and its
    /// traffic: what policy is told later on. Its only flow descriptor is that of the flow.
    message: Box<[u8]>,
    pub(crate) senders: Senders,
    pub(crate) interface: Interface,
    pub(crate) life: Life,
    /// The MESSAGE_ID of the message that made it, or refreshed it last.
    pub(crate) id: Option<StateId>,
    /// Of a Resv that has resources on that interface: the priority that policy gave it.
    pub(crate) priority: Option<Priority>,
}

impl State {
    /// The state that a flow descriptor of a Path or Resv makes now.
    pub(crate) fn of<'m>(
        received: &ReceivedMessage<'m>,
        parts: &Parts<'m>,
        descriptor: &FlowDescriptor<'m>,
        timers: Timers,
        now: Time,
    ) -> Self {
        let message = received.message;
        let mut senders: Senders = match message.style() {
            Some(ResvStyle::WildcardFilter) => Senders::new(),
            _ => descriptor.filters().collect(),
        };
        senders.sort_unstable();
        senders.dedup();
        Self {
            message: parts.excerpt(descriptor, &senders),
            senders,
            interface: received.interface,
            life: timers.start(message.time_values(), now),
            id: StateId::of(&message),
            priority: None,
        }
    }

    /// Whether a flow descriptor of a message that came in now would make the same state, but for
    /// its timers.
    pub(crate) fn is_said_by<'m>(
        &self,
        received: &ReceivedMessage<'m>,
        parts: &Parts<'m>,
        descriptor: &FlowDescriptor<'m>,
    ) -> bool {
        // A FILTER_SPEC that the state does not have is a sender that it does not have.
        self.interface == received.interface && parts.are_in(&self.message, descriptor)
    }

    /// The message. `None` if it cannot be read, which one that was read before always can.
    pub(crate) fn message<'a>(&'a self, index: &'a mut ObjectIndex) -> Option<Message<'a>> {
        Message::parse(&self.message, index).ok()
    }

    /// Takes senders away; some of `left`, which is in ascending order, are there.
    pub(crate) fn narrow(&mut self, left: &[FilterSpec], index: &mut ObjectIndex) {
        let narrowed = Message::parse(&self.message, index)
            .ok()
            .and_then(|message| {
                let descriptor = message.flow_descriptors().next()?;
                Some(Parts::of(message).excerpt(&descriptor, left))
            });
        if let Some(narrowed) = narrowed {
            self.message = narrowed;
        }
        self.senders = left.into();
    }

    /// About how much memory it takes besides its own size, in bytes.
    pub(crate) fn cost(&self) -> usize {
        self.message.len() + size_of_val(self.senders.as_slice())
    }
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
        fn received(
            &self,
            mut look: impl for<'m> FnMut(&ReceivedMessage<'m>, &FlowDescriptor<'m>),
        ) {
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

    fn state<'m>(received: &ReceivedMessage<'m>, flow: &FlowDescriptor<'m>) -> State {
        let timers = Timers {
            missed_refreshes: 3,
            max_refresh: std::time::Duration::MAX,
            max_duration: None,
        };
        let parts = Parts::of(received.message);
        State::of(received, &parts, flow, timers, Time::default())
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
                let parts = Parts::of(received.message);
                let new = state(received, flow);
                for old in &kept {
                    let is_same = old.message == new.message
                        && old.senders == new.senders
                        && old.interface == new.interface
                        && old.life == new.life;
                    assert_eq!(old.is_said_by(received, &parts, flow), is_same);
                }
            });
        }
    }
}
