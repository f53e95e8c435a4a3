//! Building messages.
//!
//! Each message type has a builder whose constructor takes what the message must have. A
//! builder writes the objects in the order of the grammar, computes length and checksum, and
//! lets the strict parser judge the result: a message that is not legal is never returned.
//!
//! ```
//! use lpm_rsvp::build::{Identity, Path, PolicyData};
//! use lpm_rsvp::{FilterSpec, Message, ObjectIndex, PreemptionPriority, RsvpHop, Session};
//! use lpm_rsvp::{TimeValues, Tspec};
//! use std::net::Ipv4Addr;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let session = Session::new(Ipv4Addr::new(10, 0, 0, 1), 17, 5004).ok_or("not a session")?;
//! let hop = RsvpHop { address: Ipv4Addr::new(10, 0, 0, 254).into(), logical_interface: 0 };
//! let sender = FilterSpec::new(Ipv4Addr::new(10, 0, 0, 7), 4000);
//! let tspec = Tspec {
//!     rate: 125_000.0,
//!     bucket: 3_000.0,
//!     peak_rate: f32::INFINITY,
//!     min_policed: 64,
//!     max_packet: 1_500,
//! };
//! let user = Identity::user().locator("CN=Alice,OU=Sales,O=Example");
//! let bytes = Path::new(session, hop, TimeValues::DEFAULT, sender, tspec)
//!     .policy_data(PolicyData::new().element(user))
//!     .build()?;
//!
//! let mut index = ObjectIndex::new();
//! let message = Message::parse(&bytes, &mut index)?;
//! assert_eq!(message.sender_template(), Some(sender));
//! # Ok(())
//! # }
//! ```
//!
//! What was received can be built again: `Path::from_message` and its siblings read a message
//! into its builder. For a message in canonical form (objects in the order of the grammar, a
//! FLOWSPEC before every FILTER_SPEC of FF, none in ResvTear, unused bits 0, a checksum) that
//! gives the same bytes.
//!
//! A received Tspec with a minimum policed unit of 0 (Cisco IOS) is read, but not built: the
//! caller chooses a legal one.
//!
//! What a builder does not hold is not kept: INTEGRITY, NULL, and of an ADSPEC what [`AdSpec`]
//! leaves out. A node that must pass these on unchanged forwards the bytes it received.

mod adspec;
mod extras;
mod frame;
mod intserv;
mod path;
mod policy;
mod refresh;
mod resv;
mod sbm;
mod writer;

pub use adspec::{AdSpecNode, GuaranteedTerms, Overrides};
pub use extras::Layer2;
pub use frame::UnknownObject;
pub use intserv::{AdSpec, flow_spec_object};
pub use path::{Path, PathErr, PathTear};
pub use policy::{Element, Identity, PolicyData, policy_data_object};
pub use refresh::{Ack, Bundle, Srefresh, Targets};
pub use resv::{Flows, Resv, ResvConf, ResvErr, ResvTear, Senders};
pub use sbm::{DsbmWilling, IAmDsbm};

use crate::error::ParseError;

/// A SESSION object with its header.
#[cfg(feature = "integrity")]
pub(crate) fn session_object(session: &crate::Session) -> alloc::vec::Vec<u8> {
    let mut writer = writer::Writer::default();
    writer.session(session);
    writer.as_slice().to_vec()
}

/// Why a message cannot be built. Always the caller's to correct.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The message, or an object or element in it, would be longer than its length field can
    /// say.
    #[error("{part} of {found} bytes; {limit} is the most there can be")]
    TooLong {
        /// What is too long.
        part: &'static str,
        /// Its length in bytes.
        found: usize,
        /// The greatest length.
        limit: usize,
    },
    /// A SCOPE with IPv4 and IPv6 addresses.
    #[error("a SCOPE of IPv4 and IPv6 addresses; it holds one family")]
    MixedScope,
    /// Addresses of both families in one list of a Srefresh.
    #[error("a list of IPv4 and IPv6 addresses; it holds one family")]
    MixedFamilies,
    /// A value that its field cannot hold.
    #[error("{field} is {found}; {limit} is the most there can be")]
    OutOfRange {
        /// The field's name in its RFC.
        field: &'static str,
        /// The value.
        found: u32,
        /// The greatest value.
        limit: u32,
    },
    /// A Bundle with nothing in it.
    #[error("a Bundle without a message")]
    EmptyBundle,
    /// A Bundle in a Bundle, which RFC 2961 §3.1 forbids.
    #[error("a Bundle in a Bundle")]
    NestedBundle,
    /// The values do not make a legal message; the offsets are those in the message that
    /// would have been built.
    #[error("the message would be refused: {0}")]
    Illegal(#[from] ParseError),
}
