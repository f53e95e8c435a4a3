//! The PCM as the SBM's policy.

use std::time::{Duration, Instant};

use lpm_api::Decision;
use lpm_host::error::PcmError;
use lpm_host::{CommittedResv, Pcm, ReceivedMessage, StateGone, Verdict};
use lpm_rsvp::build::flow_spec_object;

use crate::policy::{Committed, Policy};

/// A PCM, and how long its decisions take.
pub struct TimedPcm<'a> {
    pcm: &'a Pcm,
    is_timed: bool,
    may_grant: Option<&'a dyn Fn() -> bool>,
}

/// A verdict, and how long it took.
#[derive(Debug)]
pub struct TimedVerdict {
    /// The verdict.
    pub verdict: Verdict,
    /// How long it took; nothing where that is not measured.
    pub elapsed: Duration,
}

impl<'a> TimedPcm<'a> {
    /// A PCM whose decisions are timed.
    #[must_use]
    pub fn new(pcm: &'a Pcm) -> Self {
        TimedPcm {
            pcm,
            is_timed: true,
            may_grant: None,
        }
    }

    /// Grants only while this says so.
    #[must_use]
    pub fn granting_while(self, may_grant: &'a dyn Fn() -> bool) -> Self {
        TimedPcm {
            may_grant: Some(may_grant),
            ..self
        }
    }

    /// Looks at no clock: that takes as long as a good part of a decision.
    #[must_use]
    pub fn untimed(self) -> Self {
        TimedPcm {
            is_timed: false,
            ..self
        }
    }
}

impl Policy for TimedPcm<'_> {
    type Verdict = TimedVerdict;

    #[inline]
    fn admit(&self, received: &ReceivedMessage<'_>) -> Result<TimedVerdict, PcmError> {
        let started = self.is_timed.then(Instant::now);
        let verdict = self.pcm.admit(received)?;
        Ok(TimedVerdict {
            verdict,
            elapsed: started.map_or(Duration::ZERO, |started| started.elapsed()),
        })
    }

    #[inline]
    fn decision(TimedVerdict { verdict, .. }: &TimedVerdict, flow: u16) -> Decision {
        let verdict = verdict.flows().get(usize::from(flow));
        verdict.map_or(Decision::DontCare, |verdict| verdict.decision)
    }

    fn may_grant(&self) -> bool {
        self.may_grant.is_none_or(|may_grant| may_grant())
    }

    fn delete_state(&self, gone: &StateGone<'_>) -> Result<(), PcmError> {
        self.pcm.delete_state(gone)
    }

    fn commit_resv(&self, committed: &Committed<'_>) -> Result<(), PcmError> {
        let mut flows = committed.message.flow_descriptors();
        let own = flows
            .next()
            .and_then(|flow| flow.flow_spec()?.service().ok());
        let merged = match own {
            Some(own) if own == committed.merged => None,
            _ => Some(flow_spec_object(&committed.merged)),
        };
        self.pcm.commit_resv(&CommittedResv {
            decision: committed.decision,
            message: committed.message,
            flow: 0,
            interface: committed.interface,
            merged: merged.as_deref(),
        })
    }
}
