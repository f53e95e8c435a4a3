//! What a run decided, as it is kept and compared.

use std::io;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use lpm_host::Outcome;
use serde::Serialize;
use smallvec::SmallVec;

use crate::output::flow::{FlowRecord, RefusedBy};
use crate::output::plain::Plain;
use crate::output::record::Record;

/// What printer and command share.
#[derive(Default)]
pub(super) struct Shared<T>(Arc<Mutex<T>>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Default> Shared<T> {
    pub(super) fn with<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn take(&self) -> T {
        self.with(mem::take)
    }
}

/// What became of a flow.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Decided {
    pub(super) outcome: &'static str,
    lpv: u32,
    error_code: u16,
    error_value: u16,
    refused_by: Option<RefusedBy>,
}

/// The flows of a message; none for one that is not decided.
pub(super) type Flows = SmallVec<[Decided; 1]>;

impl Decided {
    pub(super) fn of(flow: &FlowRecord<'_>) -> Self {
        Self {
            outcome: flow.outcome.name(),
            lpv: flow.lpv,
            error_code: flow.error_code,
            error_value: flow.error_value,
            refused_by: flow.refused_by,
        }
    }

    /// A message that is not to be trusted, or is sent by nobody who may.
    pub(super) const REFUSED: Self = Self {
        outcome: "refused",
        lpv: 0,
        error_code: 0,
        error_value: 0,
        refused_by: None,
    };

    pub(super) fn words(&self) -> String {
        let Self {
            outcome,
            lpv,
            error_code,
            error_value,
            refused_by,
        } = self;
        match refused_by {
            Some(RefusedBy::Sbm) => format!("reject {error_code}/{error_value} (sbm)"),
            Some(_) => format!("reject {error_code}/{error_value}"),
            None if *outcome == Outcome::Accept.name() => format!("accept, priority {lpv}"),
            None => outcome.replace('_', " "),
        }
    }
}

/// Tells warnings and errors of a run.
pub(super) fn told(which: &str, record: &Record<'_>) -> io::Result<()> {
    if let Record::Event {
        severity,
        lpm,
        detail,
        ..
    } = record
    {
        if *severity != "info" {
            let lpm = lpm.map_or(String::new(), |lpm| format!("LPM {lpm}: "));
            anstream::eprintln!("{which}: {severity}: {}{}", Plain(&lpm), Plain(detail));
        }
    }
    Ok(())
}
