//! Resv, ResvErr, ResvTear and ResvConf: what travels against, or along, a reservation.

use alloc::vec::Vec;
use core::net::IpAddr;

use super::error::BuildError;
use super::frame::{Frame, UnknownObject, optional, policy_data, required};
use super::path::{frame_methods, policy_methods, write_policy_data};
use super::policy::PolicyData;
use super::writer::Writer;
use crate::class;
use crate::error::{ErrorKind, ParseError};
use crate::flow::FlowDescriptor;
use crate::intserv::ServiceRequest;
use crate::message::Message;
use crate::message_type::MessageType;
use crate::objects::{
    ErrorSpec, FilterSpec, MessageId, MessageIdAck, ResvConfirm, ResvStyle, RsvpHop, Scope,
    Session, TimeValues, TrafficClass,
};
use crate::wire;

/// A Resv message (RFC 2205 §3.1.4).
#[derive(Clone, Debug, PartialEq)]
pub struct Resv {
    frame: Frame,
    session: Session,
    hop: RsvpHop,
    time_values: TimeValues,
    confirm: Option<ResvConfirm>,
    scope: Vec<IpAddr>,
    policy_data: Vec<PolicyData>,
    flows: Flows,
}

/// A ResvErr message (RFC 2205 §3.1.8).
#[derive(Clone, Debug, PartialEq)]
pub struct ResvErr {
    frame: Frame,
    session: Session,
    hop: RsvpHop,
    error: ErrorSpec,
    scope: Vec<IpAddr>,
    policy_data: Vec<PolicyData>,
    flow: Flows,
}

/// A ResvTear message (RFC 2205 §3.1.6).
#[derive(Clone, Debug, PartialEq)]
pub struct ResvTear {
    frame: Frame,
    session: Session,
    hop: RsvpHop,
    senders: Senders,
}

/// A ResvConf message (RFC 2205 §3.1.9).
#[derive(Clone, Debug, PartialEq)]
pub struct ResvConf {
    frame: Frame,
    session: Session,
    error: ErrorSpec,
    confirm: ResvConfirm,
    flows: Flows,
}

/// What is reserved, for whom: a style with its flow descriptors.
#[derive(Clone, Debug, PartialEq)]
pub enum Flows {
    /// WF: one reservation for all senders.
    WildcardFilter(ServiceRequest),
    /// FF: one reservation for each sender; at least one.
    FixedFilter(Vec<(ServiceRequest, FilterSpec)>),
    /// SE: one reservation for these senders; at least one.
    SharedExplicit(ServiceRequest, Vec<FilterSpec>),
}

/// Whose reservation ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Senders {
    /// WF: that of all senders.
    WildcardFilter,
    /// FF: those of these senders; at least one.
    FixedFilter(Vec<FilterSpec>),
    /// SE: that of these senders; at least one.
    SharedExplicit(Vec<FilterSpec>),
}

impl Resv {
    /// A reservation.
    #[must_use]
    pub fn new(session: Session, hop: RsvpHop, time_values: TimeValues, flows: Flows) -> Self {
        Self {
            frame: Frame::default(),
            session,
            hop,
            time_values,
            confirm: None,
            scope: Vec::new(),
            policy_data: Vec::new(),
            flows,
        }
    }

    /// Reads a received Resv.
    ///
    /// # Errors
    /// A missing object, or one that cannot be read.
    pub fn from_message(message: &Message<'_>) -> Result<Self, ParseError> {
        Ok(Self {
            frame: Frame::of(message),
            session: required(message, class::SESSION)?,
            hop: required(message, class::RSVP_HOP)?,
            time_values: required(message, class::TIME_VALUES)?,
            confirm: optional(message, class::RESV_CONFIRM)?,
            scope: scope(message)?,
            policy_data: policy_data(message)?,
            flows: Flows::of(message)?,
        })
    }

    /// Adds the class that the flow gets on a layer 2 network, 0 to 7 (RFC 2814 §B.5).
    #[must_use]
    pub fn traffic_class(mut self, traffic_class: TrafficClass) -> Self {
        self.frame.extras.traffic_class(traffic_class);
        self
    }

    /// Adds the code points that senders may mark their packets with, each 0 to 63 (RFC 2996).
    #[must_use]
    pub fn dclass(mut self, dscps: &[u8]) -> Self {
        self.frame.extras.dclass(dscps);
        self
    }

