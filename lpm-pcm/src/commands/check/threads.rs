//! Many threads at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Builder, JoinHandle};
use std::time::Duration;

use lpm_host::testing::{TestMessage, messages};
use lpm_host::{CommitDecision, CommittedResv, DeleteReason, OutgoingMessage, Pcm, StateGone};

use super::checked::{CheckEnded, CheckedLpm, received};

const THREADS: u16 = 8;
/// How often each of them makes every call.
const ROUNDS: u16 = 50;

pub(super) fn run(checked: &CheckedLpm) -> Result<(), CheckEnded> {
    let pcm = Arc::new(checked.pcm()?);
    checked.start(&pcm)?;
    checked.step("calls from 8 threads");
    let never = Arc::new(AtomicBool::new(false));
    let callers = callers(&pcm, &never);
    // With them go what the LPM has in their thread-locals, while it is in use.
    end(checked, callers);
    checked.goes_on()?;
    checked.demote(&pcm)?;

    // Stopped while the threads call.
    for _ in 0..3 {
        checked.start(&pcm)?;
        checked.step("calls from 8 threads, and a stop meanwhile");
        let stopped = Arc::new(AtomicBool::new(false));
        let callers = self::callers(&pcm, &stopped);
        thread::sleep(Duration::from_millis(5));
        let done = checked.demote(&pcm);
        stopped.store(true, Ordering::Relaxed);
        end(checked, callers);
        done?;
    }
    checked.shut_down(&pcm)
}

fn callers(pcm: &Arc<Pcm>, stopped: &Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
    let caller = |number| {
        let (pcm, stopped) = (Arc::clone(pcm), Arc::clone(stopped));
        let calls = move || call(&pcm, number, &stopped);
        // Fewer threads are a weaker check, and no fault of the LPM's.
        Builder::new()
            .name(format!("caller {number}"))
            .spawn(calls)
            .ok()
    };
    (0..THREADS).filter_map(caller).collect()
}

/// Waits until the threads are gone, with all that they keep.
fn end(checked: &CheckedLpm, callers: Vec<JoinHandle<()>>) {
    checked.step("the end of threads that made calls");
    for caller in callers {
        // They do not panic: the PCM catches what the LPM throws.
        let _ = caller.join();
    }
}

fn call(pcm: &Pcm, number: u16, stopped: &AtomicBool) {
    for round in 0..ROUNDS {
        if stopped.load(Ordering::Relaxed) {
            return;
        }
        // Flows of its own, and one that all have.
        let port = match round % 2 {
            0 => 1,
            _ => 100 * number + round,
        };
        let path = messages::path()
            .flow("198.51.100.7", port)
            .user("CN=Alice")
            .build();
        let resv = messages::resv().flow("198.51.100.7", port).build();
        // Once the PCM is not in charge any more, nothing is called.
        let _ = pcm.admit(&received(&path));
        let _ = pcm.admit(&received(&resv));
        let _ = pcm.rsvp_objects(&OutgoingMessage {
            message: path.view(),
            interface: path.interface(),
            max_policy_data_size: 1_000,
        });
        let _ = pcm.commit_resv(&CommittedResv {
            message: resv.view(),
            flow: 0,
            interface: resv.interface(),
            decision: CommitDecision::ResourcesAllocated,
            merged: None,
        });
        let _ = pcm.statistics();
        let _ = pcm.delete_state(&gone(&resv));
    }
}

fn gone(message: &TestMessage) -> StateGone<'_> {
    StateGone {
        reason: DeleteReason::StateTimeout,
        message: message.view(),
        flow: None,
        interface: Some(message.interface()),
    }
}
