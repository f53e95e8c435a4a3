//! Users and applications: their names and groups.

use std::collections::HashMap;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, OnceLock};

use lpm_api::Name;

use super::error::{PolicyError, PolicyProblem, excerpt};
use super::keys::{SUBJECT, VALUES, WHEN};
use super::subnets::Subnets;
use super::table::{Place, Table};
use crate::policy::listed::{Listed, Member};
use crate::policy::section::Section;
use crate::policy::sections::{Group, GroupList};

/// The users or the applications of a policy.
pub(super) fn read(
    top: &Table<'_>,
    kind: &'static str,
    default: &Section,
    groups: &mut GroupLists<'_>,
    subnets: &mut Subnets,
) -> Result<Listed, PolicyError> {
    let mut listed = Listed::default();
    for table in top.tables(kind, &[SUBJECT, VALUES, WHEN])? {
        // A policy of 4 GiB, far above what is read, would be needed for more.
        let place = u32::try_from(listed.members.len()).unwrap_or(u32::MAX);
        let dn = match table.text("dn")? {
            Some((dn, at)) => {
                let name = Name::dn(dn).map_err(|error| at.fail(PolicyProblem::Dn(error)))?;
                let enter = |name: &Name| listed.names.enter_dn(name, dn, place);
                Some(entered(&name, dn, &at, enter)?)
            }
            None => None,
        };
        let id = match table.text("id")? {
            Some((id, at)) => {
                let enter = |name: &Name| listed.names.enter_id(name, place);
                Some(entered(&Name::id(id), id, &at, enter)?)
            }
            None => None,
        };
        let name = dn.or(id).ok_or_else(|| table.fail(PolicyProblem::NoName))?;

        let (groups, outcome_of_groups) = groups.of(&table)?;
        let section = table.section(subnets)?;
        let outcome = section.settings.outcome.or(default.settings.outcome);
        if outcome.is_none() && !outcome_of_groups {
            return Err(table.fail(PolicyProblem::NoOutcome));
        }
        listed.members.push(Member {
            section: (!section.is_empty()).then(|| Box::new(section)),
            groups,
            name,
            account: AtomicU32::new(0),
        });
    }
    listed.names.shrink_to_fit();
    listed.members.shrink_to_fit();
    Ok(listed)
}

fn entered(
    name: &Name,
    written: &str,
    at: &Place<'_>,
    enter: impl FnOnce(&Name) -> Option<Arc<[u8]>>,
) -> Result<Arc<[u8]>, PolicyError> {
    if name.is_empty() {
        return Err(at.fail(PolicyProblem::EmptyName));
    }
    enter(name).ok_or_else(|| at.fail(PolicyProblem::Duplicate(excerpt(written))))
}

/// The lists of groups that users and applications are in, each once.
pub(super) struct GroupLists<'a> {
    groups: &'a [Group],
    by_name: HashMap<&'a str, usize>,
    lists: HashMap<Box<[usize]>, usize>,
}

impl<'a> GroupLists<'a> {
    pub(super) fn new(groups: &'a [Group]) -> Self {
        let names = groups.iter().map(|group| group.name.as_str());
        GroupLists {
            groups,
            by_name: names.zip(0..).collect(),
            lists: HashMap::new(),
        }
    }

    /// The place of the list that a table's `group` names, and whether a group on it always has
    /// an outcome.
    fn of(&mut self, table: &Table<'_>) -> Result<(usize, bool), PolicyError> {
        let mut list = Vec::new();
        for (name, at) in table.texts("group")?.unwrap_or_default() {
            let Some(group) = self.by_name.get(name) else {
                let mut known: Vec<_> = self.by_name.keys().map(|&it| it.to_owned()).collect();
                known.sort_unstable();
                return Err(at.fail(PolicyProblem::UnknownGroup {
                    found: excerpt(name),
                    known,
                }));
            };
            list.push(*group);
        }
        let has_outcome = list
            .iter()
            .any(|group| self.groups[*group].section.settings.outcome.is_some());
        let next = self.lists.len();
        let place = *self.lists.entry(list.into()).or_insert(next);
        Ok((place, has_outcome))
    }

    pub(super) fn into_lists(self) -> Vec<GroupList> {
        let mut lists: Vec<_> = self.lists.into_iter().collect();
        lists.sort_unstable_by_key(|(_, place)| *place);
        let lists = lists.into_iter().map(|(groups, _)| GroupList {
            groups,
            rule: OnceLock::new(),
        });
        lists.collect()
    }
}
