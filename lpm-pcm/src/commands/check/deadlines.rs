//! Calls on threads of the LPM's own, within their limits, and requests that are open when it is
//! stopped.

use std::time::Duration;

use lpm_host::testing::messages;
use lpm_host::{CommitDecision, DeleteReason};

use super::checked::{CheckEnded, CheckedLpm, received};

/// How many requests are open at a stop.
const OPEN: u16 = 50;

pub(super) fn run(checked: &CheckedLpm) -> Result<(), CheckEnded> {
    let checked = checked.on_workers();
    let (path, resv) = (messages::path().build(), messages::resv().build());
    let pcm = checked.pcm()?;
    checked.start(&pcm)?;
    checked.admit(&pcm, &path)?;
    checked.rsvp_objects(&pcm, &path)?;
    checked.commit_resv(&pcm, &resv, CommitDecision::ResourcesAllocated)?;
    checked.delete_state(&pcm, &path, DeleteReason::StateTimeout)?;
    checked.statistics(&pcm)?;
    for pause in [Duration::ZERO, Duration::from_millis(5)] {
        checked.step("admit, stopped before the answer");
        let open: Vec<_> = (1..=OPEN)
            .map(|port| {
                let message = messages::path().flow("198.51.100.7", port).build();
                pcm.admit_later(&received(&message))
            })
            .collect();
        std::thread::sleep(pause);
        checked.demote(&pcm)?;
        // Each has its verdict: that of the LPM, or a rejection.
        drop(open);
        checked.start(&pcm)?;
    }
    checked.demote(&pcm)
}
