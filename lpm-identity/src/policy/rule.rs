//! From the sections that are about a subject to the one rule that decides.
//!
//! The order of the sections is the hierarchy of the policy, the most specific first:
//!
//! 1. what holds on the subnet of the request: of the user or application, of each of its groups,
//!    of `[default]`;
//! 2. what holds everywhere, in the same order.
//!
//! The directory's entries about a user come before those about its groups, and each of these
//! before the `[[group]]` of the same name. Within one section its `[[….when]]` tables come first,
//! in the order of the file. Each value is taken from the first that sets it.

use std::cell::OnceCell;
use std::fmt;
use std::time::SystemTime;

use jiff::tz::TimeZone;
use lpm_api::{Interface, LpmPolicyError, Scope};
use lpm_sample::rule::{Limit, Outcome, Setting};

use super::limits::{Limits, Rule};
use super::listed::Member;
use super::schedule::WeekTime;
use super::section::{Held, Section};
use super::sections::{Group, Policy};
use crate::profile::Entry;
use crate::settings::Settings;
use crate::subject::Subject;

/// Where and when a request is decided.
#[derive(Debug)]
pub struct Here {
    subnet: Option<usize>,
    received: SystemTime,
    /// Looked up when the first schedule asks for it.
    time: OnceCell<WeekTime>,
}

impl Here {
    fn new(subnet: Option<usize>, received: SystemTime) -> Self {
        Self {
            subnet,
            received,
            time: OnceCell::new(),
        }
    }

    /// The subnet, by its place among the policy's.
    pub fn subnet(&self) -> Option<usize> {
        self.subnet
    }

    /// When the request was received.
    pub fn received(&self) -> SystemTime {
        self.received
    }

    pub(crate) fn time(&self, zone: &TimeZone) -> WeekTime {
        *self.time.get_or_init(|| WeekTime::of(self.received, zone))
    }
}

/// Whose section a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin<'a> {
    /// `[[user]]`.
    User,
    /// `[[application]]`.
    Application,
    /// The `[[group]]` of this name.
    Group(&'a str),
    /// `[default]`.
    Default,
    /// `[unauthenticated]`.
    Unauthenticated,
    /// An entry of the directory for a user.
    DirectoryUser,
    /// An entry of the directory for the group of this name.
    DirectoryGroup(&'a str),
}

impl Origin<'_> {
    fn scope(self, on_subnet: bool) -> Scope {
        match (self, on_subnet) {
            (Origin::User | Origin::Application | Origin::DirectoryUser, false) => {
                Scope::GlobalUser
            }
            (Origin::User | Origin::Application | Origin::DirectoryUser, true) => Scope::SubnetUser,
            (Origin::Group(_) | Origin::DirectoryGroup(_), false) => Scope::GlobalGroup,
            (Origin::Group(_) | Origin::DirectoryGroup(_), true) => Scope::SubnetGroup,
            (Origin::Default, false) => Scope::GlobalDefault,
            (Origin::Default, true) => Scope::SubnetDefault,
            (Origin::Unauthenticated, false) => Scope::GlobalUnauthenticated,
            (Origin::Unauthenticated, true) => Scope::SubnetUnauthenticated,
        }
    }
}

/// As the heading of the section is written.
impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::User => f.write_str("[[user]]"),
            Origin::Application => f.write_str("[[application]]"),
            Origin::Group(name) => write!(f, "[[group]] {name:?}"),
            Origin::Default => f.write_str("[default]"),
            Origin::Unauthenticated => f.write_str("[unauthenticated]"),
            Origin::DirectoryUser => f.write_str("directory: user"),
            Origin::DirectoryGroup(name) => write!(f, "directory: group {name:?}"),
        }
    }
}

/// Settings that hold for a request, and where they come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layer<'a> {
    held: Held<'a>,
    origin: Origin<'a>,
    on_subnet: bool,
    pub(crate) scope: Scope,
}

