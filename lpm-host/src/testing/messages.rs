//! Messages for tests: legal ones with usual values, of which a test names those it is about.
//!
//! ```
//! use lpm_host::testing::messages;
//!
//! let path = messages::path().user("CN=Alice").rate(1_000_000.0).build();
//! let resv = messages::resv().flow("198.51.100.7", 4000).flow("198.51.100.8", 4000).build();
//! assert_eq!(resv.view().flow_descriptors().count(), 2);
//! ```

use std::net::{IpAddr, Ipv4Addr};

use lpm_api::Interface;
use lpm_rsvp::build::{
    BuildError, Element, Flows, Identity, Path, PathErr, PathTear, PolicyData, Resv, ResvErr,
    ResvTear, Senders,
};
use lpm_rsvp::{
    ErrorSpec, FilterSpec, Message, MessageType, ObjectIndex, ParseError, ResvStyle, Rspec,
    RsvpHop, ServiceRequest, Session, TimeValues, Tspec,
};

/// A Path from the host next to the node.
pub fn path() -> MessageBuilder {
    MessageBuilder::new(MessageType::Path)
}

/// A Resv in FF style: each sender with a reservation of its own.
pub fn resv() -> MessageBuilder {
    MessageBuilder::new(MessageType::Resv)
}

/// The end of a path.
pub fn path_tear() -> MessageBuilder {
    MessageBuilder::new(MessageType::PathTear)
}

/// The end of reservations.
pub fn resv_tear() -> MessageBuilder {
    MessageBuilder::new(MessageType::ResvTear)
}

/// A PathErr: policy control refused the Path, code 2, value 0.
pub fn path_err() -> MessageBuilder {
    MessageBuilder::new(MessageType::PathErr)
}

/// A ResvErr: policy control refused the reservation of the first sender, code 2, value 0.
pub fn resv_err() -> MessageBuilder {
    MessageBuilder::new(MessageType::ResvErr)
}

/// A message in the making. Unless said otherwise: UDP to 192.0.2.80:5004, from 198.51.100.7:4000,
/// a token rate of 125 000 bytes/s (1 Mbit/s), no policy data.
#[derive(Clone, Debug)]
#[must_use]
pub struct MessageBuilder {
    message_type: MessageType,
    style: ResvStyle,
    session: Session,
    hop: RsvpHop,
    senders: Vec<FilterSpec>,
    tspec: Tspec,
    /// Of guaranteed service; `None` for controlled load.
    rspec: Option<Rspec>,
    policy_data: Vec<PolicyData>,
    error: ErrorSpec,
}

impl MessageBuilder {
    fn new(message_type: MessageType) -> Self {
        let neighbour = Ipv4Addr::new(192, 0, 2, 254).into();
        Self {
            message_type,
            style: ResvStyle::FixedFilter,
            session: session(Ipv4Addr::new(192, 0, 2, 80).into(), 5004),
            hop: RsvpHop {
                address: neighbour,
                logical_interface: 0,
            },
            senders: Vec::new(),
            tspec: Tspec {
                rate: 125_000.0,
                bucket: 3_000.0,
                peak_rate: f32::INFINITY,
                min_policed: 64,
                max_packet: 1_500,
            },
            rspec: None,
            policy_data: Vec::new(),
            error: ErrorSpec {
                node: neighbour,
                flags: 0,
                code: 2,
                value: 0,
            },
        }
    }

    /// The session: where the flow goes, over UDP.
    ///
    /// # Panics
    ///
    /// When the address is none.
    pub fn session(mut self, address: &str, port: u16) -> Self {
        self.session = session(parse(address), port);
        self
    }

    /// The neighbour that the message comes from.
    ///
    /// # Panics
    ///
    /// When the address is none.
    pub fn hop(mut self, address: &str) -> Self {
        self.hop.address = parse(address);
        self
    }

    /// Adds a sender, in the place of the usual one. A Resv has a flow descriptor for each (FF), or
    /// one for all (SE); a Path has one sender, the first.
    ///
    /// # Panics
    ///
    /// When the address is none.
    pub fn flow(mut self, address: &str, port: u16) -> Self {
        self.senders.push(FilterSpec::new(parse(address), port));
        self
    }

    /// The style of the reservation.
    pub const fn style(mut self, style: ResvStyle) -> Self {
        self.style = style;
        self
    }

    /// The token rate in bytes/s.
    pub const fn rate(mut self, rate: f32) -> Self {
        self.tspec.rate = rate;
        self
    }

    /// A Resv for guaranteed service (RFC 2212) instead of controlled load, with this rate R in
    /// bytes/s, which is to be reserved; not below the token rate.
    pub const fn guaranteed(mut self, rate: f32) -> Self {
        self.rspec = Some(Rspec { rate, slack: 0 });
        self
    }

    /// The whole traffic description.
    pub const fn tspec(mut self, tspec: Tspec) -> Self {
        self.tspec = tspec;
        self
    }

    /// Adds an AUTH_USER element with this name as its policy locator.
    pub fn user(self, locator: &str) -> Self {
        self.element(Identity::user().locator(locator))
    }

    /// Adds an AUTH_APP element with this name as its policy locator.
    pub fn application(self, locator: &str) -> Self {
        self.element(Identity::app().locator(locator))
    }

