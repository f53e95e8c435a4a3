//! Which calls into an LPM do not return, from one look to the next.

use libunload::gate::PassSeen;

use std::fmt;

/// The calls into an LPM that were under way at the last look.
#[derive(Default)]
pub(crate) struct Watched {
    calls: Vec<(PassSeen, u32)>,
}

impl Watched {
    /// Looks at the calls that are under way at `now`, and returns those that hang: that are seen
    /// for as long as `limit`.
    pub(crate) fn look(&mut self, passes: Vec<PassSeen>, now: u32, limit: u32) -> Option<Hanging> {
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
        (!hanging.is_empty()).then_some(Hanging(hanging))
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
