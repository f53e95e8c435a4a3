//! Which calls into an LPM do not return, from one look to the next.

use libunload::gate::PassSeen;

use std::fmt;

/// The calls into an LPM that were under way at the last look.
#[derive(Default)]
pub(crate) struct Watched {
    calls: Vec<(PassSeen, u32)>,
    is_quarantined: bool,
}

/// What a look found.
pub(crate) enum Found {
    /// Nothing new.
    AsBefore,
    /// These calls hang, where none did before.
    Hangs(Hanging),
    /// No call hangs any more.
    Returned,
}

impl Watched {
    /// Looks at the calls that are under way at `now`. One that is seen for as long as `limit` hangs.
    pub(crate) fn look(&mut self, passes: Vec<PassSeen>, now: u32, limit: u32) -> Found {
        let seen: Vec<_> = passes
            .into_iter()
            .map(|pass| {
                let before = self.calls.iter().find(|(other, _)| *other == pass);
                (pass, before.map_or(now, |(_, since)| *since))
            })
            .collect();
        let hanging: Vec<_> = seen
            .iter()
            .filter(|(_, since)| now.wrapping_sub(*since) >= limit)
            .map(|(pass, _)| *pass)
            .collect();
        self.calls = seen;
        let was_quarantined = std::mem::replace(&mut self.is_quarantined, !hanging.is_empty());
        match (was_quarantined, hanging.is_empty()) {
            (false, false) => Found::Hangs(Hanging(hanging)),
            (true, true) => Found::Returned,
            _ => Found::AsBefore,
        }
    }
}

/// Calls that hang; shows their threads.
pub(crate) struct Hanging(Vec<PassSeen>);

impl Hanging {
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Display for Hanging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, pass) in self.0.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { ", " }, pass.thread)?;
        }
        Ok(())
    }
}
