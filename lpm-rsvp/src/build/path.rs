//! Path, PathErr and PathTear: what travels with, or back along, a sender's path.

use alloc::vec::Vec;

use super::error::BuildError;
use super::extras::Layer2;
use super::frame::{Frame, UnknownObject, optional, policy_data, required};
use super::intserv::AdSpec;
use super::policy::PolicyData;
use super::writer::Writer;
use crate::class;
use crate::error::ParseError;
use crate::intserv::Tspec;
use crate::message::Message;
use crate::message_type::MessageType;
use crate::objects::{
    ErrorSpec, FilterSpec, MessageId, MessageIdAck, RsvpHop, Session, TimeValues, TrafficClass,
};

/// A Path message (RFC 2205 §3.1.3).
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    frame: Frame,
    session: Session,
    hop: RsvpHop,
    time_values: TimeValues,
    policy_data: Vec<PolicyData>,
    sender: Sender,
}

/// A PathErr message (RFC 2205 §3.1.7).
#[derive(Clone, Debug, PartialEq)]
pub struct PathErr {
    frame: Frame,
    session: Session,
    error: ErrorSpec,
    policy_data: Vec<PolicyData>,
    sender: Option<Sender>,
}

/// A PathTear message (RFC 2205 §3.1.5).
#[derive(Clone, Debug, PartialEq)]
pub struct PathTear {
    frame: Frame,
    session: Session,
    hop: RsvpHop,
    sender: FilterSpec,
}

/// The sender descriptor.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sender {
    template: FilterSpec,
    tspec: Tspec,
    adspec: Option<AdSpec>,
}

