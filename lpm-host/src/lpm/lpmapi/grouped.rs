//! Deferred requests about senders that share a reservation (SE): an LPM against `lpmapi.h` gives a
//! decision on each, where the PCM has one flow.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use lpm_abi::AbiDecision;
use lpm_api::Decision;

use crate::lock::lock;

/// How many decisions are to be given on each flow, by request.
#[derive(Default)]
pub(super) struct Grouped(Mutex<BTreeMap<u64, Expected>>);

struct Expected {
    groups: Vec<usize>,
    /// Nobody answers it after that.
    until: Instant,
}

impl Grouped {
    /// Notes a request, before the LPM is told of it, if it is such a one.
    pub(super) fn note(&self, request: u64, groups: &[usize], limit: Duration) {
        if groups.iter().all(|count| *count == 1) {
            return;
        }
        let now = Instant::now();
        // Its answer may be looked at somewhat later than it came.
        let until = now + limit.saturating_mul(2).min(Duration::from_secs(86_400));
        let groups = groups.to_vec();
        let mut requests = lock(&self.0);
        requests.retain(|_, expected| expected.until > now);
        requests.insert(request, Expected { groups, until });
    }

    /// Forgets a request, and says how many decisions are to be given on each flow; `None` where
    /// that is one.
    pub(super) fn take(&self, request: u64) -> Option<Vec<usize>> {
        Some(lock(&self.0).remove(&request)?.groups)
    }
}

/// What the decisions on the senders of each flow come to. None may be missing.
pub(super) fn per_flow(decisions: &[AbiDecision], groups: &[usize]) -> Vec<AbiDecision> {
    let mut rest = decisions;
    let flow = |count: &usize| {
        let (senders, others) = rest.split_at_checked(*count)?;
        rest = others;
        senders
            .iter()
            .copied()
            .max_by_key(|decision| weight(*decision))
    };
    groups.iter().filter_map(flow).collect()
}

/// As decisions of several LPMs combine: whoever rejects has his way, and of those who accept the
/// highest priority. What is no decision outweighs these, so that it is not overlooked.
fn weight(decision: AbiDecision) -> (u8, u32) {
    let kind = match (Decision::from_abi(decision), decision.lpv) {
        (Some(Decision::Reject(_)), _) => 5,
        (None, Decision::LPV_REJECT) => 4,
        (Some(Decision::DropMessage), _) => 3,
        (None, _) => 2,
        (Some(Decision::Accept(_)), _) => 1,
        (Some(Decision::DontCare), _) => 0,
    };
    (kind, decision.lpv)
}

#[cfg(test)]
mod tests {
    use lpm_api::{LpmPolicyError, Priority};

    use super::*;

    #[test]
    fn a_reservation_that_is_shared_is_as_good_as_the_worst_of_its_senders() {
        let accept =
            |priority| AbiDecision::from(Decision::accept(Priority::new(priority).unwrap()));
        let reject = Decision::reject(LpmPolicyError::NoPrivileges).into();
        let (dont_care, dropped) = (Decision::DontCare.into(), Decision::DropMessage.into());
        let none = AbiDecision::UNANSWERED;
        for (senders, flow) in [
            (vec![accept(1), accept(7), accept(3)], accept(7)),
            (vec![accept(1), dont_care], accept(1)),
            (vec![dont_care, dont_care], dont_care),
            (vec![accept(1), none], none),
            (vec![none, dropped, accept(1)], dropped),
            (vec![accept(1), reject, dropped], reject),
        ] {
            let found = per_flow(&senders, &[senders.len()]);
            assert_eq!(found, [flow], "{senders:?}");
        }
        let two = [accept(1), reject, accept(2)];
        assert_eq!(per_flow(&two, &[1, 2]), [accept(1), reject]);
    }

    #[test]
    fn requests_that_nobody_answers_are_forgotten() {
        let grouped = Grouped::default();
        grouped.note(1, &[1, 1], Duration::from_secs(60));
        grouped.note(2, &[2], Duration::ZERO);
        grouped.note(3, &[3], Duration::from_secs(60));
        assert_eq!(grouped.take(1), None);
        assert_eq!(grouped.take(2), None);
        assert_eq!(grouped.take(3), Some(vec![3]));
        assert_eq!(grouped.take(3), None);
    }
}
