//! Messages of a small world, and a policy that says what it is told to.

use std::cell::{Cell, RefCell};
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use lpm_api::{CommitDecision, Decision, DeleteReason, FlowKey, Interface};
use lpm_host::error::PcmError;
use lpm_host::{ReceivedMessage, StateGone};
use lpm_rsvp::build::{Flows, Path, PathTear, Resv, ResvTear, Senders};
use lpm_rsvp::{FilterSpec, Message, Rspec, RsvpHop, ServiceRequest, Session, TimeValues, Tspec};
use lpm_sbm::Committed;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Path,
    Resv,
    PathTear,
    ResvTear,
}

/// What a message asks for, in small numbers.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub kind: Kind,
    pub session: u8,
    /// A bit for each of three senders; not 0. A Path is of the lowest.
    pub senders: u8,
    pub next_hop: u8,
    /// 0 WF, 1 FF, 2 SE.
    pub style: u8,
    /// For each flow: 0 guaranteed, 1 null, else controlled load; and a rate in kB/s.
    pub services: [(u8, u16); 3],
    pub refresh_ms: u32,
}

impl Asked {
    pub fn message(&self) -> Vec<u8> {
        let session = session(self.session);
        let hop = RsvpHop {
            address: Ipv4Addr::new(10, 0, 9, self.next_hop).into(),
            logical_interface: 0,
        };
        let time_values = TimeValues {
            refresh_ms: self.refresh_ms,
        };
        let senders: Vec<_> = (0..3)
            .filter(|bit| self.senders & (1 << bit) != 0)
            .map(sender)
            .collect();
        let services = self.services.map(|(kind, rate)| service(kind, rate));
        match self.kind {
            Kind::Path => Path::new(session, hop, time_values, senders[0], tspec(1.0)).build(),
            Kind::PathTear => PathTear::new(session, hop, senders[0]).build(),
            Kind::Resv => {
                let flows = match self.style {
                    0 => Flows::WildcardFilter(services[0]),
                    1 => Flows::FixedFilter(services.into_iter().zip(senders).collect()),
                    _ => Flows::SharedExplicit(services[0], senders),
                };
                Resv::new(session, hop, time_values, flows).build()
            }
            Kind::ResvTear => {
                let senders = match self.style {
                    0 => Senders::WildcardFilter,
                    1 => Senders::FixedFilter(senders),
                    _ => Senders::SharedExplicit(senders),
                };
                ResvTear::new(session, hop, senders).build()
            }
        }
        .unwrap()
    }
}

pub fn session(number: u8) -> Session {
    Session::new(Ipv4Addr::new(10, 0, 1, number), 17, 5004).unwrap()
}

pub fn sender(number: u8) -> FilterSpec {
    FilterSpec::new(Ipv4Addr::new(10, 0, 0, number), 4000)
}

pub fn tspec(rate: f32) -> Tspec {
    Tspec {
        rate,
        bucket: 1_000.0,
        peak_rate: f32::INFINITY,
        min_policed: 64,
        max_packet: 1500,
    }
}

pub fn service(kind: u8, kilobytes: u16) -> ServiceRequest {
    let rate = f32::from(kilobytes) * 1_000.0;
    match kind {
        0 => ServiceRequest::Guaranteed(tspec(rate / 2.0), Rspec { rate, slack: 0 }),
        1 => ServiceRequest::Null { max_packet: 1500 },
        _ => ServiceRequest::ControlledLoad(tspec(rate)),
    }
}

pub fn interface(index: u32) -> Interface {
    Interface {
        index,
        address: Ipv4Addr::UNSPECIFIED.into(),
    }
}

/// `time` in milliseconds since the epoch.
pub fn received(message: Message<'_>, index: u32, time: i64) -> ReceivedMessage<'_> {
    ReceivedMessage {
        message,
        interface: interface(index),
        received: SystemTime::UNIX_EPOCH + Duration::from_millis(time.try_into().unwrap()),
        integrity_verified: false,
    }
}

/// What a policy was told.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Deleted {
        flow: FlowKey,
        senders: Vec<FilterSpec>,
        interface: u32,
        reason: DeleteReason,
    },
    Committed {
        flow: FlowKey,
        interface: u32,
        merged: ServiceRequest,
        decision: CommitDecision,
    },
}

/// Decides as it is set to, and notes what it is told.
pub struct Policy {
    pub decisions: Cell<[Decision; 3]>,
    pub told: RefCell<Vec<Told>>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            decisions: Cell::new([Decision::DontCare; 3]),
            told: RefCell::default(),
        }
    }
}

impl lpm_sbm::Policy for Policy {
    type Verdict = [Decision; 3];

    fn admit(&self, _: &ReceivedMessage<'_>) -> Result<[Decision; 3], PcmError> {
        Ok(self.decisions.get())
    }

    fn decision(verdict: &[Decision; 3], flow: u16) -> Decision {
        verdict[usize::from(flow)]
    }

    fn delete_state(&self, gone: &StateGone<'_>) -> Result<(), PcmError> {
        let mut flows = gone.message.flow_descriptors();
        let descriptor = flows.nth(gone.flow.unwrap().into()).unwrap();
        let mut senders: Vec<_> = descriptor.filters().collect();
        senders.sort_unstable();
        self.told.borrow_mut().push(Told::Deleted {
            flow: FlowKey::of(&gone.message, &descriptor).unwrap(),
            senders,
            interface: gone.interface.unwrap().index,
            reason: gone.reason,
        });
        Ok(())
    }

    fn commit_resv(&self, committed: &Committed<'_>) -> Result<(), PcmError> {
        let mut flows = committed.message.flow_descriptors();
        let descriptor = flows.next().unwrap();
        assert!(flows.next().is_none());
        self.told.borrow_mut().push(Told::Committed {
            flow: FlowKey::of(&committed.message, &descriptor).unwrap(),
            interface: committed.interface.index,
            merged: committed.merged,
            decision: committed.decision,
        });
        Ok(())
    }
}
