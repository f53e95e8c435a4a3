//! Several initializations of one library.

use lpm_host::testing::messages;
use lpm_host::{DeleteReason, LpmConfig};

use super::rig::{Enough, Rig};

/// How many there are where one configuration was given for all.
const USUAL: usize = 3;

pub(super) fn run(rig: &Rig) -> Result<(), Enough> {
    let count = match rig.config_count() {
        1 => USUAL,
        given => given,
    };
    let lpms: Vec<LpmConfig> = (0..count).map(|number| rig.lpm(number)).collect();
    let (path, resv) = (messages::path().build(), messages::resv().build());
    let pcm = rig.pcm_of(lpms.clone())?;
    rig.start(&pcm)?;
    // One after the other goes, and the rest goes on.
    for remaining in (1..=count).rev() {
        for message in [&path, &resv] {
            rig.admit(&pcm, message)?;
            rig.rsvp_objects(&pcm, message)?;
        }
        rig.delete_state(&pcm, &path, DeleteReason::StateTimeout)?;
        if remaining > 1 {
            rig.reconfigure(&pcm, lpms[count - remaining + 1..].iter().cloned())?;
        }
    }
    rig.demote(&pcm)?;
    // All of them again.
    let pcm = rig.pcm_of(lpms)?;
    rig.start(&pcm)?;
    rig.admit(&pcm, &path)?;
    rig.demote(&pcm)
}