impl<'a> Layer<'a> {
    /// What is set.
    pub(crate) fn settings(&self) -> &'a Settings {
        self.held.settings
    }

    /// Where that stands, and under which conditions it holds; `subnet` is the name of the one
    /// that the request came in on.
    pub(crate) fn describe(&self, subnet: &str) -> String {
        match self.line() {
            0 => self.heading(subnet),
            line => format!("{}, line {line}", self.heading(subnet)),
        }
    }

    /// The same without the line.
    pub(crate) fn heading(&self, subnet: &str) -> String {
        let mut text = self.origin.to_string();
        if self.on_subnet {
            text.push_str(&format!(" on subnet {subnet}"));
        }
        if let Some(schedule) = self.held.schedule {
            text.push_str(&format!(" {schedule}"));
        }
        text
    }

    /// The line of the section, from 1; 0 for what is in no file.
    pub(crate) fn line(&self) -> u32 {
        self.held.line
    }
}

impl Policy {
    /// Where and when a request is decided that came in on an interface at a time.
    pub fn here(&self, interface: Interface, received: SystemTime) -> Here {
        let subnet = self.subnets.of(interface);
        Here::new(subnet, received)
    }

    /// The rule for a subject.
    ///
    /// # Panics
    /// The subject was identified with another policy, and has no rule in this one.
    pub fn rule<N>(&self, subject: &Subject<N>, here: &Here) -> Rule {
        let nobody = match subject {
            Subject::Unauthenticated => Outcome::Reject(LpmPolicyError::NoPrivileges),
            _ => Outcome::Reject(LpmPolicyError::UnknownUser),
        };
        resolve(nobody, |visit| layers(self, subject, here, visit))
    }

    /// The rule for a subject of this policy, if it is the same everywhere and always.
    pub(crate) fn standing_rule<N>(&self, subject: &Subject<N>) -> Option<Rule> {
        // What the directory has may hold on a subnet only.
        let has_conditions = self.has_conditions || matches!(subject, Subject::Directory(_));
        if has_conditions {
            return None;
        }
        let rule = || self.rule(subject, &Here::new(None, SystemTime::UNIX_EPOCH));
        let member = match subject {
            Subject::User(place) => self.users.member(*place),
            Subject::Application(place) => self.applications.member(*place),
            _ => return Some(rule()),
        };
        Some(match member.section {
            // The groups' settings count the same for users and applications.
            None => *self.group_lists[member.groups].rule.get_or_init(rule),
            Some(_) => rule(),
        })
    }

    /// Shows all settings that hold for a subject, in the order in which values are taken.
    pub(crate) fn layers<'a, N>(
        &'a self,
        subject: &'a Subject<N>,
        here: &Here,
        visit: impl FnMut(Layer<'a>),
    ) {
        layers(self, subject, here, visit);
    }
}

