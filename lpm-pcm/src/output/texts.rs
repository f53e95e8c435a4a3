//! Values as the texts that they are in records.

use std::fmt::{self, Display};
use std::net::IpAddr;
use std::time::SystemTime;

use lpm_host::Outcome;
use lpm_rsvp::FilterSpec;
use serde::Serializer;

use super::time::rfc3339;

pub(super) fn as_rfc3339<S: Serializer>(
    time: &SystemTime,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*time))
}

pub(super) fn as_address<S: Serializer>(
    address: &IpAddr,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(address)
}

pub(super) fn as_name<S: Serializer>(outcome: &Outcome, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(outcome.name())
}

pub(super) fn as_text<S: Serializer>(
    what: &impl Display,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(what)
}

pub(super) fn as_text_if_any<S: Serializer>(
    what: &Option<impl Display>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match what {
        Some(what) => serializer.collect_str(what),
        None => serializer.serialize_none(),
    }
}

pub(super) fn as_list_if_any<S: Serializer>(
    senders: &[FilterSpec],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match senders {
        [] => serializer.serialize_none(),
        senders => serializer.collect_str(&List(senders)),
    }
}

/// Senders in one text.
struct List<'a>(&'a [FilterSpec]);

impl Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, sender) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(", ")?;
            }
            sender.fmt(f)?;
        }
        Ok(())
    }
}
