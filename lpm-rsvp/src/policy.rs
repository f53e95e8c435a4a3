//! Policy data: who asks, and with which priority (RFC 2750, 3181, 3182).
//!
//! RSVP itself does not look into POLICY_DATA, so a fault in it does not make the message
//! malformed: the views here return it when they are asked.

mod data;
mod element;
mod identity;
mod merge;
mod preemption;
mod raw_element;
mod text;

pub use data::{PolicyData, PolicyDataObjects, PolicyElements};
pub use element::{Elements, PolicyElement, p_type};
pub use identity::{
    Attribute, Attributes, Credential, Identity, Locator, PolicyErrorObject, PolicyErrorValue,
};
pub use merge::{MergedPriority, MergingFlow};
pub use preemption::{MergeStrategy, PreemptionError, PreemptionPriority};
pub use raw_element::{RawElement, RawElements};
pub use text::{Chars, Text, TextEncoding};
