//! The objects that have a fixed meaning, one file for each kind.

mod dclass;
mod error_spec;
mod filter_spec;
mod hop;
mod integrity;
mod lsp_tunnel;
mod message_id;
mod resv_confirm;
mod sbm;
mod scope;
mod session;
mod style;
mod time_values;

pub use dclass::DClass;
pub use error_spec::ErrorSpec;
pub use filter_spec::{FilterSpec, SourceSelector};
pub use hop::RsvpHop;
pub use integrity::{Challenge, Integrity};
pub use lsp_tunnel::{LspTunnel, TunnelEnd};
pub use message_id::{MessageId, MessageIdAck, MessageIdEntry, MessageIdList};
pub use resv_confirm::ResvConfirm;
pub use sbm::{
    DsbmTimerIntervals, L2Address, NonResvSendLimit, SbmAddress, SbmPriority, TrafficClass,
};
pub use scope::{Scope, ScopeAddresses};
pub use session::{ProtocolName, Session, SessionPort};
pub use style::ResvStyle;
pub use time_values::TimeValues;