    /// Asks for a ResvConf to this receiver.
    #[must_use]
    pub fn confirm(mut self, receiver: impl Into<IpAddr>) -> Self {
        self.confirm = Some(ResvConfirm {
            receiver: receiver.into(),
        });
        self
    }

    /// Builds the message, in network byte order with its checksum.
    ///
    /// # Errors
    /// Values that do not make a legal message.
    pub fn build(&self) -> Result<Vec<u8>, BuildError> {
        self.frame.build(
            MessageType::Resv,
            |writer| {
                writer.session(&self.session);
                writer.hop(&self.hop);
                writer.time_values(&self.time_values);
                if let Some(confirm) = &self.confirm {
                    writer.resv_confirm(confirm);
                }
                writer.scope(&self.scope);
                write_policy_data(writer, &self.policy_data);
            },
            |writer| self.flows.write(writer),
        )
    }
}

impl ResvErr {
    /// An error about one flow of a reservation.
    #[must_use]
    pub fn new(session: Session, hop: RsvpHop, error: ErrorSpec, flow: Flows) -> Self {
        let (scope, policy_data) = (Vec::new(), Vec::new());
        Self {
            frame: Frame::default(),
            session,
            hop,
            error,
            scope,
            policy_data,
            flow,
        }
    }

    /// Reads a received ResvErr.
    ///
    /// # Errors
    /// A missing object, or one that cannot be read.
    pub fn from_message(message: &Message<'_>) -> Result<Self, ParseError> {
        Ok(Self {
            frame: Frame::of(message),
            session: required(message, class::SESSION)?,
            hop: required(message, class::RSVP_HOP)?,
            error: required(message, class::ERROR_SPEC)?,
            scope: scope(message)?,
            policy_data: policy_data(message)?,
            flow: Flows::of(message)?,
        })
    }

    /// Builds the message, in network byte order with its checksum.
    ///
    /// # Errors
    /// Values that do not make a legal message, such as FF with more than one flow.
    pub fn build(&self) -> Result<Vec<u8>, BuildError> {
        self.frame.build(
            MessageType::ResvErr,
            |writer| {
                writer.session(&self.session);
                writer.hop(&self.hop);
                writer.error_spec(&self.error);
                writer.scope(&self.scope);
                write_policy_data(writer, &self.policy_data);
            },
            |writer| self.flow.write(writer),
        )
    }
}

impl ResvTear {
    /// The end of these reservations.
    #[must_use]
    pub fn new(session: Session, hop: RsvpHop, senders: Senders) -> Self {
        Self {
            frame: Frame::default(),
            session,
            hop,
            senders,
        }
    }

    /// Reads a received ResvTear; SCOPE and FLOWSPECs are left out, since receivers ignore
    /// them.
    ///
    /// # Errors
    /// A missing object, or one that cannot be read.
    pub fn from_message(message: &Message<'_>) -> Result<Self, ParseError> {
        let senders = message
            .flow_descriptors()
            .flat_map(|flow| flow.filters())
            .collect();
        Ok(Self {
            frame: Frame::of(message),
            session: required(message, class::SESSION)?,
            hop: required(message, class::RSVP_HOP)?,
            senders: match required(message, class::STYLE)? {
                ResvStyle::WildcardFilter => Senders::WildcardFilter,
                ResvStyle::FixedFilter => Senders::FixedFilter(senders),
                ResvStyle::SharedExplicit => Senders::SharedExplicit(senders),
                ResvStyle::Unknown(_) => return Err(unknown_style(message)),
            },
        })
    }

    /// Builds the message, in network byte order with its checksum.
    ///
    /// # Errors
    /// Values that do not make a legal message.
    pub fn build(&self) -> Result<Vec<u8>, BuildError> {
        let (style, senders): (_, &[FilterSpec]) = match &self.senders {
            Senders::WildcardFilter => (ResvStyle::WildcardFilter, &[]),
            Senders::FixedFilter(senders) => (ResvStyle::FixedFilter, senders),
            Senders::SharedExplicit(senders) => (ResvStyle::SharedExplicit, senders),
        };
        self.frame.build(
            MessageType::ResvTear,
            |writer| {
                writer.session(&self.session);
                writer.hop(&self.hop);
            },
            |writer| {
                writer.style(style);
                for sender in senders {
                    writer.sender(class::FILTER_SPEC, sender);
                }
            },
        )
    }
}

impl ResvConf {
    /// Confirms reservations to the receiver that asked. The error has code 0, and names the
    /// confirming node.
    #[must_use]
    pub fn new(session: Session, node: IpAddr, confirm: ResvConfirm, flows: Flows) -> Self {
        let error = ErrorSpec {
            node,
            flags: 0,
            code: 0,
            value: 0,
        };
        Self {
            frame: Frame::default(),
            session,
            error,
            confirm,
            flows,
        }
    }

