//! Several initializations of one library.

use lpm_host::testing::messages;
use lpm_host::{DeleteReason, LpmConfig};

use super::checked::{CheckEnded, CheckedLpm};

/// How many there are where one configuration was given for all.
const USUAL: usize = 3;

pub(super) fn run(checked: &CheckedLpm) -> Result<(), CheckEnded> {
    let count = match checked.config_count() {
        1 => USUAL,
        given => given,
    };
    let lpms: Vec<LpmConfig> = (0..count).map(|number| checked.lpm(number)).collect();
    let (path, resv) = (messages::path().build(), messages::resv().build());
    let pcm = checked.pcm_of(lpms.clone())?;
    checked.start(&pcm)?;
    // One after the other goes, and the rest goes on.
    for remaining in (1..=count).rev() {
        for message in [&path, &resv] {
            checked.admit(&pcm, message)?;
            checked.rsvp_objects(&pcm, message)?;
        }
        checked.delete_state(&pcm, &path, DeleteReason::StateTimeout)?;
        if remaining > 1 {
            checked.reconfigure(&pcm, lpms[count - remaining + 1..].iter().cloned())?;
        }
    }
    checked.demote(&pcm)?;
    // All of them again.
    let pcm = checked.pcm_of(lpms)?;
    checked.start(&pcm)?;
    checked.admit(&pcm, &path)?;
    checked.demote(&pcm)
}
