//! Integrated Services: traffic and service descriptions inside SENDER_TSPEC, FLOWSPEC and
//! ADSPEC (RFC 2210, with values of RFC 2211, 2212, 2215 and 2997).
//!
//! RSVP itself does not look into these objects, so a fault in them does not make the
//! message malformed: the views here return it when they are asked.

mod adspec;
mod block;
mod flow_spec;
mod merge;
pub mod number;
mod tspec;

pub use adspec::{AdSpec, GeneralParameters, GuaranteedParameters};
pub use block::{Parameter, Parameters, ServiceBlock, ServiceBlocks};
pub use flow_spec::{FlowSpec, Rspec, ServiceRequest};
pub use merge::HopParameters;
pub use tspec::Tspec;
pub(crate) use tspec::token_bucket;
