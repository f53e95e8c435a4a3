//! The PCM as the SBM's policy.

use std::time::{Duration, Instant};

use lpm_api::Decision;
use lpm_host::{CommittedResv, Pcm, PcmError, ReceivedMessage, StateGone, Verdict};
use lpm_rsvp::build::{Flows, Resv};
use lpm_rsvp::{Message, ObjectIndex, ServiceRequest, TimeValues, class};

use super::policy::{Committed, Policy};

/// A PCM, and how long its decisions take.
pub struct TimedPcm<'a>(pub &'a Pcm);

/// A verdict, and how long it took.
#[derive(Debug)]
pub struct TimedVerdict {
    /// The verdict.
    pub verdict: Verdict,
    /// How long it took.
    pub elapsed: Duration,
}

impl Policy for TimedPcm<'_> {
    type Verdict = TimedVerdict;

    fn admit(&self, received: &ReceivedMessage<'_>) -> Result<TimedVerdict, PcmError> {
        let started = Instant::now();
        let verdict = self.0.admit(received)?;
        Ok(TimedVerdict {
            verdict,
            elapsed: started.elapsed(),
        })
    }

    fn decision(TimedVerdict { verdict, .. }: &TimedVerdict, flow: u16) -> Decision {
        let verdict = verdict.flows().get(usize::from(flow));
        verdict.map_or(Decision::DontCare, |verdict| verdict.decision)
    }

    fn delete_state(&self, gone: &StateGone<'_>) -> Result<(), PcmError> {
        self.0.delete_state(gone)
    }

    fn commit_resv(&self, committed: &Committed<'_>) -> Result<(), PcmError> {
        let mut flows = committed.message.flow_descriptors();
        let own = flows
            .nth(committed.flow.into())
            .and_then(|flow| flow.flow_spec()?.service().ok());
        let merged = match own {
            Some(own) if own == committed.merged => None,
            _ => flow_spec(&committed.message, committed.merged),
        };
        self.0.commit_resv(&CommittedResv {
            decision: committed.decision,
            message: committed.message,
            flow: committed.flow,
            interface: committed.interface,
            merged: merged.as_deref(),
        })
    }
}

/// A FLOWSPEC object for this request, its header included, in network byte order: that of a Resv for
/// the session of another one.
fn flow_spec(resv: &Message<'_>, request: ServiceRequest) -> Option<Vec<u8>> {
    let flows = Flows::WildcardFilter(request);
    let resv = Resv::new(resv.session()?, resv.hop()?, TimeValues::DEFAULT, flows);
    let bytes = resv.build().ok()?;
    let mut index = ObjectIndex::new();
    let message = Message::parse(&bytes, &mut index).ok()?;
    let start = usize::from(message.find(class::FLOWSPEC)?.offset);
    // The flow descriptor list is the last in a message, and this is all of it.
    Some(bytes.get(start..)?.to_vec())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use lpm_rsvp::{Rspec, RsvpHop, Session, Tspec};

    use super::*;

    #[test]
    fn a_request_becomes_a_flow_spec_that_says_the_same() {
        let tspec = Tspec {
            rate: 1_000.0,
            bucket: 500.0,
            peak_rate: f32::INFINITY,
            min_policed: 0,
            max_packet: u32::MAX >> 1,
        };
        let rspec = Rspec {
            rate: 2_000.0,
            slack: 7,
        };
        let session = Session::new(Ipv4Addr::new(10, 0, 0, 1), 17, 5004).unwrap();
        let hop = RsvpHop {
            address: Ipv4Addr::new(10, 0, 0, 2).into(),
            logical_interface: 0,
        };
        for request in [
            ServiceRequest::ControlledLoad(tspec),
            ServiceRequest::Guaranteed(tspec, rspec),
            ServiceRequest::Null { max_packet: 1500 },
        ] {
            let flows = Flows::WildcardFilter(ServiceRequest::Null { max_packet: 9 });
            let resv = Resv::new(session, hop, TimeValues::DEFAULT, flows)
                .build()
                .unwrap();
            let mut index = ObjectIndex::new();
            let resv = Message::parse(&resv, &mut index).unwrap();
            let object = flow_spec(&resv, request).unwrap();
            // In a message of its own.
            let mut message = Resv::new(
                session,
                hop,
                TimeValues::DEFAULT,
                Flows::WildcardFilter(request),
            )
            .build()
            .unwrap();
            assert!(message.ends_with(&object));
            message[2..4].fill(0);
            let message = Message::parse(&message, &mut index).unwrap();
            let flow = message.flow_descriptors().next().unwrap();
            assert_eq!(flow.flow_spec().unwrap().service().unwrap(), request);
        }
    }
}
