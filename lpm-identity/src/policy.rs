//! The policy: whose section says what.
//!
//! # The policy file
//!
//! A policy is a TOML text. Four kinds of sections set values for those who ask:
//!
//! | section | for |
//! |---|---|
//! | `[[user]]` | somebody named by an AUTH_USER element; `dn`, `id` or both say who |
//! | `[[application]]` | a program named by an AUTH_APP element; `dn`, `id` or both say which |
//! | `[[group]]` | with a `name`; for the users and applications that have `group = "name"`, or `group = ["one", "other"]` |
//! | `[default]` | everybody who says who they are; alone for those who are not listed |
//! | `[unauthenticated]` | nobody in particular, or somebody whose credentials are not accepted |
//!
//! | key | value |
//! |---|---|
//! | `priority` | 1 to 65280: what an admitted flow gets, or less if its PREEMPTION_PRI asks for less |
//! | `reject` | instead of a priority: `unknown_user`, `no_privileges`, `expired_user_token` or `no_resources` |
//! | `max_flows` | how many flows the subject may send at a time, and how many it may receive |
//! | `max_flow_duration` | how long a flow may last, seconds or with a unit ([`FlowDuration`](crate::duration::FlowDuration)) |
//! | `max_flow_rate` | the token rate of each flow, bytes/s or with a unit ([`Rate`](lpm_api::Rate)) |
//! | `max_peak_rate` | the peak rate of each flow |
//! | `max_sum_flow_rate` | the token rates together of the flows it sends, and of those it receives |
//! | `max_sum_peak_rate` | their peak rates together |
//! | `when` | an array of tables with conditions and values of their own, see below |
//!
//! Every limit may be `"unlimited"`, which lifts an inherited one. Any key that is not listed here
//! is an error.
//!
//! # Where and when
//!
//! `[[subnet]]` gives a `name` to `prefixes`, or to `interfaces` by their SNMP ifIndex. A request
//! is on the subnet whose list has the receiving interface, or else that with the longest prefix
//! of the interface's address. Any section may have tables with conditions:
//!
//! ```toml
//! [[user.when]]
//! subnet = "lab"          # a name, or a prefix such as "10.1.0.0/16"
//! days = "mon-fri"        # or "sat, sun"
//! hours = "08:00-18:00"   # or, over midnight, "22:00-06:00"
//! max_flows = 2
//! ```
//!
//! All conditions of a table must hold, one at least must be there. The clock is that of
//! `time_zone = "Europe/Zurich"`, without it that of the system; the time at which a message was
//! received counts.
//!
//! # Hierarchy
//!
//! Each value comes from the first section that sets it:
//!
//! 1. on the subnet of the request: the user (or application), its groups in their order,
//!    `[default]`;
//! 2. everywhere: the user (or application), its groups, `[default]`.
//!
//! Within a section its `when` tables come first, in their order. A limit on the number of flows or
//! on a sum that was set for a subnet counts the subject's flows on that subnet, any other counts
//! all of them. A limit that is not set is none. Everybody must have a priority or a rejection, of
//! their own or inherited, that holds everywhere and always. `[unauthenticated]` inherits nothing.
//! Where `[default]` is missing, the unlisted are rejected as
//! [`LpmPolicyError::UnknownUser`](lpm_api::LpmPolicyError::UnknownUser); where `[unauthenticated]`
//! is missing, the unauthenticated as
//! [`LpmPolicyError::NoPrivileges`](lpm_api::LpmPolicyError::NoPrivileges).
//!
//! # Who is believed
//!
//! ```toml
//! [authentication]
//! accept = ["dn", "ascii_id", "unicode_id"]     # this is the default
//! accept_with_integrity = ["kerberos_ticket"]   # none by default
//! ```
//!
//! says which credential types (RFC 3182 section 3.3.2) count as authenticated, and which only in
//! a message whose INTEGRITY the PCM verified. `dn` is a locator without a credential; the others
//! are `x509_certificate` and `pgp_certificate`. This LPM takes what is accepted at its word: it
//! verifies no ticket and no certificate.
//!
//! DNs and IDs are compared as [`Name`](lpm_api::Name) says. An application's `dn` also covers
//! the DNs that begin with it: `APP=Phone` is every version and every part of it (RFC 2872 section
//! 2 puts the version and the sub-application behind the name).

mod authentication;
mod limits;
mod listed;
mod load;
mod parse;
mod rule;
mod schedule;
mod section;
mod sections;
mod subnet;
#[cfg(test)]
mod tests;
mod zone;

pub use authentication::{Authentication, CredentialTypes};
pub use limits::{Limits, Rule};
pub(crate) use limits::{is_of_subnet, scope_of};
pub use listed::Listed;
pub use load::LoadError;
pub(crate) use load::read_text;
pub(crate) use parse::{File, POLICY, Table, excerpt, policy_in};
pub use parse::{PolicyError, PolicyProblem};
pub(crate) use rule::Layer;
pub use rule::{Here, Origin};
pub use schedule::{Schedule, ScheduleError, WeekTime};
pub use section::Section;
pub use sections::Policy;
pub use subnet::Subnet;
pub(crate) use zone::forget_list;