impl Sender {
    fn of(message: &Message<'_>) -> Result<Self, ParseError> {
        Ok(Self {
            template: required(message, class::SENDER_TEMPLATE)?,
            tspec: required(message, class::SENDER_TSPEC)?,
            adspec: optional(message, class::ADSPEC)?
                .map(|adspec| AdSpec::from_view(&adspec))
                .transpose()?,
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.sender(class::SENDER_TEMPLATE, &self.template);
        writer.sender_tspec(&self.tspec);
        if let Some(adspec) = &self.adspec {
            writer.adspec(adspec);
        }
    }
}

impl Path {
    /// A Path of this sender to this session.
    #[must_use]
    pub fn new(
        session: Session,
        hop: RsvpHop,
        time_values: TimeValues,
        template: FilterSpec,
        tspec: Tspec,
    ) -> Self {
        let sender = Sender {
            template,
            tspec,
            adspec: None,
        };
        let frame = Frame::default();
        Self {
            frame,
            session,
            hop,
            time_values,
            policy_data: Vec::new(),
            sender,
        }
    }

    /// Reads a received Path.
    ///
    /// # Errors
    /// A missing object, or one that cannot be read.
    pub fn from_message(message: &Message<'_>) -> Result<Self, ParseError> {
        Ok(Self {
            frame: Frame::of(message),
            session: required(message, class::SESSION)?,
            hop: required(message, class::RSVP_HOP)?,
            time_values: required(message, class::TIME_VALUES)?,
            policy_data: policy_data(message)?,
            sender: Sender::of(message)?,
        })
    }

    /// Adds the ADSPEC.
    #[must_use]
    pub fn adspec(mut self, adspec: AdSpec) -> Self {
        self.sender.adspec = Some(adspec);
        self
    }

    /// Adds what the message says to a shared layer 2 network.
    #[must_use]
    pub fn layer2(mut self, layer2: Layer2) -> Self {
        self.frame.extras.hop_l2(layer2.hop);
        self.frame.extras.layer2(&layer2);
        self
    }

    /// Adds the class that the flow gets on a layer 2 network, 0 to 7 (RFC 2814 §B.4).
    #[must_use]
    pub fn traffic_class(mut self, traffic_class: TrafficClass) -> Self {
        self.frame.extras.traffic_class(traffic_class);
        self
    }

    /// Builds the message, in network byte order with its checksum.
    ///
    /// # Errors
    /// Values that do not make a legal message.
    pub fn build(&self) -> Result<Vec<u8>, BuildError> {
        self.frame.build(
            MessageType::Path,
            |writer| {
                writer.session(&self.session);
                writer.hop(&self.hop);
                writer.time_values(&self.time_values);
                write_policy_data(writer, &self.policy_data);
                self.sender.write(writer);
            },
            |_| {},
        )
    }
}

impl PathErr {
    /// A PathErr about a session.
    #[must_use]
    pub fn new(session: Session, error: ErrorSpec) -> Self {
        let frame = Frame::default();
        Self {
            frame,
            session,
            error,
            policy_data: Vec::new(),
            sender: None,
        }
    }

    /// Reads a received PathErr.
    ///
    /// # Errors
    /// A missing object, or one that cannot be read.
    pub fn from_message(message: &Message<'_>) -> Result<Self, ParseError> {
        let sender = message
            .find(class::SENDER_TEMPLATE)
            .map(|_| Sender::of(message));
        Ok(Self {
            frame: Frame::of(message),
            session: required(message, class::SESSION)?,
            error: required(message, class::ERROR_SPEC)?,
            policy_data: policy_data(message)?,
            sender: sender.transpose()?,
        })
    }

    /// Names the sender, as its Path did.
    #[must_use]
    pub fn sender(mut self, template: FilterSpec, tspec: Tspec) -> Self {
        self.sender = Some(Sender {
            template,
            tspec,
            adspec: None,
        });
        self
    }

    /// Builds the message, in network byte order with its checksum.
    ///
    /// # Errors
    /// Values that do not make a legal message.
    pub fn build(&self) -> Result<Vec<u8>, BuildError> {
        self.frame.build(
            MessageType::PathErr,
            |writer| {
                writer.session(&self.session);
                writer.error_spec(&self.error);
                write_policy_data(writer, &self.policy_data);
                if let Some(sender) = &self.sender {
                    sender.write(writer);
                }
            },
            |_| {},
        )
    }
}

impl PathTear {
    /// The end of this sender's path.
    #[must_use]
    pub fn new(session: Session, hop: RsvpHop, sender: FilterSpec) -> Self {
        Self {
            frame: Frame::default(),
            session,
            hop,
            sender,
        }
    }

    /// Adds what the message says to a shared layer 2 network.
    #[must_use]
    pub fn layer2(mut self, layer2: Layer2) -> Self {
        self.frame.extras.layer2(&layer2);
        self
    }

    /// Reads a received PathTear; the traffic description it may carry is left out, since
    /// receivers ignore it.
    ///
    /// # Errors
    /// A missing object, or one that cannot be read.
    pub fn from_message(message: &Message<'_>) -> Result<Self, ParseError> {
        Ok(Self {
            frame: Frame::of(message),
            session: required(message, class::SESSION)?,
            hop: required(message, class::RSVP_HOP)?,
            sender: required(message, class::SENDER_TEMPLATE)?,
        })
    }

    /// Builds the message, in network byte order with its checksum.
    ///
    /// # Errors
    /// Values that do not make a legal message.
    pub fn build(&self) -> Result<Vec<u8>, BuildError> {
        self.frame.build(
            MessageType::PathTear,
            |writer| {
                writer.session(&self.session);
                writer.hop(&self.hop);
                writer.sender(class::SENDER_TEMPLATE, &self.sender);
            },
            |_| {},
        )
    }
}

pub(super) fn write_policy_data(writer: &mut Writer, objects: &[PolicyData]) {
    for data in objects {
        writer.policy_data(data);
    }
}

/// The methods that all builders share.
macro_rules! frame_methods {
    ($($builder:ident),*) => {$(
        impl $builder {
            /// Sets the TTL the message is sent with; 64 otherwise.
            #[must_use]
            pub fn send_ttl(mut self, send_ttl: u8) -> Self {
                self.frame.send_ttl = send_ttl;
                self
            }

            /// Names the message, so that it can be acknowledged and refreshed (RFC 2961 §4).
            #[must_use]
            pub fn message_id(mut self, id: MessageId) -> Self {
                self.frame.extras.message_id(&id);
                self
            }

            /// Acknowledges a received message; may be called several times.
            #[must_use]
            pub fn acknowledge(mut self, ack: MessageIdAck) -> Self {
                self.frame.extras.acknowledge(&ack);
                self
            }

            /// Appends an object of an unknown class that is passed on.
            #[must_use]
            pub fn unknown(mut self, object: UnknownObject) -> Self {
                self.frame.unknown.push(object);
                self
            }
        }
    )*};
}
pub(super) use frame_methods;

/// For the messages that policy control looks at (RFC 2750 §4.1).
macro_rules! policy_methods {
    ($($builder:ident),*) => {$(
        impl $builder {
            /// Appends a POLICY_DATA object.
            #[must_use]
            pub fn policy_data(mut self, data: PolicyData) -> Self {
                self.policy_data.push(data);
                self
            }
        }
    )*};
}
pub(super) use policy_methods;

frame_methods!(Path, PathErr, PathTear);
policy_methods!(Path, PathErr);
