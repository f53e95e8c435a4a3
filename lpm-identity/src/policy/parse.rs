//! From the text of a policy to its sections.

mod error;
mod keys;
mod listed;
mod subnets;
mod table;
#[cfg(test)]
mod tests;
mod values;

use std::collections::HashMap;

use lpm_api::Name;
use toml::de::DeTable;

use super::authentication::{Authentication, CredentialTypes};
use super::section::Section;
use super::sections::{Group, Policy};
use super::subnet;
use super::zone::Zone;
use keys::{AUTHENTICATION, GROUP, RULES, SETUP, VALUES, WHEN};
use listed::GroupLists;
use subnets::Subnets;

pub(crate) use error::excerpt;
pub use error::{PolicyError, PolicyProblem};
pub(crate) use keys::POLICY;
pub(crate) use table::{File, Table};

impl Policy {
    /// Reads a policy from its text; `source` names the text in errors, such as the file's path.
    ///
    /// # Errors
    /// The first thing wrong with the text, with its line and what would be accepted instead.
    pub fn parse(source: &str, text: &str) -> Result<Self, PolicyError> {
        let file = File::new(source, text);
        let document = DeTable::parse(text).map_err(|error| file.syntax_error(&error))?;
        policy_in(&file, document.get_ref(), document.span().start, &[])
    }
}

/// The policy in a document that may have `others` as keys too.
pub(crate) fn policy_in<'a>(
    file: &'a File<'a>,
    document: &'a DeTable<'a>,
    at: usize,
    others: &[&'static str],
) -> Result<Policy, PolicyError> {
    let top = Table::new(file, "", document, at, &[RULES, SETUP, others])?;
    if !RULES.iter().any(|rule| document.contains_key(*rule)) {
        return Err(top.fail(PolicyProblem::NoRules));
    }

    let mut subnets = Subnets::read(&top)?;
    let default = standing(&top, "default", &mut subnets)?;
    let unauthenticated = standing(&top, "unauthenticated", &mut subnets)?;
    let groups = groups(&top, &mut subnets)?;
    let mut group_lists = GroupLists::new(&groups);
    let mut read = |kind| listed::read(&top, kind, &default, &mut group_lists, &mut subnets);
    let (users, applications) = (read("user")?, read("application")?);
    let mut policy = Policy {
        source: file.source().into(),
        has_conditions: false,
        users,
        applications,
        group_lists: group_lists.into_lists(),
        groups,
        default,
        unauthenticated,
        subnets: subnet::Subnets::new(subnets.into_list()),
        authentication: authentication(&top)?,
        time_zone: time_zone(&top)?,
    };
    let has_conditions = policy.sections().any(|section| !section.when.is_empty());
    policy.has_conditions = has_conditions;
    Ok(policy)
}

/// `[default]` or `[unauthenticated]`, which inherit nothing; without any value if it is missing.
fn standing(
    top: &Table<'_>,
    key: &'static str,
    subnets: &mut Subnets,
) -> Result<Section, PolicyError> {
    let Some(table) = top.table(key, &[VALUES, WHEN])? else {
        return Ok(Section::default());
    };
    let section = table.section(subnets)?;
    if section.settings.outcome.is_none() {
        return Err(table.fail(PolicyProblem::NoOutcome));
    }
    Ok(section)
}

fn groups(top: &Table<'_>, subnets: &mut Subnets) -> Result<Vec<Group>, PolicyError> {
    let mut places = HashMap::new();
    let mut groups = Vec::new();
    for table in top.tables("group", &[GROUP, VALUES, WHEN])? {
        let (name, at) = table
            .text("name")?
            .ok_or_else(|| table.fail(PolicyProblem::Missing("name")))?;
        if places.insert(name, groups.len()).is_some() {
            return Err(at.fail(PolicyProblem::Duplicate(excerpt(name))));
        }
        groups.push(Group {
            name: name.to_owned(),
            canonical_name: Name::id(name).to_string(),
            section: table.section(subnets)?,
        });
    }
    Ok(groups)
}

fn authentication(top: &Table<'_>) -> Result<Authentication, PolicyError> {
    let mut authentication = Authentication::default();
    let Some(table) = top.table("authentication", &[AUTHENTICATION])? else {
        return Ok(authentication);
    };
    let types = |key| {
        let Some(names) = table.texts(key)? else {
            return Ok(None);
        };
        let mut types = CredentialTypes::default();
        for (name, at) in names {
            let unknown = || PolicyProblem::UnknownWord {
                found: excerpt(name),
                what: "credential type",
                accepted: CredentialTypes::names().collect(),
            };
            let named = CredentialTypes::named(name).ok_or_else(|| at.fail(unknown()))?;
            types = types.and(named);
        }
        Ok(Some(types))
    };
    if let Some(types) = types("accept")? {
        authentication.always = types;
    }
    if let Some(types) = types("accept_with_integrity")? {
        authentication.with_integrity = types;
    }
    Ok(authentication)
}

fn time_zone(top: &Table<'_>) -> Result<Zone, PolicyError> {
    match top.text("time_zone")? {
        None => Ok(Zone::default()),
        Some((name, at)) => {
            Zone::named(name).ok_or_else(|| at.fail(PolicyProblem::UnknownTimeZone(excerpt(name))))
        }
    }
}
