//! `pcm run`: an RSVP node in a network. Linux only: raw sockets, netlink and traffic control are
//! the kernel's.
//!
//! One loop ([`service`]) has the sockets, the timers and the signals, and an `lpm_sbm::Node` that
//! knows what is to be done. LPMs are asked by the desk ([`desk`]) and the kernel reserves on a
//! thread of its own ([`kernel`]), so that neither holds up the loop.

pub mod audit;
pub mod charge;
mod classifier;
pub mod control;
pub mod desk;
pub mod exposition;
mod filters;
pub mod host;
pub mod http;
pub mod kernel;
pub mod lacking;
pub mod metrics;
pub mod netlink;
mod numbers;
pub mod record;
pub mod reload;
pub mod service;
pub mod signer;
pub mod socket;
pub mod socket6;
pub mod socket_udp;
pub mod sockets;
mod traffic;
pub mod troubles;
pub mod watchdog;
