//! The sample LPM: decides by who asks, with a policy from a file. Meant to be read, in this order:
//!
//! 1. [`SampleLpm`] (`lpm.rs`) is what the PCM calls: it reads its configuration, decides on each
//!    flow of a message, and hears when a flow has ended.
//! 2. [`identity`] reads the AUTH_USER and AUTH_APP elements of a message and finds the
//!    [`Subject`](identity::Subject): a listed user or application, somebody unlisted, or nobody.
//!    Names are compared in their canonical form ([`Name`](lpm_api::Name)).
//! 3. [`policy`] has the subject's [`Rule`](policy::Rule): a priority or a rejection, how many
//!    flows, of which rate. The format of the policy file is described there.
//! 4. `ledger.rs` counts the subject's flows.
//! 5. [`reason`] says in a sentence why a flow is decided as it is; `places.rs` knows the lines of
//!    the policy.
//!
//! It decides on Path (the sender's TSpec) and Resv messages (the FLOWSPEC of each flow), and lets
//! the errors that travel back, PathErr and ResvErr, pass: with no opinion of any LPM, the PCM
//! would refuse them.
//!
//! `lpm-identity` goes on from here: sums of rates and durations, subnets and hours, files that are
//! read again, users from an LDAP directory, limits for several PCMs together. It takes from this
//! crate what it says about identities.
//!
//! # Configuration
//!
//! The policy itself, or one key that names a file with it:
//!
//! ```toml
//! policy_file = "office.toml"
//! ```
//!
//! A policy with a fault keeps the LPM from being initialized; the message names file, line and key
//! and says what would be accepted. [`DEMO_POLICY`] is a policy to begin with.

#![forbid(unsafe_code)]

pub mod identity;
mod ledger;
pub mod listed;
mod lpm;
mod places;
pub mod policy;
mod read;
pub mod reason;
pub mod rule;
mod section;

pub use lpm::SampleLpm;
pub use read::PolicyError;

/// The policy of a small office: a handful of users, a group, applications such as a telephone
/// system, default and unauthenticated rules. Its comments explain every rule.
pub const DEMO_POLICY: &str = include_str!("../demo-policy.toml");
