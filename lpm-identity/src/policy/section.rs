//! A section of the policy: what it sets, and under which conditions.

use super::schedule::{Schedule, WeekTime};
use crate::settings::Settings;

/// A section: what it sets in any case, and what it sets under conditions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    /// The section's own settings.
    pub settings: Settings,
    /// Its `[[….when]]` tables, in their order; the first that holds and sets a value wins.
    pub(super) when: Box<[When]>,
    /// The line of the section in the policy file, from 1; 0 for what is in no file.
    pub(super) line: u32,
}

/// Settings that hold on one subnet, at some times, or both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct When {
    /// The place of the subnet in the policy.
    pub(super) subnet: Option<usize>,
    pub(super) schedule: Option<Schedule>,
    pub(super) settings: Settings,
    pub(super) line: u32,
}

impl Section {
    /// A section that sets the same everywhere and always.
    #[must_use]
    pub fn of(settings: Settings) -> Self {
        Self {
            settings,
            ..Self::default()
        }
    }

    /// Whether nothing is set.
    pub(super) fn is_empty(&self) -> bool {
        self.settings == Settings::default() && self.when.is_empty()
    }

    /// What holds on a subnet of this place in the policy, the first to win first.
    pub(super) fn on_subnet(
        &self,
        subnet: usize,
        time: impl Fn() -> WeekTime,
    ) -> impl Iterator<Item = Held<'_>> {
        self.when
            .iter()
            .filter(move |when| when.subnet == Some(subnet) && when.is_time(&time))
            .map(When::held)
    }

    /// What holds everywhere, the first to win first.
    pub(super) fn everywhere(&self, time: impl Fn() -> WeekTime) -> impl Iterator<Item = Held<'_>> {
        let own = Held {
            settings: &self.settings,
            schedule: None,
            line: self.line,
        };
        self.when
            .iter()
            .filter(move |when| when.subnet.is_none() && when.is_time(&time))
            .map(When::held)
            .chain(std::iter::once(own))
    }
}

/// Settings of a section that hold here and now, and where they stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held<'a> {
    pub(super) settings: &'a Settings,
    pub(super) schedule: Option<&'a Schedule>,
    pub(super) line: u32,
}

impl<'a> Held<'a> {
    /// Settings that hold under no condition, and stand in no file.
    pub(super) fn always(settings: &'a Settings) -> Self {
        Held {
            settings,
            schedule: None,
            line: 0,
        }
    }
}

impl When {
    fn is_time(&self, time: impl Fn() -> WeekTime) -> bool {
        self.schedule
            .is_none_or(|schedule| schedule.contains(time()))
    }

    fn held(&self) -> Held<'_> {
        Held {
            settings: &self.settings,
            schedule: self.schedule.as_ref(),
            line: self.line,
        }
    }
}