/// Where settings about a subject come from.
#[derive(Clone, Copy)]
enum Source<'a> {
    Section(&'a Section),
    Directory(&'a Entry),
}

/// Shows everything that holds for a subject here and now, in the order of precedence.
fn layers<'a, N>(
    policy: &'a Policy,
    subject: &'a Subject<N>,
    here: &Here,
    mut visit: impl FnMut(Layer<'a>),
) {
    let time = || here.time(policy.time_zone());
    let mut show = |origin: Origin<'a>, held: Held<'a>, on_subnet: bool| {
        visit(Layer {
            held,
            origin,
            on_subnet,
            scope: origin.scope(on_subnet),
        });
    };
    if let Some(subnet) = here.subnet {
        let name = policy.subnets.list[subnet].canonical_name.as_bytes();
        sources(policy, subject, |origin, source| match source {
            Source::Section(section) => section
                .on_subnet(subnet, time)
                .for_each(|held| show(origin, held, true)),
            Source::Directory(entry) if entry.above.as_bytes() == name => {
                show(origin, Held::always(&entry.settings), true);
            }
            Source::Directory(_) => {}
        });
    }
    sources(policy, subject, |origin, source| match source {
        Source::Section(section) => section
            .everywhere(time)
            .for_each(|held| show(origin, held, false)),
        Source::Directory(entry) if policy.subnets.named(&entry.above).is_none() => {
            show(origin, Held::always(&entry.settings), false);
        }
        Source::Directory(_) => {}
    });
}

/// Shows what there is about a subject, the most specific first.
fn sources<'a, N>(
    policy: &'a Policy,
    subject: &'a Subject<N>,
    mut show: impl FnMut(Origin<'a>, Source<'a>),
) {
    match subject {
        Subject::User(place) => {
            sources_of_member(policy, policy.users.member(*place), Origin::User, &mut show);
        }
        Subject::Application(place) => {
            let member = policy.applications.member(*place);
            sources_of_member(policy, member, Origin::Application, &mut show);
        }
        Subject::Directory(profile) => {
            for entry in &profile.own {
                show(Origin::DirectoryUser, Source::Directory(entry));
            }
            for group in &profile.groups {
                for entry in &group.entries {
                    show(
                        Origin::DirectoryGroup(&group.name),
                        Source::Directory(entry),
                    );
                }
                let mut groups = policy.groups.iter();
                if let Some(group) = groups.find(|it| it.canonical_name == group.name) {
                    group.show(&mut show);
                }
            }
        }
        Subject::Unlisted(_) => {}
        Subject::Unauthenticated => {
            let section = Source::Section(&policy.unauthenticated);
            return show(Origin::Unauthenticated, section);
        }
    }
    show(Origin::Default, Source::Section(&policy.default));
}

fn sources_of_member<'a>(
    policy: &'a Policy,
    member: &'a Member,
    origin: Origin<'a>,
    show: &mut impl FnMut(Origin<'a>, Source<'a>),
) {
    if let Some(section) = member.section.as_deref() {
        show(origin, Source::Section(section));
    }
    for group in &policy.group_lists[member.groups].groups {
        policy.groups[*group].show(show);
    }
}

impl Group {
    fn show<'a>(&'a self, show: &mut impl FnMut(Origin<'a>, Source<'a>)) {
        show(Origin::Group(&self.name), Source::Section(&self.section));
    }
}

/// Takes each value from the first settings that have it.
fn resolve<'a>(outcome_of_nobody: Outcome, layers: impl FnOnce(&mut dyn FnMut(Layer<'a>))) -> Rule {
    let mut outcome = None;
    let mut limits = Limits::default();
    let mut set = Set::default();
    layers(&mut |Layer { held, scope, .. }: Layer<'a>| {
        let Settings {
            outcome: its_outcome,
            flows,
            flow_duration,
            flow_rate,
            peak_rate,
            sum_flow_rate,
            sum_peak_rate,
        } = held.settings;
        outcome = outcome.or(*its_outcome);
        take(&mut limits.flows, &mut set.flows, *flows, scope);
        let duration = &mut limits.flow_duration;
        take(duration, &mut set.flow_duration, *flow_duration, scope);
        take(&mut limits.flow_rate, &mut set.flow_rate, *flow_rate, scope);
        take(&mut limits.peak_rate, &mut set.peak_rate, *peak_rate, scope);
        let sum = &mut limits.sum_flow_rate;
        take(sum, &mut set.sum_flow_rate, *sum_flow_rate, scope);
        let sum = &mut limits.sum_peak_rate;
        take(sum, &mut set.sum_peak_rate, *sum_peak_rate, scope);
    });
    Rule {
        outcome: outcome.unwrap_or(outcome_of_nobody),
        limits,
    }
}

/// Which limits were set already; "unlimited" is also a setting.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "one for each limit")]
struct Set {
    flows: bool,
    flow_duration: bool,
    flow_rate: bool,
    peak_rate: bool,
    sum_flow_rate: bool,
    sum_peak_rate: bool,
}

fn take<T>(limit: &mut Limit<T>, set: &mut bool, setting: Option<Setting<T>>, scope: Scope) {
    if let (false, Some(setting)) = (*set, setting) {
        *set = true;
        if let Setting::AtMost(most) = setting {
            *limit = Limit::AtMost(most, scope);
        }
    }
}
