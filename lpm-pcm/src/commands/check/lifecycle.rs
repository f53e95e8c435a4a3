//! The life of an LPM, every call once, and every way to stop.

use lpm_host::testing::messages;
use lpm_host::{CommitDecision, DeleteReason};

use super::checked::{CheckEnded, CheckedLpm, addresses};

pub(super) fn run(checked: &CheckedLpm) -> Result<(), CheckEnded> {
    let pcm = checked.pcm()?;
    checked.start(&pcm)?;
    checked.ip_address_table(&pcm, &addresses()[..1])?;
    let path = messages::path().user("CN=Alice,OU=Sales,O=Example").build();
    let resv = messages::resv().build();
    for message in [
        &path,
        &resv,
        &messages::path_err().error(1, 2).build(),
        &messages::resv_err().build(),
    ] {
        checked.admit(&pcm, message)?;
    }
    checked.rsvp_objects(&pcm, &path)?;
    checked.rsvp_objects(&pcm, &resv)?;
    checked.commit_resv(&pcm, &resv, CommitDecision::ResourcesAllocated)?;
    checked.commit_resv(&pcm, &resv, CommitDecision::ResourcesModified)?;
    checked.statistics(&pcm)?;
    checked.admit(&pcm, &messages::resv_tear().build())?;
    checked.admit(&pcm, &messages::path_tear().build())?;
    checked.delete_state(&pcm, &resv, DeleteReason::StateTimeout)?;
    checked.demote(&pcm)?;

    // Once more, and stopped before anything was asked.
    checked.start(&pcm)?;
    checked.shut_down(&pcm)?;

    // Another LPM takes its place.
    let pcm = checked.pcm()?;
    checked.start(&pcm)?;
    checked.admit(&pcm, &path)?;
    checked.reconfigure(&pcm, [checked.lpm(1)])?;
    checked.admit(&pcm, &path)?;
    checked.demote(&pcm)
}