    /// Reads a received ResvConf.
    ///
    /// # Errors
    /// A missing object, or one that cannot be read.
    pub fn from_message(message: &Message<'_>) -> Result<Self, ParseError> {
        Ok(Self {
            frame: Frame::of(message),
            session: required(message, class::SESSION)?,
            error: required(message, class::ERROR_SPEC)?,
            confirm: required(message, class::RESV_CONFIRM)?,
            flows: Flows::of(message)?,
        })
    }

    /// Builds the message, in network byte order with its checksum.
    ///
    /// # Errors
    /// Values that do not make a legal message.
    pub fn build(&self) -> Result<Vec<u8>, BuildError> {
        self.frame.build(
            MessageType::ResvConf,
            |writer| {
                writer.session(&self.session);
                writer.error_spec(&self.error);
                writer.resv_confirm(&self.confirm);
            },
            |writer| self.flows.write(writer),
        )
    }
}

impl Flows {
    fn of(message: &Message<'_>) -> Result<Self, ParseError> {
        let mut flows = message.flow_descriptors();
        match required(message, class::STYLE)? {
            ResvStyle::FixedFilter => {
                let flows = flows.map(|flow| match flow.filters().next() {
                    Some(filter) => Ok((service(message, &flow)?, filter)),
                    None => Err(no_flow(message)),
                });
                flows.collect::<Result<_, _>>().map(Flows::FixedFilter)
            }
            ResvStyle::WildcardFilter => {
                let flow = flows.next().ok_or_else(|| no_flow(message))?;
                Ok(Self::WildcardFilter(service(message, &flow)?))
            }
            ResvStyle::SharedExplicit => {
                let flow = flows.next().ok_or_else(|| no_flow(message))?;
                Ok(Self::SharedExplicit(
                    service(message, &flow)?,
                    flow.filters().collect(),
                ))
            }
            ResvStyle::Unknown(_) => Err(unknown_style(message)),
        }
    }

    fn write(&self, writer: &mut Writer) {
        match self {
            Self::WildcardFilter(request) => {
                writer.style(ResvStyle::WildcardFilter);
                writer.flow_spec(request);
            }
            Self::FixedFilter(flows) => {
                writer.style(ResvStyle::FixedFilter);
                for (request, filter) in flows {
                    writer.flow_spec(request);
                    writer.sender(class::FILTER_SPEC, filter);
                }
            }
            Self::SharedExplicit(request, filters) => {
                writer.style(ResvStyle::SharedExplicit);
                writer.flow_spec(request);
                for filter in filters {
                    writer.sender(class::FILTER_SPEC, filter);
                }
            }
        }
    }
}

fn service(message: &Message<'_>, flow: &FlowDescriptor<'_>) -> Result<ServiceRequest, ParseError> {
    flow.flow_spec().ok_or_else(|| no_flow(message))?.service()
}

fn scope(message: &Message<'_>) -> Result<Vec<IpAddr>, ParseError> {
    let scope: Option<Scope<'_>> = optional(message, class::SCOPE)?;
    Ok(scope
        .map(|scope| scope.addresses().collect())
        .unwrap_or_default())
}

fn no_flow(message: &Message<'_>) -> ParseError {
    let kind = ErrorKind::FlowDescriptors {
        expected: "a FLOWSPEC is missing",
    };
    ParseError::message(wire::clamp(message.bytes().len()), kind)
}

fn unknown_style(message: &Message<'_>) -> ParseError {
    let kind = ErrorKind::FlowDescriptors {
        expected: "a style that is known",
    };
    ParseError::message(wire::clamp(message.bytes().len()), kind)
}

/// For the messages that may carry a SCOPE.
macro_rules! scope_methods {
    ($($builder:ident),*) => {$(
        impl $builder {
            /// Sets the senders that a WF reservation is forwarded to, all of one address
            /// family; the builder brings them into order.
            #[must_use]
            pub fn scope(mut self, addresses: &[IpAddr]) -> Self {
                self.scope = addresses.to_vec();
                self.scope.sort_unstable();
                self.scope.dedup();
                self
            }
        }
    )*};
}

frame_methods!(Resv, ResvErr, ResvTear, ResvConf);
policy_methods!(Resv, ResvErr);
scope_methods!(Resv, ResvErr);
