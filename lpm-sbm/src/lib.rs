//! What stands in for the Subnet Bandwidth Manager (SBM): the flow state of RSVP, its timers, and
//! the bandwidth of interfaces. No I/O, and no clock of its own: time comes with the messages.
//!
//! [`Sbm`] looks on: it decides on messages that others exchange. [`Node`] takes part: it is the
//! RSVP node that the messages pass, with the same state, timers and bandwidth behind it.
//!
//! The road of a message: [`Sbm::receive`] removes what ran out before it came, has [`Policy`]
//! decide, and then does what the SBM would do. Path and Resv state is kept, refreshed and torn
//! down (`flow_table`, `lifetime`), and what policy accepts in a Resv takes bandwidth
//! (`reservations`, `bandwidth`). Policy hears of each of these. A message that comes again byte
//! for byte, as most do, need not be read: [`Sbm::receive_again`] finds its state by a [`Receipt`].
//!
//! [`TimedPcm`] is a `lpm_host::Pcm` as such a policy:
//!
//! ```
//! use lpm_host::error::PcmError;
//! use lpm_host::{Pcm, ReceivedMessage};
//! use lpm_sbm::{Sbm, SbmConfig, TimedPcm};
//!
//! fn decide(pcm: &Pcm, messages: &[ReceivedMessage<'_>]) -> Result<(), PcmError> {
//!     let mut sbm = Sbm::new(TimedPcm::new(pcm), &SbmConfig::default());
//!     for message in messages {
//!         let answer = sbm.receive(message)?;
//!         println!("{}: {} flows kept", answer.verdict.verdict.outcome(), sbm.flow_count());
//!     }
//!     Ok(())
//! }
//! ```
#![forbid(unsafe_code)]

mod answer;
mod bandwidth;
mod config;
mod excerpt;
mod flow_table;
mod lifetime;
mod message_ids;
mod node;
mod path_state;
mod pcm;
mod policy;
mod ranks;
mod receipt;
mod refusal;
mod reservations;
mod sbm;
mod state;

pub use answer::{Again, Answer, FlowAnswer, RemovalReason, Removed, Resources};
pub use bandwidth::{InterfaceName, PoolConfig, bits_per_second};
pub use config::SbmConfig;
pub use message_ids::{StateId, SummaryRefresh};
pub use node::Node;
pub use node::output::{
    About, Command, Datagram, Decided, DropReason, News, NodeConfig, NodeInterface, Notice, Output,
    Packet, Question, Reserved, Route, Routes, Ruling,
};
pub use node::report::{ReservationReport, SenderReport, SessionReport};
pub use path_state::PathState;
pub use pcm::{TimedPcm, TimedVerdict};
pub use policy::{Committed, Policy};
pub use receipt::Receipt;
pub use refusal::Refusal;
pub use sbm::Sbm;
