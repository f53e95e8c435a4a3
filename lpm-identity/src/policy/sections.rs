//! Everybody's sections, and what else a policy says.

use std::sync::OnceLock;

use jiff::tz::TimeZone;

use super::authentication::Authentication;
use super::limits::Rule;
use super::listed::Listed;
use super::section::Section;
use super::subnet::{Subnet, Subnets};
use super::zone::Zone;

/// Everybody's sections.
#[derive(Debug)]
pub struct Policy {
    /// What it is called in errors, such as its file.
    pub(super) source: Box<str>,
    pub(super) users: Listed,
    pub(super) applications: Listed,
    pub(super) groups: Vec<Group>,
    /// Which groups a user or an application is in, each list once: most are the same.
    pub(super) group_lists: Vec<GroupList>,
    pub(super) default: Section,
    pub(super) unauthenticated: Section,
    pub(super) subnets: Subnets,
    pub(super) authentication: Authentication,
    pub(super) time_zone: Zone,
    /// Whether anything holds only somewhere or at times.
    pub(super) has_conditions: bool,
}

/// A list of groups, by their places.
#[derive(Debug)]
pub(super) struct GroupList {
    pub(super) groups: Box<[usize]>,
    /// The rule for those who have nothing of their own, once it was asked for.
    pub(super) rule: OnceLock<Rule>,
}

/// A group, by its place in the policy.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    /// As groups of the directory are compared with it.
    pub(super) canonical_name: String,
    pub(super) section: Section,
}

impl Policy {
    /// Everybody's.
    pub(super) fn sections(&self) -> impl Iterator<Item = &Section> {
        let members = self.users.members.iter().chain(&self.applications.members);
        let members = members.filter_map(|member| member.section.as_deref());
        let groups = self.groups.iter().map(|group| &group.section);
        let standing = [&self.default, &self.unauthenticated];
        members.chain(groups).chain(standing)
    }

    /// What it is called in errors, such as its file.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// The users that are listed.
    pub fn users(&self) -> &Listed {
        &self.users
    }

    /// The applications that are listed.
    pub fn applications(&self) -> &Listed {
        &self.applications
    }

    /// What holds for those who are not listed, `[default]`; without any value if it is missing.
    pub fn default(&self) -> &Section {
        &self.default
    }

    /// What holds for nobody in particular, `[unauthenticated]`; without any value if it is
    /// missing.
    pub fn unauthenticated(&self) -> &Section {
        &self.unauthenticated
    }

    /// The names of the groups.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(|group| group.name.as_str())
    }

    /// The subnets, those without a name of their own included.
    pub fn subnets(&self) -> &[Subnet] {
        &self.subnets.list
    }

    /// Which credentials are believed.
    pub fn authentication(&self) -> &Authentication {
        &self.authentication
    }

    /// Whether anything holds only somewhere or at times.
    pub(crate) fn has_conditions(&self) -> bool {
        self.has_conditions
    }

    /// The clock of the schedules.
    pub fn time_zone(&self) -> &TimeZone {
        self.time_zone.get()
    }
}
