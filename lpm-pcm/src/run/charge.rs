//! Changes that take their time while the loop goes on: LPMs are stopped, started or exchanged on
//! other threads, and the loop hears when that is done.

use std::sync::Arc;

use lpm_host::error::{PcmError, StartError};
use lpm_host::{Pcm, Teardown, UnloadOutcome};
use thiserror::Error;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use super::control::Reply;
use crate::config::Config;
use crate::output::plain;

/// What is done with the LPMs.
#[derive(Debug)]
pub enum Change {
    /// They are stopped: this node is in charge no longer.
    Demote,
    /// They are started: it is in charge again.
    BecomeDsbm,
    /// Those of another configuration run.
    Reload(Box<Config>),
}

/// A change that was made, or was not.
#[derive(Debug)]
pub struct Changed {
    /// What was to be done.
    pub change: Change,
    /// What came of it.
    pub result: Result<(), ChangeError>,
    /// Who wants to know, when all that follows from it is done.
    pub answer: Option<oneshot::Sender<Reply>>,
}

/// Why a change was not made.
#[derive(Debug, Error)]
pub enum ChangeError {
    /// The PCM says no.
    #[error(transparent)]
    Pcm(#[from] PcmError),
    /// LPMs do not start.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Makes changes off the loop.
pub struct Charge {
    pcm: Arc<Pcm>,
    done: UnboundedSender<Changed>,
}

impl Charge {
    /// What is done is said there.
    #[must_use]
    pub const fn new(pcm: Arc<Pcm>, done: UnboundedSender<Changed>) -> Self {
        Self { pcm, done }
    }

    /// Makes a change.
    pub fn make(&self, change: Change, answer: Option<oneshot::Sender<Reply>>) {
        let (pcm, done) = (Arc::clone(&self.pcm), self.done.clone());
        spawn_blocking(move || {
            let result = make(&pcm, &change);
            // Nobody is there only at the end of the program.
            let _ = done.send(Changed {
                change,
                result,
                answer,
            });
        });
    }
}

fn make(pcm: &Pcm, change: &Change) -> Result<(), ChangeError> {
    match change {
        Change::Demote => say_pinned(&pcm.demote()?),
        Change::BecomeDsbm => {
            for failed in pcm.become_dsbm()?.failed {
                plain::tell(format_args!("LPM {}: {}", failed.name, failed.error));
            }
        }
        Change::Reload(config) => {
            let lpms = config.lpms.iter().map(crate::node::lpm);
            say_pinned(&pcm.reconfigure(lpms)?.stopped);
        }
    }
    Ok(())
}

/// Says which libraries could not be unloaded.
pub fn say_pinned(teardown: &Teardown) {
    for library in &teardown.libraries {
        if let UnloadOutcome::Pinned { reasons } = &library.outcome {
            let library = library.library.display();
            for reason in reasons {
                plain::tell(format_args!("{library} stays mapped: {reason}"));
            }
        }
    }
}
