//! The objects of RFC 2205 that have a fixed meaning, one file each.

mod error_spec;
mod filter_spec;
mod hop;
mod resv_confirm;
mod scope;
mod session;
mod style;
mod time_values;

pub use error_spec::ErrorSpec;
pub use filter_spec::{FilterSpec, SourceSelector};
pub use hop::RsvpHop;
pub use resv_confirm::ResvConfirm;
pub use scope::{Scope, ScopeAddresses};
pub use session::{ProtocolName, Session, SessionPort};
pub use style::ResvStyle;
pub use time_values::TimeValues;
