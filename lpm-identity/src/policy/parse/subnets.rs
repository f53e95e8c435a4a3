//! The subnets of a policy: those of `[[subnet]]`, and prefixes that stand in a condition.

use std::collections::HashMap;

use ipnet::IpNet;

use super::error::{PolicyError, PolicyProblem, excerpt};
use super::keys::SUBNET;
use super::table::Table;
use crate::policy::subnet::Subnet;

/// The subnets read so far.
#[derive(Default)]
pub(super) struct Subnets {
    list: Vec<Subnet>,
    /// Their places in the list.
    by_name: HashMap<String, usize>,
}

impl Subnets {
    pub(super) fn read(top: &Table<'_>) -> Result<Self, PolicyError> {
        let mut subnets = Self::default();
        for table in top.tables("subnet", &[SUBNET])? {
            let (name, at) = table
                .text("name")?
                .ok_or_else(|| table.fail(PolicyProblem::Missing("name")))?;
            if subnets.by_name.contains_key(name) {
                return Err(at.fail(PolicyProblem::Duplicate(excerpt(name))));
            }
            let mut prefixes = Vec::new();
            for (text, at) in table.texts("prefixes")?.unwrap_or_default() {
                let prefix = prefix(text);
                prefixes
                    .push(prefix.ok_or_else(|| at.fail(PolicyProblem::BadPrefix(excerpt(text))))?);
            }
            let interfaces = table.interfaces()?;
            if prefixes.is_empty() && interfaces.is_empty() {
                return Err(table.fail(PolicyProblem::EmptySubnet));
            }
            subnets.add(Subnet::new(name.to_owned(), prefixes, interfaces));
        }
        Ok(subnets)
    }

    /// The place of the subnet that a condition names; a prefix becomes a subnet by itself.
    pub(super) fn named(&mut self, table: &Table<'_>) -> Result<Option<usize>, PolicyError> {
        let Some((name, at)) = table.text("subnet")? else {
            return Ok(None);
        };
        if let Some(place) = self.by_name.get(name) {
            return Ok(Some(*place));
        }
        let Some(prefix) = prefix(name) else {
            return Err(at.fail(PolicyProblem::UnknownSubnet {
                found: excerpt(name),
                known: self.list.iter().map(|subnet| subnet.name.clone()).collect(),
            }));
        };
        let name = prefix.to_string();
        if let Some(place) = self.by_name.get(&name) {
            return Ok(Some(*place));
        }
        Ok(Some(self.add(Subnet::new(name, vec![prefix], Vec::new()))))
    }

    fn add(&mut self, subnet: Subnet) -> usize {
        let place = self.list.len();
        self.by_name.insert(subnet.name.clone(), place);
        self.list.push(subnet);
        place
    }

    pub(super) fn into_list(self) -> Vec<Subnet> {
        self.list
    }
}

/// A prefix without the bits behind it: `10.1.2.3/16` is `10.1.0.0/16`.
fn prefix(text: &str) -> Option<IpNet> {
    text.trim().parse().ok().map(|prefix: IpNet| prefix.trunc())
}
