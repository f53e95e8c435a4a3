//! The life of an LPM, every call once, and every way to stop.

use lpm_host::testing::messages;
use lpm_host::{CommitDecision, DeleteReason};

use super::rig::{Enough, Rig, addresses};

pub(super) fn run(rig: &Rig) -> Result<(), Enough> {
    let pcm = rig.pcm()?;
    rig.start(&pcm)?;
    rig.ip_address_table(&pcm, &addresses()[..1])?;
    let path = messages::path().user("CN=Alice,OU=Sales,O=Example").build();
    let resv = messages::resv().build();
    for message in [
        &path,
        &resv,
        &messages::path_err().error(1, 2).build(),
        &messages::resv_err().build(),
    ] {
        rig.admit(&pcm, message)?;
    }
    rig.rsvp_objects(&pcm, &path)?;
    rig.rsvp_objects(&pcm, &resv)?;
    rig.commit_resv(&pcm, &resv, CommitDecision::ResourcesAllocated)?;
    rig.commit_resv(&pcm, &resv, CommitDecision::ResourcesModified)?;
    rig.statistics(&pcm)?;
    rig.admit(&pcm, &messages::resv_tear().build())?;
    rig.admit(&pcm, &messages::path_tear().build())?;
    rig.delete_state(&pcm, &resv, DeleteReason::StateTimeout)?;
    rig.demote(&pcm)?;

    // Once more, and stopped before anything was asked.
    rig.start(&pcm)?;
    rig.shut_down(&pcm)?;

    // Another LPM takes its place.
    let pcm = rig.pcm()?;
    rig.start(&pcm)?;
    rig.admit(&pcm, &path)?;
    rig.reconfigure(&pcm, [rig.lpm(1)])?;
    rig.admit(&pcm, &path)?;
    rig.demote(&pcm)
}
