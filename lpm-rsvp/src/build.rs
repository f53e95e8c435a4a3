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
pub(crate) mod error;
mod extras;
mod frame;
mod intserv;
mod path;
pub(crate) mod policy;
mod refresh;
mod refusal;
mod resv;
mod sbm;
pub(crate) mod writer;

pub use adspec::{AdSpecNode, GuaranteedTerms, Overrides};
pub use error::BuildError;
pub use extras::Layer2;
pub use frame::UnknownObject;
pub use intserv::{AdSpec, flow_spec_object};
pub use path::{Path, PathErr, PathTear};
pub use policy::{Element, Identity, PolicyData, policy_data_object};
pub use refresh::{Ack, Bundle, Srefresh, Targets};
pub use refusal::refusal;
pub use resv::{Flows, Resv, ResvConf, ResvErr, ResvTear, Senders};
pub use sbm::{DsbmWilling, IAmDsbm};
