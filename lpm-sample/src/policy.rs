//! The policy: whose section says what.
//!
//! A policy is a TOML text. Its sections set values for those who ask:
//!
//! | section | for |
//! |---|---|
//! | `[[user]]` | somebody named by an AUTH_USER element; `dn`, `id` or both say who |
//! | `[[application]]` | a program named by an AUTH_APP element; `dn`, `id` or both say which |
//! | `[[group]]` | with a `name`; for the users and applications that have `group = "name"` |
//! | `[default]` | everybody who says who they are; alone for those who are not listed |
//! | `[unauthenticated]` | nobody in particular, or somebody whose credentials are not believed |
//!
//! | key | value |
//! |---|---|
//! | `priority` | 1 to 65280: what an admitted flow gets, or less if its PREEMPTION_PRI asks for less |
//! | `reject` | instead of a priority: `unknown_user`, `no_privileges`, `expired_user_token` or `no_resources` |
//! | `max_flows` | how many flows the subject may send at a time, and how many it may receive |
//! | `max_flow_rate` | the token rate of each flow, bytes/s or with a unit ([`Rate`]) |
//!
//! A limit may be `"unlimited"`, which lifts an inherited one. Any key that is not listed here is
//! an error.
//!
//! Each value comes from the first section that sets it: the user (or application), its group,
//! `[default]`. Everybody must have a priority or a rejection. `[unauthenticated]` inherits
//! nothing. Where `[default]` is missing, the unlisted are rejected as
//! [`LpmPolicyError::UnknownUser`]; where `[unauthenticated]` is missing, the unauthenticated as
//! [`LpmPolicyError::NoPrivileges`].
//!
//! DNs and IDs are compared as [`Name`](lpm_api::Name) says. An application's `dn` also covers the
//! DNs that begin with it: `APP=Phone` is every version and every part of it (RFC 2872 section 2
//! puts the version and the sub-application behind the name).

use lpm_api::{LpmPolicyError, Rate, Scope};

use crate::identity::Subject;
use crate::listed::Listed;
use crate::places::Places;
use crate::rule::{Limit, Outcome, Setting};
use crate::section::Section;

/// Everybody's rules.
#[derive(Debug)]
pub struct Policy {
    pub(crate) users: Listed,
    pub(crate) user_rules: Vec<Rule>,
    pub(crate) applications: Listed,
    pub(crate) application_rules: Vec<Rule>,
    pub(crate) default: Rule,
    pub(crate) unauthenticated: Rule,
    pub(crate) places: Places,
}

/// What is decided for a subject.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Whether flows are admitted at all.
    pub outcome: Outcome,
    /// How many flows the subject may have in each direction.
    pub flows: Limit<u32>,
    /// The token rate of each flow.
    pub flow_rate: Limit<Rate>,
}

impl Policy {
    /// The rule for a subject that was found among the [`users`](Self::users) and
    /// [`applications`](Self::applications) of this policy.
    #[must_use]
    pub fn rule(&self, subject: &Subject) -> Rule {
        match subject {
            Subject::User(place) => self.user_rules[*place],
            Subject::Application(place) => self.application_rules[*place],
            Subject::Unlisted(_) => self.default,
            Subject::Unauthenticated => self.unauthenticated,
        }
    }

    /// The users that are listed.
    #[must_use]
    pub fn users(&self) -> &Listed {
        &self.users
    }

    /// The applications that are listed.
    #[must_use]
    pub fn applications(&self) -> &Listed {
        &self.applications
    }
}

impl Rule {
    /// Takes each value from the first section that sets it, the most specific first; `None` if
    /// none of them says whether to admit.
    pub(crate) fn of(sections: &[(&Section, Scope)]) -> Option<Self> {
        Some(Self {
            outcome: sections.iter().find_map(|(section, _)| section.outcome())?,
            flows: first(sections, |section| section.max_flows),
            flow_rate: first(sections, |section| section.max_flow_rate),
        })
    }

    /// The rule for those for whom the policy has no section.
    pub(crate) fn rejecting(reason: LpmPolicyError) -> Self {
        Self {
            outcome: Outcome::Reject(reason),
            flows: Limit::Unlimited,
            flow_rate: Limit::Unlimited,
        }
    }
}

fn first<T>(
    sections: &[(&Section, Scope)],
    setting: impl Fn(&Section) -> Option<Setting<T>>,
) -> Limit<T> {
    let mut settings = sections
        .iter()
        .filter_map(|(section, scope)| Some((setting(section)?, *scope)));
    match settings.next() {
        Some((Setting::AtMost(most), scope)) => Limit::AtMost(most, scope),
        Some((Setting::Unlimited, _)) | None => Limit::Unlimited,
    }
}
