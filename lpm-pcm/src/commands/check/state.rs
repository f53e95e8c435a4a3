//! State that the LPM never had, and state that is refreshed.

use lpm_host::testing::messages;
use lpm_host::{CommitDecision, DeleteReason};

use super::checked::{CheckEnded, CheckedLpm};
use super::finding::Kind;

/// How often a flow is refreshed between two looks at the memory.
const REFRESHES: u32 = 250;
/// How much memory that may take, in bytes; it should take none.
const ROOM: u64 = 4 << 20;

const REASONS: [DeleteReason; 5] = [
    DeleteReason::ReceivedPathTear,
    DeleteReason::ReceivedResvTear,
    DeleteReason::AdmissionControlFailed,
    DeleteReason::StateTimeout,
    DeleteReason::FlowDuration,
];

pub(super) fn run(checked: &CheckedLpm) -> Result<(), CheckEnded> {
    let pcm = checked.pcm()?;
    checked.start(&pcm)?;
    let path = messages::path().flow("203.0.113.7", 4000).build();
    let resv = messages::resv()
        .flow("203.0.113.7", 4000)
        .flow("203.0.113.8", 4000)
        .build();
    // Nothing of this is known to the LPM; and twice, so that it cannot be known any more.
    for message in [&path, &resv, &path, &resv] {
        for reason in REASONS {
            checked.delete_state(&pcm, message, reason)?;
        }
    }
    checked.admit(&pcm, &messages::path_tear().build())?;
    checked.admit(&pcm, &messages::resv_tear().build())?;
    checked.commit_resv(&pcm, &resv, CommitDecision::ResourcesModified)?;
    // A reservation before its path, gone before it was told of.
    checked.admit(&pcm, &resv)?;
    checked.admit(&pcm, &path)?;
    checked.delete_state(&pcm, &path, DeleteReason::ReceivedPathTear)?;
    checked.commit_resv(&pcm, &resv, CommitDecision::ResourcesAllocated)?;

    let refresh = |messages: [_; 2]| {
        for _ in 0..REFRESHES {
            for message in messages {
                checked.admit(&pcm, message)?;
            }
        }
        Ok(checked.in_use(&pcm).memory)
    };
    // The first round is for what is there once.
    let before = refresh([&path, &resv])?;
    let between = refresh([&path, &resv])?;
    let after = refresh([&path, &resv])?;
    if let (Some(before), Some(between), Some(after)) = (before, between, after) {
        if between > before + ROOM && after > between + ROOM {
            let (count, bytes) = (4 * REFRESHES, after - before);
            let what = format!("{count} refreshes of two flows took {} KiB", bytes >> 10);
            checked.found(Kind::Grows, what);
        }
    }
    checked.demote(&pcm)
}
