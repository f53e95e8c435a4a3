//! RSVP wire formats: messages, Integrated Services, policy data.
//!
//! Reading is zero-copy and does not allocate. [`Message::parse`] checks the frame of a
//! message and indexes its objects once; everything else is a small view that looks at the
//! bytes when it is asked:
//!
//! ```
//! use lpm_rsvp::{Message, ObjectIndex};
//!
//! # fn show(datagram: &[u8]) -> Result<(), lpm_rsvp::ParseError> {
//! let mut index = ObjectIndex::new(); // reusable, for one message at a time
//! let message = Message::parse(datagram, &mut index)?;
//! for flow in message.flow_descriptors() {
//!     for sender in flow.filters() {
//!         println!("{:?}: {sender} asks for {:?}", message.session(), flow.tspec());
//!     }
//! }
//! for element in message.policy_elements() {
//!     println!("{:?}", element?);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! What RSVP itself must understand is checked by `parse`; what is opaque to it (IntServ
//! data, policy data) is checked by the views, which return the fault. No input makes this
//! crate panic, and its cost is linear in the length of the message.
//!
//! # Features
//! - `std` (default): implies `alloc`.
//! - `alloc`: the builders, and messages of more than 32 objects.
//! - `integrity`: signing and verifying messages, with the RustCrypto crates.
//! - `serde`: `Serialize` for the values read from a message, and for [`Text`] as a string;
//!   nothing is deserialized, since values are legal only when they are parsed or constructed.
//!
//! Without `std` the crate is `no_std`.

#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

#[cfg(feature = "alloc")]
pub mod build;
pub mod class;
#[cfg(feature = "integrity")]
pub mod integrity;
pub mod intserv;
pub mod policy;

mod checksum;
mod display;
mod endpoint;
mod error;
mod error_reason;
mod flow;
mod grammar;
mod header;
mod index;
mod message;
mod message_type;
mod object;
mod objects;
mod parse;
mod router_alert;
mod tree;
mod wire;

pub use checksum::checksum;
pub use error::{ErrorKind, ObjectId, ParseError};
pub use error_reason::{AdmissionError, ErrorReason, ErrorValue, PolicyError, TrafficControlError};
pub use flow::{Filters, FlowDescriptor, FlowDescriptors};
pub use grammar::Strictness;
pub use header::CommonHeader;
pub use index::ObjectIndex;
pub use intserv::{AdSpec, FlowSpec, Rspec, ServiceRequest, Tspec};
pub use message::{Bundled, Message};
pub use message_type::MessageType;
pub use object::{Object, ObjectEntry, ObjectWalk, Objects, RawObject};
pub use objects::{
    Challenge, DClass, DsbmTimerIntervals, ErrorSpec, FilterSpec, Integrity, L2Address, LspTunnel,
    MessageId, MessageIdAck, MessageIdEntry, MessageIdList, NonResvSendLimit, ProtocolName,
    ResvConfirm, ResvStyle, RsvpHop, SbmAddress, SbmPriority, Scope, ScopeAddresses, Session,
    SessionPort, SourceSelector, TimeValues, TrafficClass, TunnelEnd,
};
pub use policy::{
    Attribute, Credential, Identity, Locator, PolicyData, PolicyDataObjects, PolicyElement,
    PolicyElements, PreemptionPriority, Text,
};
pub use tree::Tree;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
