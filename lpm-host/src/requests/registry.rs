//! Which LPM a result is from: the LPMs of this process, by handle.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use libunload::gate::Gate;
use lpm_api::LpmHandle;

use super::asked::Requests;
use crate::clock::Clock;
use crate::event::EventLog;
use crate::initialized::InitializedLpm;

/// An LPM that may answer.
#[derive(Clone)]
pub(crate) struct Registered {
    pub(crate) requests: Arc<Requests>,
    pub(crate) about: Arc<InitializedLpm>,
    pub(crate) events: Arc<dyn EventLog>,
    pub(crate) clock: Arc<Clock>,
}

/// Sorted by handle: handles grow, and the list is short.
type List = Vec<Registered>;

static LPMS: LazyLock<Gate<List>> = LazyLock::new(|| Gate::new(Box::default()));
static CHANGE: Mutex<()> = Mutex::new(());

/// Lets an LPM answer.
pub(crate) fn register(lpm: Registered) {
    change(|list| {
        let at = list.partition_point(|other| other.about.handle < lpm.about.handle);
        list.insert(at, lpm);
    });
}

/// From now on results of this LPM are those of an unknown one.
pub(crate) fn unregister(handle: LpmHandle) {
    change(|list| list.retain(|lpm| lpm.about.handle != handle));
}

/// Looks an LPM up; nothing but the table may be touched in `then`.
pub(crate) fn find<R>(handle: LpmHandle, then: impl FnOnce(&Registered) -> R) -> Option<R> {
    let list = LPMS.enter();
    let at = list.binary_search_by_key(&handle, |lpm| lpm.about.handle);
    Some(then(&list[at.ok()?]))
}

fn change(edit: impl FnOnce(&mut List)) {
    let _alone = CHANGE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut list = LPMS.enter().to_vec();
    edit(&mut list);
    // Who looks something up is inside for moments; a list that cannot be had back is small.
    let _ = LPMS.replace(Box::new(list)).drain(Duration::from_secs(1));
}
