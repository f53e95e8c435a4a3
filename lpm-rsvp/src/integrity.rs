//! Signing and verifying messages: INTEGRITY with HMAC (RFC 2747, RFC 3097).
//!
//! A receiver finds the [`Key`] by the key identifier and the sender's address, then calls
//! [`verify`], then asks the sender's [`ReplayWindow`] about the sequence number. A message
//! that fails any of this is dropped without an answer.
//!
//! A POLICY_DATA object can be signed by itself, see [`sign_policy_data`].

mod message;
mod policy_data;

pub use message::{
    Algorithm, IntegrityError, Key, ReplayWindow, challenge, respond, sign, verify, verify_response,
};
pub use policy_data::{PolicyDataError, sign_policy_data, verify_policy_data};