    /// Adds a policy element, in a POLICY_DATA object of its own.
    pub fn element(self, element: impl Into<Element>) -> Self {
        self.policy_data(PolicyData::new().element(element))
    }

    /// Adds a POLICY_DATA object.
    pub fn policy_data(mut self, data: PolicyData) -> Self {
        self.policy_data.push(data);
        self
    }

    /// The error that a PathErr or ResvErr is about.
    pub const fn error(mut self, code: u8, value: u16) -> Self {
        self.error.code = code;
        self.error.value = value;
        self
    }

    /// The message, received on interface 1, 192.0.2.1.
    ///
    /// # Panics
    ///
    /// When the values make no legal message.
    #[must_use]
    pub fn build(&self) -> TestMessage {
        let built = self.try_build();
        built.expect("the values make a legal message")
    }

    /// The same, where it is not known whether the values make a legal message.
    ///
    /// # Errors
    ///
    /// They make none.
    pub fn try_build(&self) -> Result<TestMessage, BuildError> {
        Ok(TestMessage::parse(self.bytes()?)?)
    }

    fn bytes(&self) -> Result<Vec<u8>, BuildError> {
        let (session, hop, times) = (self.session, self.hop, TimeValues::DEFAULT);
        let sender = self.senders()[0];
        let policy_data = self.policy_data.iter().cloned();
        match self.message_type {
            MessageType::Path => policy_data
                .fold(
                    Path::new(session, hop, times, sender, self.tspec),
                    Path::policy_data,
                )
                .build(),
            MessageType::PathTear => PathTear::new(session, hop, sender).build(),
            MessageType::PathErr => policy_data
                .fold(
                    PathErr::new(session, self.error).sender(sender, self.tspec),
                    PathErr::policy_data,
                )
                .build(),
            MessageType::ResvTear => ResvTear::new(session, hop, self.torn()).build(),
            MessageType::ResvErr => policy_data
                .fold(
                    ResvErr::new(session, hop, self.error, self.flows(&[sender])),
                    ResvErr::policy_data,
                )
                .build(),
            _ => policy_data
                .fold(
                    Resv::new(session, hop, times, self.flows(&self.senders())),
                    Resv::policy_data,
                )
                .build(),
        }
    }

    fn senders(&self) -> Vec<FilterSpec> {
        match self.senders.is_empty() {
            false => self.senders.clone(),
            true => vec![FilterSpec::new(Ipv4Addr::new(198, 51, 100, 7), 4000)],
        }
    }

    fn flows(&self, senders: &[FilterSpec]) -> Flows {
        let request = match self.rspec {
            Some(rspec) => ServiceRequest::Guaranteed(self.tspec, rspec),
            None => ServiceRequest::ControlledLoad(self.tspec),
        };
        match self.style {
            ResvStyle::WildcardFilter => Flows::WildcardFilter(request),
            ResvStyle::SharedExplicit => Flows::SharedExplicit(request, senders.to_vec()),
            _ => Flows::FixedFilter(senders.iter().map(|sender| (request, *sender)).collect()),
        }
    }

    fn torn(&self) -> Senders {
        match self.style {
            ResvStyle::WildcardFilter => Senders::WildcardFilter,
            ResvStyle::SharedExplicit => Senders::SharedExplicit(self.senders()),
            _ => Senders::FixedFilter(self.senders()),
        }
    }
}

/// A message with how it was received.
#[derive(Clone, Debug)]
pub struct TestMessage {
    bytes: Vec<u8>,
    index: ObjectIndex,
    interface: Interface,
    integrity_verified: bool,
}

impl TestMessage {
    /// A message that comes from elsewhere, such as a capture: from its common header on.
    ///
    /// # Errors
    ///
    /// The bytes are no well-formed message; no PCM would hand them to an LPM.
    pub fn parse(bytes: impl Into<Vec<u8>>) -> Result<Self, ParseError> {
        let bytes = bytes.into();
        let mut index = ObjectIndex::new();
        Message::parse(&bytes, &mut index)?;
        Ok(Self {
            bytes,
            index,
            interface: Interface {
                index: 1,
                address: Ipv4Addr::new(192, 0, 2, 1).into(),
            },
            integrity_verified: false,
        })
    }

    /// The same message on another interface.
    #[must_use]
    pub const fn on(mut self, interface: Interface) -> Self {
        self.interface = interface;
        self
    }

    /// The same message, as if it bore an INTEGRITY object that was verified.
    #[must_use]
    pub const fn verified(mut self) -> Self {
        self.integrity_verified = true;
        self
    }

    /// The message.
    #[must_use]
    pub fn view(&self) -> Message<'_> {
        Message::from_index(&self.bytes, self.index.as_slice())
    }

    /// The interface it came in on.
    #[must_use]
    pub const fn interface(&self) -> Interface {
        self.interface
    }

    /// Whether it bore an INTEGRITY object that was verified.
    #[must_use]
    pub const fn integrity_verified(&self) -> bool {
        self.integrity_verified
    }
}

fn session(address: IpAddr, port: u16) -> Session {
    const UDP: u8 = 17;
    Session::new(address, UDP, port).expect("UDP has ports")
}

fn parse(address: &str) -> IpAddr {
    let parsed = address.parse();
    parsed.unwrap_or_else(|_| panic!("`{address}` is no IP address"))
}
