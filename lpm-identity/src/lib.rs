//! The identity LPM: decides by who asks, where and when, and by how much they have already.
//!
//! It goes on from [`lpm_sample`], which says whose the identities of a message are. A request
//! takes this road, one module a step:
//!
//! 1. `request` puts together what a message asks for, flow by flow: the
//!    [`Subject`](subject::Subject), a listed user or application, somebody unlisted, or nobody,
//!    and the traffic. `recent` remembers that for the refreshes of the message.
//! 2. [`policy`] has the subject's [`Rule`](policy::Rule) here and now: a priority or a rejection
//!    and six limits, each of the subject's own or inherited. The format of the policy file is
//!    described there; [`duration`] and [`lpm_api::Rate`] read its values.
//! 3. [`FlowKey`](lpm_api::FlowKey) tells which flow the request is about, so that a refresh is not
//!    taken for a new one.
//! 4. [`ledger`] counts the subject's flows and their rates.
//! 5. [`consider`] puts these together to the decision: admitted with the rule's priority, or with
//!    the lower one that the message asks for (PREEMPTION_PRI), or rejected with the reason that
//!    the rule gives, or with `8 · metric + scope` for a limit (lpmapi `POLICY_ERRV_*`; the scope
//!    is that of the section in which the limit was set). The limits on a flow alone are looked at
//!    first (rate, peak rate, duration), then those on all flows (their number, the sums).
//!
//! [`explain`] tells in words how that came about.
//!
//! [`IdentityLpm`] is the thin layer on top that the PCM calls. It decides on Path (the sender's
//! TSpec) and Resv messages (the FLOWSPEC of each flow), and lets the errors that travel back,
//! PathErr and ResvErr, pass. Path and Resv messages that go out get the flow's priority, errors of
//! policy a reason. A flow counts from its admission on until
//! [`delete_state`](lpm_api::Lpm::delete_state) says that it is gone, which the PCM also says of
//! every flow that any LPM rejects.
//!
//! Users whom the policy does not list may be looked up in a [`directory`]; the request
//! [waits](waiting) for that without holding anybody up.
//!
//! Limits may hold for several PCMs together, which count on a Redis server ([`usage`]).
//!
//! # Configuration
//!
//! The LPM's configuration is the policy itself, or one key that names a file with it:
//!
//! ```toml
//! policy_file = "office.toml"
//! reread_every = "2 s"        # how often it is looked at; 0 for never, this is the default
//! ```
//!
//! A file that has changed is read again and put in force as a whole; one with a fault leaves the
//! policy in force, and a warning says where the fault is. At the start, a policy with a fault
//! keeps the LPM from being initialized; the message names file, line and key and says what would
//! be accepted. The sections `[directory]` and `[shared_usage]` may stand beside either.

#![forbid(unsafe_code)]

pub mod config;
pub mod consider;
mod desk;
pub mod directory;
pub mod duration;
pub mod explain;
pub mod ledger;
mod lpm;
mod no_thread;
mod objects;
pub mod policy;
pub mod profile;
mod reason;
mod recent;
mod request;
mod reread;
pub mod secret;
pub mod settings;
mod slots;
mod statistics;
pub mod subject;
mod tls;
pub mod usage;
pub mod waiting;
mod whole;

pub use lpm::IdentityLpm;
pub use no_thread::NoThread;
