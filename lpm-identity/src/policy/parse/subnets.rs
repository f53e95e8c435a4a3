//! The subnets of a policy: those of `[[subnet]]`, and prefixes that stand in a condition.

use ipnet::IpNet;

use super::error::{PolicyError, PolicyProblem};
use super::keys::SUBNET;
use super::table::Table;
use crate::policy::subnet::Subnet;

/// The subnets read so far.
pub(super) struct Subnets(Vec<Subnet>);

impl Subnets {
    pub(super) fn read(top: &Table<'_>) -> Result<Subnets, PolicyError> {
        let mut subnets: Vec<Subnet> = Vec::new();
        for table in top.tables("subnet", &[SUBNET])? {
            let (name, at) = table
                .text("name")?
                .ok_or_else(|| table.fail(PolicyProblem::Missing("name")))?;
            if subnets.iter().any(|subnet| subnet.name == name) {
                return Err(at.fail(PolicyProblem::Duplicate(name.to_owned())));
            }
            let mut prefixes = Vec::new();
            for (text, at) in table.texts("prefixes")?.unwrap_or_default() {
                let prefix = prefix(text);
                prefixes.push(
                    prefix.ok_or_else(|| at.fail(PolicyProblem::BadPrefix(text.to_owned())))?,
                );
            }
            let interfaces = table.interfaces()?;
            if prefixes.is_empty() && interfaces.is_empty() {
                return Err(table.fail(PolicyProblem::EmptySubnet));
            }
            subnets.push(Subnet::new(name.to_owned(), prefixes, interfaces));
        }
        Ok(Subnets(subnets))
    }

    /// The place of the subnet that a condition names; a prefix becomes a subnet by itself.
    pub(super) fn named(&mut self, table: &Table<'_>) -> Result<Option<usize>, PolicyError> {
        let Some((name, at)) = table.text("subnet")? else {
            return Ok(None);
        };
        if let Some(place) = self.0.iter().position(|subnet| subnet.name == name) {
            return Ok(Some(place));
        }
        let Some(prefix) = prefix(name) else {
            return Err(at.fail(PolicyProblem::UnknownSubnet {
                found: name.to_owned(),
                known: self.0.iter().map(|subnet| subnet.name.clone()).collect(),
            }));
        };
        let name = prefix.to_string();
        let place = self.0.iter().position(|subnet| subnet.name == name);
        Ok(Some(place.unwrap_or_else(|| {
            self.0.push(Subnet::new(name, vec![prefix], Vec::new()));
            self.0.len() - 1
        })))
    }

    pub(super) fn into_list(self) -> Vec<Subnet> {
        self.0
    }
}

/// A prefix without the bits behind it: `10.1.2.3/16` is `10.1.0.0/16`.
fn prefix(text: &str) -> Option<IpNet> {
    text.trim().parse().ok().map(|prefix: IpNet| prefix.trunc())
}
